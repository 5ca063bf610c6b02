//! Configuration: values set one by one, or the text of a `zoo.cfg`.

mod admin;
mod builder;
pub(crate) mod ensemble;
mod jaas;
mod key_table;
mod load;
mod note;
pub(crate) mod properties;
mod sasl;
mod sasl_keys;
mod server_config;
mod storage;
#[cfg(test)]
mod tests;
mod tls;
mod tls_keys;
mod value;
mod zoo_cfg;

pub use builder::ServerConfigBuilder;
pub use ensemble::EnsembleConfig;
#[cfg(feature = "tls")]
pub(crate) use load::read;
pub use note::ConfigNote;
pub(crate) use sasl::SaslConfig;
pub use server_config::{FourLetterWords, ServerConfig};
pub(crate) use storage::StorageConfig;
pub use tls::{ClientAuth, TlsConfig};
pub use zoo_cfg::ZooCfg;
