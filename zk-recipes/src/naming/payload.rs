//! What an instance says of itself, as JSON that is passed through as it is.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::to_text;
use crate::error::Error;

/// A document in JSON, kept character by character: a type named by `@class`, for which Java
/// alone has use, survives.
///
/// Curator's Java clients read a payload without `@class` as a map; one with the name of a class
/// that they do not have makes the whole instance unreadable to them. Their own have forms like
/// `{"@class":"com.example.Payload","zone":"b"}`, `"text"`, `5`, and `["java.lang.Long",5]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

impl Payload {
    /// `value` without a type: a string, number, or boolean, or what is a map to Java.
    ///
    /// # Errors
    ///
    /// It cannot be written as JSON.
    pub fn of(value: &impl Serialize) -> Result<Self, Error> {
        Self::from_json(to_text(value)?)
    }

    /// `value`, which must be an object, as one of the Java class `class`.
    ///
    /// # Errors
    ///
    /// It cannot be written as a JSON object.
    pub fn with_class(class: &str, value: &impl Serialize) -> Result<Self, Error> {
        let (class, value) = (to_text(class)?, to_text(value)?);
        let fields = value.strip_prefix('{');
        let fields =
            fields.ok_or_else(|| Error::invalid("payload", "only an object has a class"))?;
        let comma = if fields == "}" { "" } else { "," };
        Self::from_json(format!("{{\"@class\":{class}{comma}{fields}"))
    }

    /// `json`, as it is.
    ///
    /// # Errors
    ///
    /// It is not JSON.
    pub fn from_json(json: impl Into<String>) -> Result<Self, Error> {
        let value = RawValue::from_string(json.into());
        let value = value.map_err(|error| Error::invalid("payload", error.to_string()))?;
        Ok(Self(value))
    }

    /// The JSON.
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// As a value. A struct that does not ask for `@class` ignores it.
    ///
    /// # Errors
    ///
    /// It is not of this type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let value = serde_json::from_str(self.json());
        value.map_err(|error| Error::invalid("payload", error.to_string()))
    }
}

/// Character by character.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Eq for Payload {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_class_is_added_and_ignored() {
        let fields = BTreeMap::from([("zone", "b")]);
        let payload = Payload::with_class("com.example.P", &fields).unwrap();
        assert_eq!(payload.json(), r#"{"@class":"com.example.P","zone":"b"}"#);
        let none = Payload::with_class("X", &BTreeMap::<String, u8>::new()).unwrap();
        assert_eq!(none.json(), r#"{"@class":"X"}"#);
        assert!(Payload::with_class("X", &5).is_err());

        #[derive(Deserialize)]
        struct Fields {
            zone: String,
        }
        assert_eq!(payload.parse::<Fields>().unwrap().zone, "b");
        assert!(payload.parse::<u64>().is_err());
    }

    #[test]
    fn json_is_kept_as_it_is() {
        let odd = r#"{ "b" : 1.50, "a": ["java.lang.Long",5] }"#;
        assert_eq!(Payload::from_json(odd).unwrap().json(), odd);
        assert!(Payload::from_json("{").is_err());
    }
}
