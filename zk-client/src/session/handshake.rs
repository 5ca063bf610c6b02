//! From a fresh connection to flowing requests: ConnectRequest, SASL,
//! credentials, watches, in this order.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use zk_env::{Boot, Mono};
use zk_proto::record::{AuthPacket, ConnectRequest, ConnectResponse, Credential};
use zk_proto::{
    Decode, Encode, ErrorCode, OpCode, Reader, ReplyHeader, RequestHeader, SessionId, Xid, Zxid,
    encode_frame,
};

use super::watches::{BATCH_BYTES, encode_batch};
use super::{Cause, Error, Now, Output, Phase, Session, SessionState, closed};
use crate::reply::RawReply;

impl Session {
    /// A connection to `server` is up; the session must be there by `deadline`.
    pub(crate) fn handle_connected(&mut self, now: Now, server: SocketAddr, deadline: Mono) {
        if self.is_over() {
            return self.disconnect(Cause::Closed);
        }
        // Whatever a read-only server gave for an id means nothing elsewhere.
        let is_new = self.identity.is_makeshift;
        let connect = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.identity.last_zxid,
            timeout_ms: i32::try_from(self.config.timeout.as_millis()).unwrap_or(i32::MAX),
            session_id: if is_new {
                SessionId::NONE
            } else {
                self.identity.id
            },
            password: if is_new {
                zk_proto::Password::none()
            } else {
                self.identity.password.clone()
            },
            read_only: Some(self.config.allow_read_only),
        };
        tracing::debug!(%server, session = %connect.session_id, zxid = %connect.last_zxid_seen, "handshake");
        // A server that answered before it was asked left its question here.
        self.control.clear();
        encode_frame(&mut self.control, &connect);
        self.is_leaving = false;
        self.phase = Phase::Handshake {
            server,
            deadline,
            sent_at: now.boot,
        };
    }

    pub(super) fn handle_connect_response(
        &mut self,
        now: Now,
        frame: &Bytes,
        (server, deadline): (SocketAddr, Mono),
        sent_at: Boot,
    ) {
        let response = match ConnectResponse::decode(&mut Reader::new(frame)) {
            Ok(response) => response,
            Err(error) => {
                self.config
                    .probe
                    .reached("client: handshake answer unreadable");
                return self.disconnect(Cause::BadBytes(error.to_string()));
            }
        };
        if response.timeout_ms <= 0 {
            return self.handle_session_gone(now);
        }
        let is_other =
            self.identity.id != SessionId::NONE && self.identity.id != response.session_id;
        if is_other && !self.identity.is_makeshift {
            // Not ours any more, whoever's it is: an answer no sane server gives.
            return self.handle_session_gone(now);
        }
        if response.session_id == SessionId::NONE {
            return self.disconnect(Cause::BadBytes("a session without an id".into()));
        }
        let is_read_only = response.read_only.unwrap_or(false);
        self.adopt(&response, is_read_only);
        self.identity.proof = Some(self.proof(now, sent_at));
        self.timers.last_read = now.mono;
        self.timers.last_sent = now.mono;
        if !self.begin_sasl(server, deadline, is_read_only) {
            self.present_credentials(server, deadline, is_read_only);
        }
    }

    /// "Expired": the server closes after saying so.
    fn handle_session_gone(&mut self, now: Now) {
        if self.identity.id == SessionId::NONE || self.identity.is_makeshift {
            return self.disconnect(Cause::BadBytes("a new session was refused".into()));
        }
        self.note_expiry(now);
        self.phase = Phase::Down;
        self.disconnect(Cause::Expired);
        self.expire();
    }

    /// Tells a simulator what the expiry meets.
    fn note_expiry(&self, now: Now) {
        let probe = &self.config.probe;
        if self.has_lost_write {
            probe.reached("client: write unanswered at expiry");
        }
        if self.requests.queued() > 0 {
            probe.reached("client: calls queued at expiry");
        }
        if !self.watches.is_empty() {
            probe.reached("client: watches registered at expiry");
        }
        let ends = self
            .identity
            .proof
            .map(|proof| proof + self.identity.timeout);
        if ends.is_some_and(|ends| ends <= now.boot) {
            probe.reached("client: heard of expiry after the session timeout");
        }
    }

    fn adopt(&mut self, response: &ConnectResponse, is_read_only: bool) {
        self.has_lost_write = false;
        // Expiry has counted already.
        let is_first = self.identity.epoch.number() == 0;
        let is_other =
            self.identity.id != SessionId::NONE && self.identity.id != response.session_id;
        if is_first || is_other {
            self.identity.epoch.0 += 1;
        }
        self.identity.is_makeshift =
            is_read_only && (self.identity.is_makeshift || self.identity.id != response.session_id);
        self.identity.id = response.session_id;
        self.identity.password = response.password.clone();
        self.identity.timeout =
            Duration::from_millis(u64::from(response.timeout_ms.unsigned_abs()));
    }

    pub(super) fn present_credentials(
        &mut self,
        server: SocketAddr,
        deadline: Mono,
        is_read_only: bool,
    ) {
        for auth in &self.auths {
            let packet = AuthPacket {
                kind: 0,
                scheme: auth.scheme.as_str().into(),
                auth: Credential(Some((&auth.auth[..]).into())),
            };
            encode_control(&mut self.control, Xid::AUTH, OpCode::Auth, &packet);
        }
        let left = self.auths.len();
        if left > 0 && self.requests.queued() > 0 {
            self.config
                .probe
                .reached("client: calls waited for credentials");
        }
        if left == 0 {
            self.serve(server, is_read_only);
        } else {
            self.phase = Phase::Authenticating {
                server,
                deadline,
                left,
                is_read_only,
            };
        }
    }

    pub(super) fn handle_auth_reply(&mut self, now: Now, err: ErrorCode) {
        let was_asked = match self.phase {
            Phase::Authenticating { .. } => true,
            Phase::Serving { .. } => self.requests.note_verdict(err),
            Phase::Down | Phase::Handshake { .. } | Phase::Sasl(_) | Phase::Over => false,
        };
        if !was_asked {
            return self.disconnect(Cause::OutOfOrder);
        }
        if err == ErrorCode::AuthFailed {
            tracing::info!(session = %self.identity.id, "authentication failed");
            self.config.probe.reached("client: credentials refused");
            return self.end(Error::AuthFailed, SessionState::AuthFailed, closed());
        }
        self.timers.last_read = now.mono;
        match &mut self.phase {
            Phase::Authenticating {
                server,
                left,
                is_read_only,
                ..
            } => {
                *left -= 1;
                if *left == 0 {
                    let (server, is_read_only) = (*server, *is_read_only);
                    self.serve(server, is_read_only);
                }
            }
            Phase::Serving { .. } => self.hand_out_verdicts(),
            Phase::Down | Phase::Handshake { .. } | Phase::Sasl(_) | Phase::Over => {}
        }
    }

    /// Answers the calls that presented credentials, as far as their turn has come.
    pub(super) fn hand_out_verdicts(&mut self) {
        while let Some((request, err)) = self.requests.pop_verdict() {
            let body = Bytes::new();
            if let Some(slot) = request.slot {
                let reply = Ok(RawReply { err, body });
                self.outputs.push_back(Output::Reply(slot, reply));
            }
        }
    }

    /// Restores the watches and lets requests flow behind them.
    fn serve(&mut self, server: SocketAddr, is_read_only: bool) {
        self.phase = Phase::Serving {
            server,
            is_read_only,
        };
        self.set_watches(server);
        let epoch = self.identity.epoch;
        if is_read_only {
            self.config.probe.reached("client: connected read-only");
        }
        self.publish(if is_read_only {
            SessionState::ConnectedReadOnly { epoch }
        } else {
            SessionState::Connected { epoch }
        });
        self.watches.announce_gap(&mut self.outputs);
    }

    /// Every list in the form the server knows; SetWatches2 only when there are
    /// persistent watches, because servers before 3.6 close on it.
    fn set_watches(&mut self, server: SocketAddr) {
        let probe = &self.config.probe;
        if self.watches.is_empty() || probe.has_planted("watches not registered again") {
            return;
        }
        let support = self.server_ops.get(server, OpCode::SetWatches2);
        if support == Some(false) {
            self.watches.drop_persistent(&mut self.outputs);
        }
        self.is_probing_set_watches = support.is_none() && self.watches.has_persistent();
        let limit = if probe.buggify("client: SetWatches in small chunks") {
            1
        } else {
            BATCH_BYTES
        };
        for batch in self.watches.batches(self.identity.last_zxid, limit) {
            self.set_watches_left += 1;
            encode_batch(batch, &mut self.control);
        }
        probe.reached("client: watches re-registered");
        if self.set_watches_left > 1 {
            probe.reached("client: watches re-registered in several chunks");
        }
    }

    pub(super) fn handle_set_watches_reply(&mut self, header: &ReplyHeader) {
        let Phase::Serving { server, .. } = self.phase else {
            return self.disconnect(Cause::OutOfOrder);
        };
        if self.set_watches_left == 0 {
            return self.disconnect(Cause::OutOfOrder);
        }
        self.set_watches_left -= 1;
        // Even one that knew it once may have been rolled back.
        if header.err == ErrorCode::Unimplemented && self.watches.has_persistent() {
            self.server_ops.learn(server, OpCode::SetWatches2, false);
            return self.disconnect(Cause::OperationUnknown);
        }
        if header.err != ErrorCode::Ok {
            return self.disconnect(Cause::WatchesRefused);
        }
        if self.is_probing_set_watches && self.set_watches_left == 0 {
            self.server_ops.learn(server, OpCode::SetWatches2, true);
            self.is_probing_set_watches = false;
        }
        self.see_zxid(header.zxid);
    }

    pub(super) fn ping(&mut self, now: Now) {
        encode_control(&mut self.control, Xid::PING, OpCode::Ping, &());
        self.timers.pings.sent(now.boot);
        self.timers.last_sent = now.mono;
    }

    /// The newest transaction seen.
    pub(crate) const fn last_zxid(&self) -> Zxid {
        self.identity.last_zxid
    }
}

pub(super) fn encode_control(out: &mut bytes::BytesMut, xid: Xid, op: OpCode, body: &impl Encode) {
    encode_frame(out, &(RequestHeader { xid, op: op.into() }, body));
}
