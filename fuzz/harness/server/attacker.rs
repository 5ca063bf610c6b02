//! Somebody who sends anything, and what the server owes them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use zk_proto::record::{ConnectRequest, ConnectResponse, WatcherEvent};
use zk_proto::{
    Decode, ErrorCode, EventType, OpCode, Password, Reader, ReplyHeader, RequestHeader, SessionId,
    Xid,
};

use super::{payloads, replies};

/// What an attacker's frame amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent,
    /// It names the witness's session: as in Apache that closes the witness's
    /// connection, whether the password is right or not. Nothing to learn from.
    Impostor,
}

/// What it takes to resume a session.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) session: SessionId,
    pub(crate) password: Password,
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Attacker {
    /// Sent, and not yet a whole frame.
    pub(crate) input: BytesMut,
    has_spoken: bool,
    /// Answers that the server owes, in order.
    owed: VecDeque<Owed>,
    /// Set by a request that uses the xid of events: replies can no longer be told
    /// from events.
    is_ambiguous: bool,
}

#[derive(Clone, Copy, Debug)]
enum Owed {
    ConnectResponse,
    Reply {
        xid: Xid,
        op: i32,
    },
    /// The connection will be closed, perhaps after a reply.
    Close,
}

impl Attacker {
    /// Takes down what `frame` has to be answered with.
    pub(crate) fn expect_answer(&mut self, frame: &Bytes, witness: SessionId) -> Outcome {
        let mut reader = Reader::new(frame);
        let owed = if self.has_spoken {
            owed_for_request(&mut reader)
        } else {
            match ConnectRequest::decode(&mut reader) {
                Ok(request) if request.session_id == witness => return Outcome::Impostor,
                Ok(_) => Owed::ConnectResponse,
                Err(_) => Owed::Close,
            }
        };
        self.has_spoken = true;
        if let Owed::Reply {
            xid: Xid::NOTIFICATION,
            ..
        } = owed
        {
            self.is_ambiguous = true;
        }
        self.owed.push_back(owed);
        Outcome::Sent
    }

    /// The server has sent these frames. Gives the session if it grants one.
    pub(crate) fn receive(&mut self, frames: Bytes) -> Option<Granted> {
        let mut granted = None;
        for payload in payloads(frames) {
            if self.is_ambiguous {
                self.owed.clear();
                continue;
            }
            let mut reader = Reader::new(&payload);
            match self.owed.front().copied() {
                Some(Owed::ConnectResponse) => {
                    let response = ConnectResponse::decode(&mut reader);
                    granted = grant(response.expect("a ConnectResponse"));
                    self.owed.pop_front();
                }
                owed => self.receive_reply(owed, &mut reader),
            }
            assert_eq!(reader.remaining(), 0, "bytes behind the record");
        }
        granted
    }

    fn receive_reply(&mut self, owed: Option<Owed>, reader: &mut Reader<'_>) {
        let header = ReplyHeader::decode(reader).expect("a ReplyHeader");
        match owed {
            _ if header.xid == Xid::NOTIFICATION => event(&header, reader),
            Some(Owed::Reply { xid, op }) => {
                assert_eq!(header.xid, xid, "replies change places");
                replies::check(op, &header, reader);
                self.owed.pop_front();
            }
            Some(Owed::ConnectResponse | Owed::Close) | None => {
                panic!("{header:?} where {owed:?} was due")
            }
        }
    }

    /// Everything asked for has been answered, since nothing takes time.
    pub(crate) fn assert_answered(&self) {
        assert!(
            self.is_ambiguous || self.owed.is_empty(),
            "{:?} is missing",
            self.owed
        );
    }
}

fn grant(response: ConnectResponse) -> Option<Granted> {
    let is_granted = response.timeout_ms > 0;
    is_granted.then_some(Granted {
        session: response.session_id,
        password: response.password,
    })
}

fn owed_for_request(reader: &mut Reader<'_>) -> Owed {
    match RequestHeader::decode(reader) {
        Err(_) => Owed::Close,
        // Whatever xid was asked for.
        Ok(header) if header.op == i32::from(OpCode::Ping) => Owed::Reply {
            xid: Xid::PING,
            op: header.op,
        },
        Ok(RequestHeader { xid, op }) => Owed::Reply { xid, op },
    }
}

fn event(header: &ReplyHeader, reader: &mut Reader<'_>) {
    assert_eq!(header.err, ErrorCode::Ok);
    let event = WatcherEvent::decode(reader).expect("a WatcherEvent");
    EventType::try_from(event.event_type).expect("an event's type");
}
