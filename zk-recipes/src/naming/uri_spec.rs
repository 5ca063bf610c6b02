//! How the URI of an instance is made.

use serde::{Deserialize, Serialize};

use super::instance::{ServiceInstance, ServiceType};
use crate::error::Error;

/// A piece of a URI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UriPart {
    /// The text, or the name of the variable.
    pub value: String,
    /// Whether an instance's value takes its place.
    #[serde(default)]
    pub variable: bool,
}

/// A URI with variables: `scheme` (`https` with an SSL port, else `http`), `name`, `id`,
/// `address`, `port`, `ssl-port`, `registration-time-utc`, `service-type`, and `[` and `]` for
/// braces. Those without a value, and others, are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UriSpec {
    /// In their order.
    #[serde(default)]
    pub parts: Vec<UriPart>,
}

impl UriSpec {
    /// From text with variables in braces, such as `{scheme}://{address}:{port}`.
    ///
    /// # Errors
    ///
    /// The braces do not match, or nest.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::invalid("uri_spec", reason);
        let mut parts = Vec::new();
        let mut push = |value: &str, variable| {
            if !value.is_empty() {
                let value = value.to_owned();
                parts.push(UriPart { value, variable });
            }
        };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| invalid("a brace is not closed"))?;
            if before.contains('}') || name.contains('{') {
                return Err(invalid("braces do not match"));
            }
            push(before, false);
            push(name.trim(), true);
            rest = after;
        }
        if rest.contains('}') {
            return Err(invalid("braces do not match"));
        }
        push(rest, false);
        Ok(Self { parts })
    }

    /// The URI of `instance`.
    pub fn build(&self, instance: &ServiceInstance) -> String {
        let pieces = self.parts.iter().filter_map(|part| match part.variable {
            true => value(instance, &part.value),
            false => Some(part.value.clone()),
        });
        pieces.collect()
    }
}

fn value(instance: &ServiceInstance, variable: &str) -> Option<String> {
    let service_type = match instance.service_type {
        ServiceType::Dynamic => "dynamic",
        ServiceType::DynamicSequential => "dynamic_sequential",
        ServiceType::Static => "static",
        ServiceType::Permanent => "permanent",
    };
    let scheme = instance.ssl_port.map_or("http", |_| "https");
    match variable {
        "scheme" => Some(scheme.to_owned()),
        "name" => Some(instance.name.clone()),
        "id" => Some(instance.id.clone()),
        "address" => instance.address.clone(),
        "port" => instance.port.map(|port| port.to_string()),
        "ssl-port" => instance.ssl_port.map(|port| port.to_string()),
        "registration-time-utc" => Some(instance.registration_time_utc.to_string()),
        "service-type" => Some(service_type.to_owned()),
        "[" => Some("{".to_owned()),
        "]" => Some("}".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As curator-x-discovery 5.9.0 makes it.
    #[test]
    fn a_uri_is_curators() {
        let spec = "{scheme}://x/{name}/{id}/{ssl-port}/{registration-time-utc}/{service-type}/\
                    {[}{]}/{ foo }{address}";
        let mut instance = ServiceInstance::new("svc", "id1");
        instance.address = Some("10.0.0.1".into());
        instance.ssl_port = Some(8443);
        instance.registration_time_utc = 1_700_000_000_000;
        instance.service_type = ServiceType::Static;
        instance.uri_spec = Some(UriSpec::parse(spec).unwrap());
        let uri = "https://x/svc/id1/8443/1700000000000/static/{}/10.0.0.1";
        assert_eq!(instance.uri().as_deref(), Some(uri));
    }

    #[test]
    fn braces_match() {
        let count = |text| UriSpec::parse(text).unwrap().parts.len();
        assert_eq!(["", "{}", "x", "{a}{b}"].map(count), [0, 0, 1, 2]);
        for bad in ["a}b", "{a", "{{a}}", "a}{b}"] {
            assert!(UriSpec::parse(bad).is_err(), "{bad}");
        }
    }
}
