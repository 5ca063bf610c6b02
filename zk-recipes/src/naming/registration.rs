//! An instance that is registered, and stays so.

use tokio::sync::watch;
use zk_client::{Acl, Client};

use super::instance::{ServiceInstance, ServiceType};
use super::json::{self, InstanceFormat};
use crate::error::Error;
use crate::membership::{NodeMode, NodeState, PersistentNode};

/// An instance's registration, made by
/// [`ServiceDiscovery::register`](super::ServiceDiscovery::register): made true again whenever it
/// is not. Dropping it unregisters the instance in the background, whatever its type.
#[derive(Debug)]
pub struct ServiceRegistration {
    node: PersistentNode,
    instance: ServiceInstance,
    format: InstanceFormat,
}

impl ServiceRegistration {
    pub(super) async fn start(
        client: &Client,
        path: &str,
        instance: ServiceInstance,
        format: InstanceFormat,
        acl: Option<Vec<Acl>>,
    ) -> Result<Self, Error> {
        let mode = match instance.service_type {
            ServiceType::Dynamic => NodeMode::Ephemeral,
            ServiceType::Static | ServiceType::Permanent => NodeMode::Persistent,
            ServiceType::DynamicSequential => {
                return Err(Error::invalid(
                    "service_type",
                    "a sequential instance cannot be found again",
                ));
            }
        };
        let document = format.write(&instance)?;
        let node = PersistentNode::builder(client, path, document);
        let node = node.mode(mode).same_owner(is_successor);
        let node = match acl {
            Some(acl) => node.acl(acl),
            None => node,
        };
        let node = node.build()?;
        node.first_seen().await?;
        Ok(Self {
            node,
            instance,
            format,
        })
    }

    /// What is registered.
    pub const fn instance(&self) -> &ServiceInstance {
        &self.instance
    }

    /// How its znode stands.
    pub fn state(&self) -> watch::Receiver<NodeState> {
        self.node.state()
    }

    /// Waits until it is registered as it should be: after an update, an expiry, or whatever else.
    ///
    /// # Errors
    ///
    /// It is not kept any more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn present(&self) -> Result<(), Error> {
        self.node.present().await
    }

    /// Changes the instance in place, without a moment in which it is missing. Of quick
    /// successive changes the last is written.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if its name, id or type is another, or it cannot be written in its
    /// format. Nothing is changed then.
    pub fn update(&mut self, change: impl FnOnce(&mut ServiceInstance)) -> Result<(), Error> {
        let mut instance = self.instance.clone();
        change(&mut instance);
        let place = |instance: &ServiceInstance| {
            let (name, id) = (instance.name.clone(), instance.id.clone());
            (name, id, instance.service_type)
        };
        if place(&instance) != place(&self.instance) {
            return Err(Error::invalid(
                "instance",
                "its name, id and type cannot be changed",
            ));
        }
        self.node.set_data(self.format.write(&instance)?);
        self.instance = instance;
        Ok(())
    }

    /// Whether it wants to be chosen; see [`update`](Self::update).
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if its format has no room for that.
    pub fn set_enabled(&mut self, enabled: bool) -> Result<(), Error> {
        self.update(|instance| instance.enabled = enabled)
    }

    /// Unregisters it, and waits until that is proven.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::leave`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future goes on in the background.
    pub async fn unregister(self) -> Result<(), Error> {
        self.node.leave().await
    }
}

/// Whether the znode that was found is that of the process that was at our address before.
fn is_successor(wanted: &[u8], found: &[u8]) -> bool {
    match (json::read(wanted), json::read(found)) {
        (Ok(wanted), Ok(found)) => wanted.succeeds(&found),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_self_is_told_by_its_id_and_place() {
        let mut before = ServiceInstance::new("svc", "a");
        before.address = Some("10.0.0.1".into());
        before.port = Some(80);
        before.registration_time_utc = 1;
        let is_taken_over = |change: fn(&mut ServiceInstance)| {
            let mut now = before.clone();
            now.registration_time_utc = 2;
            change(&mut now);
            let write = |instance| InstanceFormat::WithEnabled.write(instance).unwrap();
            is_successor(write(&now).as_bytes(), write(&before).as_bytes())
        };
        assert!(is_taken_over(|_| ()));
        assert!(is_taken_over(|now| now.enabled = false));
        assert!(!is_taken_over(|now| now.port = Some(81)));
        assert!(!is_taken_over(|now| now.address = None));
        assert!(!is_taken_over(|now| now.id = "b".into()));
        assert!(!is_successor(b"{}", b"{}"));
        assert!(!is_successor(b"{", b"{"));
    }
}
