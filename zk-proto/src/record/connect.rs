//! The handshake: the first frame in each direction, without a header.

use bytes::BytesMut;

use crate::ids::{Password, SessionId, Zxid};
use crate::jute::{Decode, DecodeError, Encode, Reader};

/// Opens or resumes a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Always 0; ignored by servers.
    pub protocol_version: i32,
    /// The newest transaction the client has seen; a server that is behind refuses.
    pub last_zxid_seen: Zxid,
    /// The session timeout asked for, in milliseconds.
    pub timeout_ms: i32,
    /// The session to resume, or none.
    pub session_id: SessionId,
    /// Its password.
    pub password: Password,
    /// Whether a read-only server will do. `None` leaves the byte out, as clients
    /// before 3.4 do; the server then leaves it out of its response.
    pub read_only: Option<bool>,
}

/// Answers a [`ConnectRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0; ignored by clients.
    pub protocol_version: i32,
    /// The negotiated session timeout in milliseconds; 0 or less says that the
    /// session is gone.
    pub timeout_ms: i32,
    /// The session's id.
    pub session_id: SessionId,
    /// The session's password.
    pub password: Password,
    /// Whether the server is read-only; absent if the request lacked the byte.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// What a server says of a session that is gone, unknown, or whose password
    /// is wrong: they cannot be told apart.
    pub fn expired(read_only: Option<bool>) -> Self {
        Self {
            protocol_version: 0,
            timeout_ms: 0,
            session_id: SessionId::NONE,
            password: Password::none(),
            read_only,
        }
    }
}

/// The trailing byte came with 3.4.0 and may be missing.
fn decode_trailer(reader: &mut Reader<'_>) -> Result<Option<bool>, DecodeError> {
    if reader.remaining() == 0 {
        Ok(None)
    } else {
        bool::decode(reader).map(Some)
    }
}

fn encode_trailer(read_only: Option<bool>, out: &mut BytesMut) {
    if let Some(read_only) = read_only {
        read_only.encode(out);
    }
}

impl Encode for ConnectRequest {
    fn encode(&self, out: &mut BytesMut) {
        self.protocol_version.encode(out);
        self.last_zxid_seen.encode(out);
        self.timeout_ms.encode(out);
        self.session_id.encode(out);
        self.password.encode(out);
        encode_trailer(self.read_only, out);
    }
}

impl<'a> Decode<'a> for ConnectRequest {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = |field| move |error: DecodeError| error.within("ConnectRequest", field);
        Ok(Self {
            protocol_version: i32::decode(reader).map_err(at("protocol_version"))?,
            last_zxid_seen: Zxid::decode(reader).map_err(at("last_zxid_seen"))?,
            timeout_ms: i32::decode(reader).map_err(at("timeout_ms"))?,
            session_id: SessionId::decode(reader).map_err(at("session_id"))?,
            password: Password::decode(reader).map_err(at("password"))?,
            read_only: decode_trailer(reader).map_err(at("read_only"))?,
        })
    }
}

impl Encode for ConnectResponse {
    fn encode(&self, out: &mut BytesMut) {
        self.protocol_version.encode(out);
        self.timeout_ms.encode(out);
        self.session_id.encode(out);
        self.password.encode(out);
        encode_trailer(self.read_only, out);
    }
}

impl<'a> Decode<'a> for ConnectResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = |field| move |error: DecodeError| error.within("ConnectResponse", field);
        Ok(Self {
            protocol_version: i32::decode(reader).map_err(at("protocol_version"))?,
            timeout_ms: i32::decode(reader).map_err(at("timeout_ms"))?,
            session_id: SessionId::decode(reader).map_err(at("session_id"))?,
            password: Password::decode(reader).map_err(at("password"))?,
            read_only: decode_trailer(reader).map_err(at("read_only"))?,
        })
    }
}
