//! One who offers a service.

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use super::uri_spec::UriSpec;

/// How long an instance is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceType {
    /// As long as its session: an ephemeral.
    #[default]
    Dynamic,
    /// As `Dynamic`, with a sequence in its name. Such instances of others are resolved; none is
    /// registered, as one that is found again by its name cannot be doubled.
    DynamicSequential,
    /// Until it is unregistered.
    Static,
    /// As `Static`.
    Permanent,
}

/// An instance of a service: where it is, and what it says of itself.
///
/// What is missing in a document is read as Curator reads it: as empty, 0, `None`, `Dynamic`,
/// enabled. Fields that are not known are ignored.
///
/// ```
/// use zk_recipes::naming::{Payload, ServiceInstance, UriSpec};
/// # fn main() -> Result<(), zk_recipes::Error> {
/// let mut instance = ServiceInstance::new("billing", "host-7");
/// instance.address = Some("10.0.0.7".into());
/// instance.port = Some(8080);
/// instance.payload = Some(Payload::of(&"zone-b")?);
/// instance.uri_spec = Some(UriSpec::parse("{scheme}://{address}:{port}")?);
/// assert_eq!(instance.uri().as_deref(), Some("http://10.0.0.7:8080"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceInstance {
    /// Of the service.
    pub name: String,
    /// Unique among the instances of the service.
    pub id: String,
    /// Its host, by name or number.
    pub address: Option<String>,
    /// Where it listens without TLS.
    pub port: Option<u16>,
    /// Where it listens with TLS.
    pub ssl_port: Option<u16>,
    /// Whatever else it says.
    pub payload: Option<Payload>,
    /// In milliseconds since 1970. 0 is replaced when it is registered.
    pub registration_time_utc: i64,
    /// How long it is registered.
    pub service_type: ServiceType,
    /// How its URI is made.
    pub uri_spec: Option<UriSpec>,
    /// Whether it wants to be chosen.
    pub enabled: bool,
}

impl ServiceInstance {
    /// An enabled, dynamic instance, without an address.
    pub fn new(name: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            id: id.into(),
            address: None,
            port: None,
            ssl_port: None,
            payload: None,
            registration_time_utc: 0,
            service_type: ServiceType::Dynamic,
            uri_spec: None,
            enabled: true,
        }
    }

    /// Its URI, as its `uri_spec` says; `None` without one.
    pub fn uri(&self) -> Option<String> {
        Some(self.uri_spec.as_ref()?.build(self))
    }

    /// Whether `other` must be an earlier registration of this: two processes cannot both have
    /// the id and listen there. Its payload and the rest may have changed.
    pub(super) fn succeeds(&self, other: &Self) -> bool {
        let listens = self.port.is_some() || self.ssl_port.is_some();
        self.address.is_some()
            && listens
            && (&self.name, &self.id) == (&other.name, &other.id)
            && (&self.address, self.port, self.ssl_port)
                == (&other.address, other.port, other.ssl_port)
    }
}
