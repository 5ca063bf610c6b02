//! What went wrong, and what to do about it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

pub(super) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The same error in words that help, if it is one of TLS.
pub(super) fn explained(error: io::Error) -> io::Error {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let Some(advice) = tls.and_then(advice) else {
        return error;
    };
    io::Error::new(error.kind(), format!("TLS: {error}: {advice}"))
}

/// The server closed before it had shown a certificate.
pub(super) fn closed_early(error: io::Error) -> io::Error {
    let advice = "the server closed the connection instead of answering in TLS: is this its port for TLS (secureClientPort)?";
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            io::Error::new(error.kind(), format!("TLS: {error}: {advice}"))
        }
        _ => explained(error),
    }
}

fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::InvalidCertificate(reason) => certificate(reason),
        Error::InvalidCertRevocationList(_) => {
            Some("the revocation list given to this client cannot be used")
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(
            "the server does not speak TLS here: is this its port for plain text (clientPort)?",
        ),
        Error::AlertReceived(alert) => refusal(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Some("the server speaks only versions that are too old for this client"),
        _ => None,
    }
}

/// Of the server's certificate.
fn certificate(reason: &CertificateError) -> Option<&'static str> {
    use CertificateError as E;
    Some(match reason {
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "the server's certificate is another host's: connect by a name that it has, or see Tls::server_name"
        }
        E::Expired | E::ExpiredContext { .. } => {
            "the server's certificate has to be renewed, or this machine's clock is wrong"
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet, or this machine's clock is wrong"
        }
        E::UnknownIssuer => {
            "no root that this client trusts has signed the server's certificate: give its authority's with Tls::with_roots_file"
        }
        E::Revoked => "its authority has revoked the server's certificate: it needs a new one",
        E::Other(_) => {
            "the server's certificate cannot be used: an authority's own, or an old version?"
        }
        _ => return None,
    })
}

/// What the server says of us.
const fn refusal(alert: AlertDescription) -> Option<&'static str> {
    use AlertDescription as A;
    Some(match alert {
        A::CertificateRequired => {
            "the server wants this client's certificate: see Tls::identity_files"
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => {
            "the server does not accept this client's certificate, or wants one: it has to trust its authority (ssl.trustStore)"
        }
        A::CertificateExpired => "the server says that this client's certificate has expired",
        A::CertificateRevoked => "the server says that this client's certificate is revoked",
        A::ProtocolVersion => "the server speaks other versions of TLS: see Tls::min_version",
        A::HandshakeFailure => {
            "the server finds nothing in common (versions, cipher suites, a certificate of this client), or this is not its port for TLS (secureClientPort)"
        }
        A::UnrecognisedName => {
            "the server does not know the name it is asked for: see Tls::server_name"
        }
        _ => return None,
    })
}
