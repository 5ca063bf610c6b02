//! One connection: first the handshake, then requests, then nothing more.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tracing::debug;
use zk_proto::record::{
    ConnectRequest, ConnectResponse, Credential, SetSaslResponse, WatcherEvent,
};
use zk_proto::{
    AclId, Decode, DecodeError, Encode, ErrorCode, KeeperState, OpCode, Reader, ReplyHeader,
    RequestHeader, SessionId, Xid, Zxid, encode_frame,
};

use crate::auth::{SaslExchange, SaslStep, Schemes, host_address};
use crate::session::password;
use crate::tree::WatchedEvent;

/// More identities than anybody has; each one makes every check dearer.
const MAX_IDENTITIES: usize = 1000;

/// Room made at once for output, a few usual answers.
const OUTBOX_CHUNK: usize = 512;

/// Bytes of output up to which the buffer is kept for the next one. Once its bytes
/// have been written it serves again, and a connection that sends one request at a
/// time costs no allocation for its answers.
const REUSED_OUTBOX: usize = 4096;

/// The server's end of one client connection.
#[derive(Debug)]
pub(crate) struct Connection {
    peer: SocketAddr,
    state: State,
    /// `SessionId::NONE` before the handshake.
    session: SessionId,
    timeout_ms: i32,
    /// Who the client is: its address, and what it has proved since.
    identities: Vec<AclId>,
    /// Where SASL stands, if the server does it.
    sasl: Option<SaslExchange>,
    outbox: BytesMut,
    /// Whole frames in `outbox`.
    frames: u32,
    last: LastRequest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next frame is a ConnectRequest.
    Handshake,
    /// It has come, and the session is not open yet: no frame may come.
    Connecting,
    /// Frames are requests.
    Established,
    /// What is queued is still sent; what comes in is ignored (ZOOKEEPER-4907).
    Closing,
}

/// The last request answered, for `cons`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastRequest {
    pub(crate) op: &'static str,
    pub(crate) cxid: i32,
    pub(crate) zxid: Zxid,
}

/// What a frame turned out to be.
#[derive(Debug)]
pub(crate) enum Received<'f> {
    /// The handshake.
    Connect(ConnectRequest),
    /// A request for the pipeline.
    Request(Request<'f>),
    /// Nothing for others to act on: answered, or ignored.
    Handled,
}

