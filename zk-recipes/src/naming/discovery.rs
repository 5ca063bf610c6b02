//! Services below one znode.
//!
//! ```text
//! <base>                      a container
//! <base>/<service>            a container: a service without instances disappears
//! <base>/<service>/<id>       ephemeral, or persistent, as its type says; data: JSON
//! ```

use std::time::UNIX_EPOCH;

use zk_client::{Acl, Client, ErrorCode, ProtectedId};
use zk_proto::path;

use super::instance::ServiceInstance;
use super::json::InstanceFormat;
use super::provider::ServiceProvider;
use super::registration::ServiceRegistration;
use crate::error::Error;

/// Services by name, in the layout and the bytes of Curator's `x-discovery`, so that Java and
/// Spring Cloud services find ours and are found.
///
/// | | |
/// |---|---|
/// | who wins | an id that is taken by an instance elsewhere: `NameTaken` at first, afterwards it is waited for |
/// | who wins, of persistent types | the last: what another has registered there is overwritten |
/// | its own previous znode | taken over by one transaction: nobody sees the instance missing |
/// | a bad instance | told with its reason and its bytes, beside the others |
/// | connection lost | instances as last seen; afterwards the difference is told |
/// | session expired | the others see a dynamic instance go; it is registered again in the next session |
/// | cancelled, or a lost reply | nothing is doubled: the name is fixed |
/// | token | none: being registered is no ownership |
///
/// Own is what this client registered, in any of its sessions, and what was there before with
/// the same id, address and ports, which is what a restarted process finds. Instances
/// without an address or a port take over nothing else than the first.
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::naming::{ProviderStrategy, ServiceDiscovery};
/// let services = ServiceDiscovery::builder(&client, "/services").build()?;
///
/// let mut instance = services.instance("billing");
/// instance.address = Some("10.0.0.7".into());
/// instance.port = Some(8080);
/// let registration = services.register(instance).await?;
///
/// let billing = services.resolve("billing").await?;
/// let mut chooser = billing.chooser(ProviderStrategy::RoundRobin);
/// if let Some(instance) = chooser.choose() {
///     println!("{:?}:{:?}", instance.address, instance.port);
/// }
/// registration.unregister().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ServiceDiscovery {
    client: Client,
    base: String,
    format: InstanceFormat,
    acl: Option<Vec<Acl>>,
}

impl ServiceDiscovery {
    /// The services below `base`.
    pub fn builder(client: &Client, base: &str) -> ServiceDiscoveryBuilder {
        ServiceDiscoveryBuilder {
            discovery: Self {
                client: client.clone(),
                base: base.to_owned(),
                format: InstanceFormat::default(),
                acl: None,
            },
        }
    }

    /// A new instance of `service`, with a random id, to be filled in.
    pub fn instance(&self, service: &str) -> ServiceInstance {
        let id = ProtectedId::new(&self.client).to_string();
        let id = id.trim_start_matches("_c_").trim_end_matches('-');
        ServiceInstance::new(service, id)
    }

    /// Registers `instance`, and waits until its znode is there.
    ///
    /// # Errors
    ///
    /// `NameTaken` if another instance has the id; `InvalidArgument` for what cannot be
    /// written, or is sequential; `Client` for what waiting does not cure.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future unregisters it in the background.
    pub async fn register(
        &self,
        mut instance: ServiceInstance,
    ) -> Result<ServiceRegistration, Error> {
        if instance.id.is_empty() || instance.id.contains('/') {
            return Err(Error::invalid("id", "it is empty or has a slash"));
        }
        if instance.registration_time_utc == 0 {
            instance.registration_time_utc = self.now();
        }
        let path = path::join(&self.service_path(&instance.name)?, &instance.id);
        let (format, acl) = (self.format, self.acl.clone());
        ServiceRegistration::start(&self.client, &path, instance, format, acl).await
    }

    /// A view of the instances of `service`, which need not exist, once they have been read.
    ///
    /// # Errors
    ///
    /// `Client` if its name is not valid, or it may not be read.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn resolve(&self, service: &str) -> Result<ServiceProvider, Error> {
        ServiceProvider::start(&self.client, &self.service_path(service)?).await
    }

    /// The services that have been registered here, in their order. Some may have no instance.
    ///
    /// # Errors
    ///
    /// As [`Client::get_children`], but for a missing base, which has none.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn services(&self) -> Result<Vec<String>, Error> {
        let mut services = match self.client.get_children(&self.base, None).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Vec::new(),
            services => services?,
        };
        services.sort_unstable();
        Ok(services)
    }

    fn service_path(&self, service: &str) -> Result<String, Error> {
        if service.is_empty() {
            return Err(Error::invalid("service", "it is empty"));
        }
        let path = path::join(&self.base, service);
        path::validate(&path).map_err(zk_client::Error::from)?;
        Ok(path)
    }

    /// In milliseconds since 1970; 0 before.
    fn now(&self) -> i64 {
        let since = self.client.env().wall().duration_since(UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        i64::try_from(millis).unwrap_or(i64::MAX)
    }
}

/// Options of a [`ServiceDiscovery`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct ServiceDiscoveryBuilder {
    discovery: ServiceDiscovery,
}

impl ServiceDiscoveryBuilder {
    /// How instances are written. Default: without `enabled`, as Curator does.
    pub const fn format(mut self, format: InstanceFormat) -> Self {
        self.discovery.format = format;
        self
    }

    /// The ACL of instances; whoever resolves needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.discovery.acl = Some(acl);
        self
    }

    /// The services; nothing is sent.
    ///
    /// # Errors
    ///
    /// The path is not valid.
    pub fn build(self) -> Result<ServiceDiscovery, Error> {
        path::validate(&self.discovery.base).map_err(zk_client::Error::from)?;
        Ok(self.discovery)
    }
}
