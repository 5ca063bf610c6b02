//! A request, its answer, and the events that came meanwhile.

use bytes::{Bytes, BytesMut};
use zk_proto::record::WatcherEvent;
use zk_proto::{Decode, Encode, ErrorCode, OpCode, Reader, ReplyHeader, RequestHeader, Xid};
use zk_tests::RawSession;
use zk_tests::wait::within;

/// A request's body, already encoded.
pub(crate) struct Body(BytesMut);

impl Body {
    pub(crate) fn of(record: &impl Encode) -> Self {
        let mut bytes = BytesMut::new();
        record.encode(&mut bytes);
        Self(bytes)
    }
}

impl Encode for Body {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }
}

/// What came back.
pub(crate) struct Answer {
    /// `ConnectionLoss` if the server closed instead: no server sends that.
    pub(crate) err: ErrorCode,
    pub(crate) body: Bytes,
    /// Types of the events that came before it.
    pub(crate) events: Vec<i32>,
}

pub(crate) async fn ask(session: &mut RawSession, op: OpCode, body: &Body) -> Answer {
    let xid = session.send(op.into(), body).await.unwrap();
    receive(session, xid).await
}

/// The types of the events that have been sent to the session by now.
pub(crate) async fn events(session: &mut RawSession) -> Vec<i32> {
    let ping = RequestHeader {
        xid: Xid::PING,
        op: OpCode::Ping.into(),
    };
    session.wire.write_frame(&ping).await.unwrap();
    receive(session, Xid::PING).await.events
}

async fn receive(session: &mut RawSession, xid: Xid) -> Answer {
    let mut events = Vec::new();
    loop {
        let frame = within("an answer", session.wire.read_frame()).await;
        let Ok(Some(frame)) = frame else {
            return Answer {
                err: ErrorCode::ConnectionLoss,
                body: Bytes::new(),
                events,
            };
        };
        let mut reader = Reader::new(&frame);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        if header.xid == Xid::NOTIFICATION {
            events.push(WatcherEvent::decode(&mut reader).unwrap().event_type);
            continue;
        }
        assert_eq!(header.xid, xid, "answers come in order");
        return Answer {
            err: header.err,
            body: reader.rest(),
            events,
        };
    }
}
