//! The server's side: what arrived, and what to say.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_proto::record::{AuthPacket, ConnectRequest, ConnectResponse, WatcherEvent};
use zk_proto::{
    Decode, Encode, ErrorCode, EventType, FrameDecoder, KeeperState, OpCode, Password, Reader,
    ReplyHeader, RequestHeader, SessionId, Stat, Xid, Zxid,
};

use super::{Pair, TIMEOUT};

/// A request as the server sees it.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::session::tests) struct Seen {
    pub(in crate::session::tests) xid: Xid,
    pub(in crate::session::tests) op: OpCode,
    pub(in crate::session::tests) body: Bytes,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.op, self.xid)
    }
}

impl Seen {
    /// The request's record.
    pub(in crate::session::tests) fn record<'a, T: Decode<'a>>(&'a self) -> T {
        T::decode(&mut Reader::new(&self.body)).unwrap()
    }

    /// The path that most records start with.
    pub(in crate::session::tests) fn path(&self) -> String {
        self.record()
    }
}

/// Session `id`, granted or resumed.
pub(in crate::session::tests) fn granted(id: SessionId) -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: millis(TIMEOUT),
        session_id: id,
        password: Password::new(*b"0123456789abcdef"),
        read_only: Some(false),
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap()
}

/// Some metadata; the session never looks at it.
pub(in crate::session::tests) fn stat() -> Stat {
    Stat {
        version: 7,
        ..Stat::default()
    }
}

impl Pair {
    /// The next frame that is complete.
    fn take_frame(&mut self) -> Option<Bytes> {
        FrameDecoder::new(1 << 24).decode(&mut self.inbox).unwrap()
    }

    pub(in crate::session::tests) fn try_take_connect_request(&mut self) -> Option<ConnectRequest> {
        let frame = self.take_frame()?;
        Some(ConnectRequest::decode(&mut Reader::new(&frame)).unwrap())
    }

    #[track_caller]
    pub(in crate::session::tests) fn take_connect_request(&mut self) -> ConnectRequest {
        self.try_take_connect_request().expect("a connect request")
    }

    /// Every request that arrived completely since the last time.
    pub(in crate::session::tests) fn take_requests(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.take_frame())
            .map(|frame| seen(&frame))
            .collect()
    }

    /// The one request that arrived.
    #[track_caller]
    pub(in crate::session::tests) fn take_request(&mut self) -> Seen {
        let mut requests = self.take_requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// The operations that arrived.
    pub(in crate::session::tests) fn take_ops(&mut self) -> Vec<OpCode> {
        self.take_requests().iter().map(|seen| seen.op).collect()
    }

    /// Whatever bytes.
    pub(in crate::session::tests) fn send(&mut self, payload: &impl Encode) {
        let mut bytes = BytesMut::new();
        payload.encode(&mut bytes);
        self.send_bytes(&bytes);
    }

    /// A frame with this payload.
    pub(in crate::session::tests) fn send_bytes(&mut self, payload: &[u8]) {
        self.session.handle_read(self.mono());
        self.session
            .handle_frame(self.now(), &Bytes::copy_from_slice(payload));
        self.settle();
    }

    /// Several frames that arrive in one piece.
    pub(in crate::session::tests) fn send_together(&mut self, payloads: &[Bytes]) {
        self.session.handle_read(self.mono());
        for payload in payloads {
            self.session.handle_frame(self.now(), payload);
        }
        self.settle();
    }

    pub(in crate::session::tests) fn grant(&mut self, response: &ConnectResponse) {
        self.send(response);
    }

    /// "The session is gone."
    pub(in crate::session::tests) fn refuse_session(&mut self) {
        self.send(&ConnectResponse::expired(Some(false)));
    }

    pub(in crate::session::tests) fn header(&self, xid: Xid, err: ErrorCode) -> ReplyHeader {
        ReplyHeader {
            xid,
            zxid: self.zxid,
            err,
        }
    }

    /// Answers, one transaction later.
    pub(in crate::session::tests) fn answer(&mut self, to: &Seen, body: &impl Encode) {
        self.zxid.0 += 1;
        self.send(&(self.header(to.xid, ErrorCode::Ok), body));
    }

    /// Answers with an error.
    pub(in crate::session::tests) fn refuse(&mut self, to: &Seen, err: ErrorCode) {
        self.send(&self.header(to.xid, err));
    }

    /// Answers as a server that does not know the operation; it closes then.
    pub(in crate::session::tests) fn refuse_as_unknown(&mut self, to: &Seen) {
        self.send(&ReplyHeader {
            xid: to.xid,
            zxid: Zxid(-1),
            err: ErrorCode::Unimplemented,
        });
    }

    /// Answers everything that arrived in the way its operation is answered.
    pub(in crate::session::tests) fn answer_all(&mut self) {
        for request in self.take_requests() {
            match request.op {
                OpCode::Create => self.answer(&request, &request.path().as_str()),
                OpCode::Create2 => self.answer(&request, &(request.path().as_str(), stat())),
                OpCode::GetData => self.answer(&request, &(&b"data"[..], stat())),
                OpCode::Exists | OpCode::SetData | OpCode::SetAcl => self.answer(&request, &stat()),
                OpCode::GetChildren => self.answer(&request, &Vec::<String>::new()),
                OpCode::Sync => self.answer(&request, &request.path().as_str()),
                OpCode::AddWatch => self.answer(&request, &0),
                OpCode::Auth => {
                    let header = ReplyHeader {
                        xid: request.xid,
                        zxid: Zxid::ZERO,
                        err: ErrorCode::Ok,
                    };
                    self.send(&header);
                }
                _ => self.answer(&request, &()),
            }
        }
    }

    /// A watch event.
    pub(in crate::session::tests) fn event(&mut self, event_type: EventType, path: &str) {
        self.zxid.0 += 1;
        let zxid = self.zxid;
        self.event_with(event_type, path, zxid);
    }

    pub(in crate::session::tests) fn event_with(
        &mut self,
        event_type: EventType,
        path: &str,
        zxid: Zxid,
    ) {
        let header = ReplyHeader {
            xid: Xid::NOTIFICATION,
            zxid,
            err: ErrorCode::Ok,
        };
        let event = WatcherEvent {
            event_type: event_type.into(),
            state: KeeperState::SyncConnected.into(),
            path: path.into(),
        };
        self.send(&(header, event));
    }
}

fn seen(frame: &Bytes) -> Seen {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader).unwrap();
    Seen {
        xid: header.xid,
        op: OpCode::try_from(header.op).unwrap(),
        body: reader.rest(),
    }
}

/// Scheme and credentials of an auth packet.
pub(in crate::session::tests) fn auth_of(seen: &Seen) -> (String, Vec<u8>) {
    let packet: AuthPacket<'_> = seen.record();
    let auth = packet.auth.0.unwrap_or_default();
    (packet.scheme.into_owned(), auth.into_owned())
}
