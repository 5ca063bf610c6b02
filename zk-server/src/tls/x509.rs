//! Names in certificates, as Java's `X500Principal.getName()` prints them: they are ids in
//! ACLs, and peers of both kinds have to make the same of a certificate.

use std::fmt::Write as _;
use std::str::FromStr as _;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{BmpString, Ia5StringRef, PrintableStringRef, TeletexStringRef};
use x509_cert::der::{Decode as _, Encode as _, Tag, Tagged as _};
use x509_cert::name::RdnSequence;

/// The types that RFC 2253 has a short name for. Others are printed by their numbers.
const KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The subject of a certificate; `None` if that cannot be read.
pub(super) fn subject(certificate: &[u8]) -> Option<String> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    print(&certificate.tbs_certificate.subject)
}

/// Whether an ACL may hold `id`.
pub(crate) fn is_valid(id: &str) -> bool {
    RdnSequence::from_str(id).is_ok()
}

/// The last part first.
fn print(name: &RdnSequence) -> Option<String> {
    let mut text = String::new();
    for (at, part) in name.0.iter().rev().enumerate() {
        for (nth, attribute) in part.0.iter().enumerate() {
            match (at, nth) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            print_attribute(attribute, &mut text)?;
        }
    }
    Some(text)
}

fn print_attribute(attribute: &AttributeTypeAndValue, text: &mut String) -> Option<()> {
    let oid = attribute.oid.to_string();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid);
    if let (Some((_, keyword)), Some(value)) = (keyword, string(attribute)) {
        let _ = write!(text, "{keyword}=");
        escape(&value, text);
        return Some(());
    }
    let name = keyword.map_or(oid.as_str(), |(_, keyword)| keyword);
    let _ = write!(text, "{name}=#");
    for byte in attribute.value.to_der().ok()? {
        let _ = write!(text, "{byte:02x}");
    }
    Some(())
}

fn string(attribute: &AttributeTypeAndValue) -> Option<String> {
    let value = &attribute.value;
    let latin1 = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect();
    match value.tag() {
        Tag::Utf8String => value.decode_as().ok(),
        Tag::PrintableString => Some(latin1(
            value.decode_as::<PrintableStringRef<'_>>().ok()?.as_bytes(),
        )),
        Tag::Ia5String => Some(latin1(
            value.decode_as::<Ia5StringRef<'_>>().ok()?.as_bytes(),
        )),
        Tag::TeletexString => Some(latin1(
            value.decode_as::<TeletexStringRef<'_>>().ok()?.as_bytes(),
        )),
        Tag::BmpString => Some(value.decode_as::<BmpString>().ok()?.to_string()),
        _ => None,
    }
}

/// Java escapes `=` and `#` everywhere, and white space at both ends.
fn escape(value: &str, text: &mut String) {
    let is_space = |c: char| c == ' ' || c == '\r';
    let inner_end = value.trim_end_matches(is_space).len();
    let inner_start = value.len() - value.trim_start_matches(is_space).len();
    for (at, c) in value.char_indices() {
        match c {
            '\0' => text.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => text.extend(['\\', c]),
            _ if at < inner_start || at >= inner_end => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn subject_of(parts: &[(DnType, &str)]) -> String {
        let mut name = DistinguishedName::new();
        for (kind, value) in parts {
            name.push(kind.clone(), *value);
        }
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name = name;
        let key = KeyPair::generate().unwrap();
        subject(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn the_last_part_comes_first() {
        let parts = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Zoo"),
            (DnType::CommonName, "keeper"),
        ];
        assert_eq!(subject_of(&parts), "CN=keeper,O=Zoo,C=DE");
    }

    #[test]
    fn what_would_be_read_otherwise_is_escaped() {
        let name = subject_of(&[(DnType::CommonName, " a,b=c#\\d ")]);
        assert_eq!(name, r"CN=\ a\,b\=c\#\\d\ ");
        assert_eq!(subject_of(&[(DnType::CommonName, "Zoë")]), "CN=Zoë");
    }

    #[test]
    fn types_without_a_short_name_are_numbers() {
        let email = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
        let name = subject_of(&[(DnType::CommonName, "a"), (email, "e")]);
        assert_eq!(name, "1.2.840.113549.1.9.1=#0c0165,CN=a");
    }

    #[test]
    fn an_id_is_a_name() {
        assert!(is_valid("CN=keeper,O=Zoo,C=DE"));
        assert!(is_valid("1.2.840.113549.1.9.1=#0c0165,CN=a"));
        assert!(!is_valid("keeper"));
    }
}
