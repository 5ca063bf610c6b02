//! Credentials and identities.

use std::borrow::Cow;
use std::fmt;

use bytes::BytesMut;

use crate::jute::{Decode, DecodeError, Encode, Reader, record};

/// Secret bytes, null or not, that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential<'a>(pub Option<Cow<'a, [u8]>>);

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

impl Encode for Credential<'_> {
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

impl<'a> Decode<'a> for Credential<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Option::decode(reader).map(Self)
    }
}

record! {
    /// auth: presents credentials. The answer has no body.
    pub struct AuthPacket<'a> {
        /// Always 0; ignored.
        pub kind: i32,
        /// The scheme.
        pub scheme: Cow<'a, str>,
        /// What the scheme takes for proof.
        pub auth: Credential<'a>,
    }
}

record! {
    /// One step of a SASL exchange, from the client.
    pub struct GetSaslRequest<'a> {
        /// The mechanism's bytes.
        pub token: Credential<'a>,
    }
}

record! {
    /// One step of a SASL exchange, from the server.
    pub struct SetSaslResponse<'a> {
        /// The mechanism's bytes.
        pub token: Credential<'a>,
    }
}

record! {
    /// Answers whoAmI.
    pub struct WhoAmIResponse {
        /// The connection's identities, in no order; an `ip` one always among them.
        pub client_info: Vec<ClientInfo>,
    }
}

record! {
    /// One identity of a connection.
    pub struct ClientInfo {
        /// The scheme that vouches for it.
        pub auth_scheme: String,
        /// The user's name, as far as the scheme tells.
        pub user: String,
    }
}
