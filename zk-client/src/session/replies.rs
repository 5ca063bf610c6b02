//! What comes in once requests flow: answers, events, pongs.

use bytes::Bytes;
use zk_env::Boot;
use zk_proto::record::{RemoveWatchesRequest, WatcherEvent};
use zk_proto::{Decode, ErrorCode, OpCode, Reader, ReplyHeader, WatcherType, Xid, Zxid};

use super::requests::{Request, fail};
use super::{
    Cause, Now, Output, PendingWatch, Phase, Session, SessionState, WatchKind, closed, fallback,
};
use crate::error::Error;
use crate::metrics;
use crate::reply::RawReply;

impl Session {
    pub(super) fn handle_reply(&mut self, now: Now, frame: &Bytes) {
        let mut reader = Reader::new(frame);
        let header = match ReplyHeader::decode(&mut reader) {
            Ok(header) => header,
            Err(error) => return self.disconnect(Cause::BadBytes(error.to_string())),
        };
        tracing::trace!(xid = %header.xid, zxid = %header.zxid, err = ?header.err, "reply");
        if matches!(self.phase, Phase::Sasl(_)) && header.xid != Xid::NOTIFICATION {
            return self.handle_sasl_reply(now, &header, &mut reader);
        }
        match header.xid {
            Xid::NOTIFICATION => match WatcherEvent::decode(&mut reader) {
                Ok(event) => {
                    if self.set_watches_left > 0 {
                        self.config
                            .probe
                            .reached("client: watch fired by re-registration");
                    }
                    self.watches
                        .handle_event(&event, header.zxid, &mut self.outputs);
                }
                Err(error) => self.disconnect(Cause::BadBytes(error.to_string())),
            },
            Xid::PING => {
                if self.see_zxid(header.zxid) {
                    let proof = self.timers.pings.answered();
                    let proof = proof.map(|sent_at| self.proof(now, sent_at));
                    self.identity.proof = proof.or(self.identity.proof);
                }
            }
            Xid::AUTH => self.handle_auth_reply(now, header.err),
            Xid::SET_WATCHES => self.handle_set_watches_reply(&header),
            _ => self.handle_answer(now, &header, reader.rest()),
        }
    }

    /// A reply over the limit was announced: its call gets an error that says so,
    /// because the same call would meet it again on every connection. Without its
    /// xid it comes too early, to be announced again when there are more bytes.
    pub(crate) fn handle_oversized_reply(&mut self, xid: Option<Xid>, size: usize, limit: usize) {
        let is_awaited = matches!(self.phase, Phase::Serving { .. }) && !self.requests.is_idle();
        if self.is_leaving || (is_awaited && xid.is_none()) {
            return;
        }
        if is_awaited
            && let Some(xid) = xid
            && let Some(request) = self.requests.answer(xid)
        {
            let path = Box::default(); // the reply's future knows it
            let error = Error::ReplyTooLarge { path, size, limit };
            self.config.probe.reached("client: reply over the limit");
            fail(request, error, &mut self.outputs);
        }
        self.disconnect(Cause::BadBytes(format!(
            "a reply of {size} bytes is over the limit of {limit}"
        )));
    }

    /// What an answer to something sent at `sent_at` proves: that the session was
    /// alive then, and no more.
    pub(super) fn proof(&self, now: Now, sent_at: Boot) -> Boot {
        if self.config.probe.has_planted("deadline from the reply") {
            return now.boot;
        }
        sent_at
    }

    /// Adopts the zxid of an ordinary reply; false if the server went back in time.
    pub(super) fn see_zxid(&mut self, zxid: Zxid) -> bool {
        if zxid <= Zxid::ZERO {
            return true;
        }
        if zxid < self.identity.last_zxid {
            self.config
                .probe
                .reached("client: reply refused, server behind");
            self.disconnect(Cause::ServerBehind);
            return false;
        }
        self.identity.last_zxid = zxid;
        true
    }

    pub(super) fn handle_answer(&mut self, now: Now, header: &ReplyHeader, body: Bytes) {
        if !self.requests_front_is(header.xid) {
            self.config.probe.reached("client: reply out of order");
            return self.disconnect(Cause::OutOfOrder);
        }
        if !self.see_zxid(header.zxid) {
            return;
        }
        let Some(mut request) = self.requests.answer(header.xid) else {
            return;
        };
        if let Some(trial) = self.trial.take()
            && self.is_unknown_operation(trial.op, header)
        {
            self.requests.put_back(request, trial.frame);
            return self.disconnect(Cause::OperationUnknown);
        }
        if self
            .config
            .probe
            .has_planted("reply to the wrong request after cancellation")
        {
            self.requests.plant_wrong_receiver(&mut request);
        }
        if header.err == ErrorCode::SessionMoved {
            self.config.probe.reached("client: session moved");
        }
        self.identity.proof = Some(self.proof(now, request.sent_at));
        if let Some(waited) = request.waited(now.mono) {
            metrics::answered(request.op, header.err, waited);
        }
        if let Some(watch) = request.watch.take() {
            if self.watches.needs_removal_of_any(&watch, header.err) {
                return self.remove_any_instead(request, *watch);
            }
            if let Some(removal) = self
                .watches
                .handle_answer(*watch, header.err, &mut self.outputs)
            {
                self.remove_watch(&removal);
            }
        }
        let reply = RawReply {
            err: header.err,
            body,
        };
        if request.op == OpCode::CloseSession {
            self.end(Error::Closed, SessionState::Closed, closed());
        } else if request.step.is_some() {
            fallback::handle_answer(request, reply, &mut self.requests, &mut self.outputs);
        } else if let Some(slot) = request.slot {
            self.outputs.push_back(Output::Reply(slot, Ok(reply)));
        }
        self.hand_out_verdicts();
    }

    /// Before 3.9 a persistent watch can only be removed together with every other
    /// one of the path.
    pub(super) fn remove_any_instead(&mut self, mut request: Request, watch: PendingWatch) {
        let any = RemoveWatchesRequest {
            path: watch.path.to_string().into(),
            watcher_type: WatcherType::Any.into(),
        };
        let kind = WatchKind::Remove(WatcherType::Any);
        request.watch = Some(Box::new(PendingWatch {
            path: watch.path,
            kind,
            registration: None,
        }));
        self.requests.push_front(request, &any);
    }

    pub(super) fn requests_front_is(&self, xid: Xid) -> bool {
        self.requests.first_in_flight() == Some(xid)
    }

    /// Learns from the answer to a probe whether the server knows the operation.
    pub(super) fn is_unknown_operation(&mut self, op: OpCode, header: &ReplyHeader) -> bool {
        let Phase::Serving { server, .. } = self.phase else {
            return false;
        };
        // A known operation that is switched off (TTL) carries a real zxid.
        let is_unknown = header.err == ErrorCode::Unimplemented && header.zxid.0 == -1;
        self.server_ops.learn(server, op, !is_unknown);
        is_unknown
    }
}
