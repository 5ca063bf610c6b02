//! Curator's document, byte for byte.
//!
//! ```text
//! {"name":"svc","id":"id1","address":"10.0.0.1","port":8080,"sslPort":null,"payload":null,
//!  "registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":{"parts":[
//!  {"value":"scheme","variable":true},{"value":"://","variable":false}, …]},"enabled":true}
//! ```
//!
//! on one line; `enabled` in one of the two formats only.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use super::instance::{ServiceInstance, ServiceType};
use super::payload::Payload;
use super::uri_spec::UriSpec;
use crate::error::Error;

/// Which of Curator's two documents is written; both are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InstanceFormat {
    /// Without `enabled`, as Curator writes it unless told otherwise, for the sake of readers
    /// older than the field. An instance that is not enabled cannot be written so.
    #[default]
    Compatible,
    /// With `enabled`: Curator's `JsonInstanceSerializer(class, false)`.
    WithEnabled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'i> {
    name: &'i str,
    id: &'i str,
    address: Option<&'i str>,
    port: Option<u16>,
    ssl_port: Option<u16>,
    payload: Option<&'i Payload>,
    #[serde(rename = "registrationTimeUTC")]
    registration_time_utc: i64,
    service_type: ServiceType,
    uri_spec: Option<&'i UriSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    name: Option<String>,
    id: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    ssl_port: Option<u16>,
    payload: Option<Payload>,
    #[serde(rename = "registrationTimeUTC")]
    registration_time_utc: Option<i64>,
    service_type: Option<ServiceType>,
    uri_spec: Option<UriSpec>,
    /// A null is false to Curator.
    #[serde(default = "yes")]
    enabled: Option<bool>,
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
const fn yes() -> Option<bool> {
    Some(true)
}

impl InstanceFormat {
    /// The document of `instance`.
    ///
    /// # Errors
    ///
    /// It is not enabled, and this format cannot say so.
    pub(super) fn write(self, instance: &ServiceInstance) -> Result<String, Error> {
        if self == Self::Compatible && !instance.enabled {
            return Err(Error::invalid(
                "enabled",
                "the compatible format cannot say that an instance is not",
            ));
        }
        to_text(&Written {
            name: &instance.name,
            id: &instance.id,
            address: instance.address.as_deref(),
            port: instance.port,
            ssl_port: instance.ssl_port,
            payload: instance.payload.as_ref(),
            registration_time_utc: instance.registration_time_utc,
            service_type: instance.service_type,
            uri_spec: instance.uri_spec.as_ref(),
            enabled: (self == Self::WithEnabled).then_some(instance.enabled),
        })
    }
}

/// The instance of a document in either format; what is wrong with it.
pub(super) fn read(document: &[u8]) -> Result<ServiceInstance, String> {
    let read: Read = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    Ok(ServiceInstance {
        name: read.name.unwrap_or_default(),
        id: read.id.unwrap_or_default(),
        address: read.address,
        port: read.port,
        ssl_port: read.ssl_port,
        payload: read.payload,
        registration_time_utc: read.registration_time_utc.unwrap_or_default(),
        service_type: read.service_type.unwrap_or_default(),
        uri_spec: read.uri_spec,
        enabled: read.enabled.unwrap_or(false),
    })
}

/// As Jackson writes it: without spaces.
pub(super) fn to_text(value: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Jackson);
    let written = value.serialize(&mut serializer);
    written.map_err(|error| Error::invalid("instance", error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Error::invalid("instance", error.to_string()))
}

/// Escapes control characters in upper case, and what is beyond 16 bits as two surrogates.
struct Jackson;

impl Formatter for Jackson {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        mut fragment: &str,
    ) -> io::Result<()> {
        let is_wide = |c: char| c.len_utf16() == 2;
        while let Some((at, wide)) = fragment.char_indices().find(|(_, c)| is_wide(*c)) {
            writer.write_all(&fragment.as_bytes()[..at])?;
            for unit in wide.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04X}")?;
            }
            fragment = &fragment[at + wide.len_utf8()..];
        }
        writer.write_all(fragment.as_bytes())
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
            escape => CompactFormatter.write_char_escape(writer, escape),
        }
    }
}

#[cfg(test)]
mod tests;