/// A request, its body not yet read.
#[derive(Debug)]
pub(crate) struct Request<'f> {
    pub(crate) session: SessionId,
    pub(crate) xid: Xid,
    /// Any number a client cares to send.
    pub(crate) op: i32,
    pub(crate) body: Reader<'f>,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, sasl: Option<SaslExchange>) -> Self {
        Self {
            peer,
            state: State::Handshake,
            session: SessionId::NONE,
            timeout_ms: 0,
            identities: vec![AclId::new("ip", host_address(peer.ip()))],
            sasl,
            outbox: BytesMut::new(),
            frames: 0,
            last: LastRequest {
                op: "NA",
                cxid: -1,
                zxid: Zxid(-1),
            },
        }
    }

    pub(crate) const fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) const fn timeout_ms(&self) -> i32 {
        self.timeout_ms
    }

    pub(crate) const fn last(&self) -> LastRequest {
        self.last
    }

    pub(crate) fn identities(&self) -> &[AclId] {
        &self.identities
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.state == State::Closing
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    /// A frame's payload has arrived. Authentication is dealt with here, ahead of
    /// the pipeline; so is a frame that is none.
    pub(crate) fn handle_frame<'f>(&mut self, frame: &'f Bytes, schemes: &Schemes) -> Received<'f> {
        let mut reader = Reader::new(frame);
        match self.state {
            State::Closing | State::Connecting => Received::Handled,
            State::Handshake => match ConnectRequest::decode(&mut reader) {
                Ok(request) => Received::Connect(request),
                Err(error) => self.reject(&error),
            },
            State::Established => match RequestHeader::decode(&mut reader) {
                Ok(header) => self.handle_request(header, reader, schemes),
                Err(error) => self.reject(&error),
            },
        }
    }

    fn handle_request<'f>(
        &mut self,
        header: RequestHeader,
        body: Reader<'f>,
        schemes: &Schemes,
    ) -> Received<'f> {
        if header.op == i32::from(OpCode::Auth) {
            return self.handle_auth(header.xid, body, schemes);
        }
        if header.op == i32::from(OpCode::Sasl) {
            return self.handle_sasl(header.xid, body, schemes);
        }
        if !schemes.admits(&self.identities) {
            let error = ErrorCode::SessionClosedRequireSaslAuth;
            self.reply(header.xid, Zxid::ZERO, error, &());
            self.close();
            return Received::Handled;
        }
        Received::Request(Request {
            session: self.session,
            xid: header.xid,
            op: header.op,
            body,
        })
    }

    /// Bytes that are not what they should be where no reply can say so.
    fn reject(&mut self, error: &DecodeError) -> Received<'static> {
        debug!(peer = %self.peer, session = %self.session, %error, "closing the connection");
        self.close();
        Received::Handled
    }

    fn handle_auth(
        &mut self,
        xid: Xid,
        mut body: Reader<'_>,
        schemes: &Schemes,
    ) -> Received<'static> {
        let (scheme, credential) = match decode_auth_packet(&mut body) {
            Ok(packet) => packet,
            Err(error) => return self.reject(&error),
        };
        let identities = schemes
            .authenticate(scheme.as_deref(), credential.0.as_deref(), self.peer.ip())
            .ok()
            .filter(|_| self.identities.len() < MAX_IDENTITIES);
        let Some(identities) = identities else {
            debug!(peer = %self.peer, session = %self.session, "authentication failed");
            self.reply(xid, Zxid::ZERO, ErrorCode::AuthFailed, &());
            self.close();
            return Received::Handled;
        };
        self.add_identities(identities);
        self.reply(xid, Zxid::ZERO, ErrorCode::Ok, &());
        Received::Handled
    }

    /// A server that has no SASL answers every token with null, as Apache does.
    fn handle_sasl(
        &mut self,
        xid: Xid,
        mut body: Reader<'_>,
        schemes: &Schemes,
    ) -> Received<'static> {
        match Credential::decode(&mut body) {
            Ok(Credential(Some(token))) => match (&mut self.sasl, schemes.sasl_users()) {
                (Some(exchange), Some(users)) => {
                    let step = exchange.step(&token, users);
                    self.take_sasl_step(xid, step, schemes);
                }
                _ => self.send_token(xid, ErrorCode::Ok, None),
            },
            Ok(Credential(None)) => self.close(),
            Err(error) => return self.reject(&error),
        }
        Received::Handled
    }

    fn take_sasl_step(&mut self, xid: Xid, step: SaslStep, schemes: &Schemes) {
        let (peer, session) = (self.peer, self.session);
        match step {
            SaslStep::Continue(token) => self.send_token(xid, ErrorCode::Ok, Some(&token)),
            SaslStep::Complete { user, token } => {
                debug!(%peer, %session, user, "SASL is complete");
                self.add_identities(schemes.sasl_identities(&user));
                self.send_token(xid, ErrorCode::Ok, Some(&token));
            }
            SaslStep::Failed(error) => {
                let refusal = schemes.sasl_refusal();
                debug!(%peer, %session, %error, stays = refusal.is_none(), "SASL failed");
                self.send_token(xid, refusal.unwrap_or(ErrorCode::Ok), None);
                if refusal.is_some() {
                    self.close();
                }
            }
        }
    }

    /// Even a refusal has the record behind its header.
    fn send_token(&mut self, xid: Xid, err: ErrorCode, token: Option<&[u8]>) {
        let token = Credential(token.map(Cow::Borrowed));
        self.reply(xid, Zxid::ZERO, err, &SetSaslResponse { token });
    }

    /// The client has shown a certificate with this subject.
    pub(super) fn certified(&mut self, subject: &str, schemes: &Schemes) {
        self.add_identities(schemes.x509_identities(subject));
    }

    fn add_identities(&mut self, identities: Vec<AclId>) {
        for identity in identities {
            if !self.identities.contains(&identity) {
                self.identities.push(identity);
            }
        }
    }

    /// `session` is about to be opened.
    pub(crate) fn begin(&mut self, session: SessionId) {
        self.state = State::Connecting;
        self.session = session;
    }

    /// The session is open: tells the client. Whether the server is read-only is left out if
    /// the client's request had nothing of it (ZOOKEEPER-4814).
    pub(crate) fn establish(
        &mut self,
        session: SessionId,
        timeout_ms: i32,
        read_only: Option<bool>,
    ) {
        self.state = State::Established;
        self.session = session;
        self.timeout_ms = timeout_ms;
        self.send(&ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: session,
            password: password(session),
            read_only,
        });
    }

    /// The session asked for is gone, or its password is wrong: tells the client,
    /// who cannot see which, and closes.
    pub(crate) fn refuse(&mut self, read_only: Option<bool>) {
        self.send(&ConnectResponse::expired(read_only));
        self.close();
    }

    /// The operation is unknown. As in Apache the reply's zxid is no zxid.
    pub(crate) fn unimplemented(&mut self, xid: Xid) {
        self.reply(xid, Zxid(-1), ErrorCode::Unimplemented, &());
        self.close();
    }

    /// Nothing more is read, and what is queued is the last that is sent.
    pub(crate) fn close(&mut self) {
        self.state = State::Closing;
    }

    /// Queues a reply. One with an error has no body, but for one exception.
    pub(crate) fn reply(&mut self, xid: Xid, zxid: Zxid, err: ErrorCode, body: &impl Encode) {
        self.send(&(ReplyHeader { xid, zxid, err }, body));
    }

    /// Queues an event.
    pub(crate) fn notify(&mut self, event: WatchedEvent<'_>) {
        let body = WatcherEvent {
            event_type: event.event_type.into(),
            state: KeeperState::SyncConnected.into(),
            path: event.path.into(),
        };
        self.reply(Xid::NOTIFICATION, event.zxid, ErrorCode::Ok, &body);
    }

    fn send(&mut self, payload: &impl Encode) {
        if self.outbox.is_empty() {
            self.outbox.reserve(OUTBOX_CHUNK);
        }
        encode_frame(&mut self.outbox, payload);
        self.frames += 1;
    }

    /// Remembers what was answered last. Reserved xids do not count as the
    /// client's own.
    pub(crate) fn answered(&mut self, op: &'static str, xid: Xid, zxid: Zxid) {
        let cxid = if xid.0 >= 0 { xid.0 } else { self.last.cxid };
        self.last = LastRequest { op, cxid, zxid };
    }

    /// Bytes that wait to be sent.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.outbox.len()
    }

    /// Everything queued, and how many frames that is.
    pub(crate) fn take_output(&mut self) -> (Bytes, u32) {
        let frames = std::mem::take(&mut self.frames);
        let bytes = if self.outbox.len() > REUSED_OUTBOX {
            // One large answer must not cost an idle connection its memory for ever.
            std::mem::take(&mut self.outbox)
        } else {
            self.outbox.split()
        };
        (bytes.freeze(), frames)
    }
}

/// As `AuthPacket`, with a scheme that may be null: that is an unknown scheme and
/// no malformed packet.
fn decode_auth_packet<'a>(
    reader: &mut Reader<'a>,
) -> Result<(Option<Cow<'a, str>>, Credential<'a>), DecodeError> {
    let _always_zero = i32::decode(reader)?;
    Ok((Decode::decode(reader)?, Decode::decode(reader)?))
}

#[cfg(test)]
mod tests;
