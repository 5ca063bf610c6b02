//! Names of services: register instances, and resolve them. Curator's `x-discovery` on the wire.

mod discovery;
mod instance;
mod json;
mod payload;
mod provider;
mod registration;
mod strategy;
mod uri_spec;

pub use discovery::{ServiceDiscovery, ServiceDiscoveryBuilder};
pub use instance::{ServiceInstance, ServiceType};
pub use json::InstanceFormat;
pub use payload::Payload;
pub use provider::{Resolved, ResolvedInstances, ServiceProvider};
pub use registration::ServiceRegistration;
pub use strategy::{Chooser, ProviderStrategy};
pub use uri_spec::{UriPart, UriSpec};
