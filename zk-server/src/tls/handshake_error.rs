//! What became of a handshake, in words that help whoever runs the server.

use std::io;

use rustls::CertificateError as Bad;
use rustls::Error;

/// Why a client was refused, and what to do about it.
pub(super) fn explain(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => explain_tls(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client left in the middle of it; its own log may say why".to_owned()
        }
        None => error.to_string(),
    }
}

fn explain_tls(error: &Error) -> String {
    let advice = match error {
        Error::InvalidMessage(_) => {
            "the client does not speak TLS: have it do so, or connect to clientPort"
        }
        Error::NoCertificatesPresented => {
            "the client has no certificate: give it one, or set ssl.clientAuth=want"
        }
        Error::PeerIncompatible(_) => {
            "the client speaks no version of TLS or no cipher suite that is enabled here: it \
             needs TLSv1.2 or newer, and what ssl.enabledProtocols allows"
        }
        Error::AlertReceived(_) => {
            "the client refused: it has to trust the authority of the certificate in \
             ssl.keyStore.location, and that has to name the host"
        }
        Error::InvalidCertificate(bad) => explain_certificate(bad),
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

fn explain_certificate(bad: &Bad) -> &'static str {
    match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            "the client's certificate has expired: renew it"
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "the client's certificate is not valid yet: look at the clocks of both machines"
        }
        Bad::Revoked => "the client's certificate is revoked: give it another one",
        Bad::UnknownIssuer => {
            "the client's certificate is signed by none of the authorities in \
             ssl.trustStore.location: add its own there, or have it signed by one of them"
        }
        _ => "the client's certificate is refused",
    }
}
