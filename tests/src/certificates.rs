//! An authority for tests, and what it signs. Everything is made anew for each test.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

/// Signs certificates.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS#8.
    pub key: String,
    serial: u64,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Valid,
    /// Until the year 2001.
    Expired,
    /// From the year 2900 on.
    NotYet,
}

/// Whom a server's certificate is for in most tests: wherever tests listen.
pub const LOOPBACK: &[&str] = &["localhost", "127.0.0.1"];

impl Authority {
    /// One of this name, that nobody has heard of.
    ///
    /// # Panics
    ///
    /// If no key can be made.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A server's certificate for these names and addresses.
    pub fn server(&self, names: &[&str], validity: Validity) -> Signed {
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.sign(params("server", names, validity, usage))
    }

    /// A client's certificate with this common name, in the organisation `tests`.
    pub fn client(&self, name: &str, validity: Validity) -> Signed {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let mut params = params(name, &[], validity, usage);
        let subject = &mut params.distinguished_name;
        subject.push(DnType::OrganizationName, "tests");
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Signed {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            serial: serial_of(&params),
        }
    }

    /// A list by which these are revoked, in PEM; valid now.
    ///
    /// # Panics
    ///
    /// If it cannot be signed.
    pub fn revocations(&self, revoked: &[&Signed]) -> String {
        let revoked = revoked.iter().map(|signed| RevokedCertParams {
            serial_number: SerialNumber::from(signed.serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2900, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }
}

/// A server's certificate that it has signed itself.
///
/// # Panics
///
/// If no key can be made.
pub fn self_signed(names: &[&str]) -> Signed {
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    let params = params("self", names, Validity::Valid, usage);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Signed {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        serial: serial_of(&params),
    }
}

fn params(
    name: &str,
    names: &[&str],
    validity: Validity,
    usage: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names.iter().map(|name| alternative(name)).collect();
    params.extended_key_usages = vec![usage];
    params.serial_number = Some(SerialNumber::from(next_serial()));
    let (from, until) = match validity {
        Validity::Valid => (2000, 2900),
        Validity::Expired => (2000, 2001),
        Validity::NotYet => (2900, 2901),
    };
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

fn alternative(name: &str) -> SanType {
    match name.parse::<Ipv4Addr>() {
        Ok(address) => SanType::IpAddress(IpAddr::V4(address)),
        Err(_) => SanType::DnsName(name.try_into().expect("a name")),
    }
}

fn next_serial() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(1_000);
    LAST.fetch_add(1, Ordering::Relaxed)
}

fn serial_of(params: &CertificateParams) -> u64 {
    let bytes = params.serial_number.as_ref().map(SerialNumber::to_bytes);
    let bytes = bytes.unwrap_or_default();
    bytes
        .iter()
        .fold(0, |serial, byte| serial << 8 | u64::from(*byte))
}
