//! The documents are what curator-x-discovery 5.9.0 has written.

use super::*;

/// Without `enabled`.
const PLAIN: &str = r#"{"name":"svc","id":"id1","address":"10.0.0.1","port":8080,"sslPort":null,"payload":null,"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},{"value":"address","variable":true},{"value":":","variable":false},{"value":"port","variable":true}]}}"#;

/// With `enabled`, and what it has no value for is null.
const TYPED: &str = r#"{"name":"svc","id":"id1","address":"10.0.0.1","port":8080,"sslPort":8443,"payload":{"@class":"java.util.LinkedHashMap","zone":"b","a":1},"registrationTimeUTC":1700000000000,"serviceType":"PERMANENT","uriSpec":null,"enabled":false}"#;

const ESCAPED: &str = r#""é\u001F\u0001"#;

fn plain() -> ServiceInstance {
    let mut instance = ServiceInstance::new("svc", "id1");
    instance.address = Some("10.0.0.1".into());
    instance.port = Some(8080);
    instance.registration_time_utc = 1_700_000_000_000;
    instance.uri_spec = Some(UriSpec::parse("{scheme}://{address}:{port}").unwrap());
    instance
}

fn typed() -> ServiceInstance {
    let mut instance = plain();
    instance.ssl_port = Some(8443);
    let payload = r#"{"@class":"java.util.LinkedHashMap","zone":"b","a":1}"#;
    instance.payload = Some(Payload::from_json(payload).unwrap());
    instance.service_type = ServiceType::Permanent;
    instance.uri_spec = None;
    instance.enabled = false;
    instance
}

#[test]
fn both_formats_are_curators() {
    let (compatible, with_enabled) = (InstanceFormat::Compatible, InstanceFormat::WithEnabled);
    assert_eq!(compatible.write(&plain()).unwrap(), PLAIN);
    let enabled = format!("{},\"enabled\":true}}", PLAIN.strip_suffix('}').unwrap());
    assert_eq!(with_enabled.write(&plain()).unwrap(), enabled);
    assert_eq!(with_enabled.write(&typed()).unwrap(), TYPED);
    assert!(compatible.write(&typed()).is_err());
}

#[test]
fn both_formats_are_read() {
    assert_eq!(read(PLAIN.as_bytes()).unwrap(), plain());
    assert_eq!(read(TYPED.as_bytes()).unwrap(), typed());
}

#[test]
fn characters_are_escaped_as_by_jackson() {
    let text = "é\u{1f}\u{1}\u{7f}\n\"\\/\u{8}\u{c}\u{1F600}\u{2028}";
    let rest = "\u{7f}\\n\\\"\\\\/\\b\\f\\uD83D\\uDE00\u{2028}\"";
    assert_eq!(to_text(text).unwrap(), format!("{ESCAPED}{rest}"));
}

#[test]
fn what_is_missing_is_what_it_is_to_curator() {
    let least = ServiceInstance::new("n", "i");
    assert_eq!(read(br#"{"name":"n","id":"i"}"#).unwrap(), least);
    let nulls = br#"{"name":"n","id":"i","port":null,"registrationTimeUTC":null,"x":[1]}"#;
    assert_eq!(read(nulls).unwrap(), least);
    let null = br#"{"name":"n","id":"i","enabled":null}"#;
    assert!(!read(null).unwrap().enabled);
    let nameless = read(br#"{"id":"i"}"#).unwrap();
    assert_eq!(nameless.name, "");
}

#[test]
fn what_is_no_instance_is_told() {
    for bad in ["", "[]", "{", r#"{"port":"x"}"#, r#"{"serviceType":"X"}"#] {
        assert!(read(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(read(b"\xff").is_err());
}
