//! Whatever is changed of what the server was seen to do, it is noticed.

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

use super::{drive, replay};
use crate::history::{Frame, History, WireConnection};

/// Where things are in a reply, and in a Stat.
const ZXID: usize = 4;
const ERR: usize = 12;
const BODY: usize = 16;
const STAT: [(&str, usize); 11] = [
    ("czxid", 0),
    ("mzxid", 8),
    ("ctime", 16),
    ("mtime", 24),
    ("version", 32),
    ("cversion", 36),
    ("aversion", 40),
    ("ephemeralOwner", 44),
    ("dataLength", 52),
    ("numChildren", 56),
    ("pzxid", 60),
];

fn is_event(frame: &Frame) -> bool {
    frame.payload[..4] == (-1_i32).to_be_bytes()
}

fn number(frame: &Frame, at: usize) -> i64 {
    i64::from_be_bytes(
        *frame.payload[at..]
            .first_chunk()
            .expect("it is long enough"),
    )
}

/// The reply with its bytes from `at` on replaced.
fn patched(frame: &Frame, at: usize, with: &[u8]) -> Frame {
    let mut payload = BytesMut::from(&*frame.payload);
    payload[at..at + with.len()].copy_from_slice(with);
    Frame {
        payload: payload.freeze(),
        ..frame.clone()
    }
}

fn flipped(frame: &Frame, at: usize) -> Frame {
    patched(frame, at, &[frame.payload[at] ^ 1])
}

/// What each request of a connection was, by its number.
fn op_of(wire: &WireConnection, reply: &Frame) -> Option<OpCode> {
    let xid = &reply.payload[..4];
    let mut requests = wire.requests.written.iter().skip(1);
    let request = requests.find(|request| &request.payload[..4] == xid)?;
    let code = i32::from_be_bytes(*request.payload[4..].first_chunk()?);
    OpCode::try_from(code).ok()
}

/// The frames of some connection, changed by `change` at the first place, past the
/// beginning of the run and before the end of the connection, that `fits`.
fn at_first(
    history: &mut History,
    fits: impl Fn(&WireConnection, usize) -> bool,
    change: impl FnOnce(&mut Vec<Frame>, usize),
) {
    for wire in history.connections.iter_mut().skip(2) {
        let whole = 2..wire.replies.written.len().saturating_sub(6);
        let Some(at) = whole.clone().find(|at| fits(wire, *at)) else {
            continue;
        };
        change(&mut wire.replies.written, at);
        return;
    }
    panic!("no place for this in the history");
}

fn answers(op: OpCode) -> impl Fn(&WireConnection, usize) -> bool {
    move |wire, at| {
        let frame = &wire.replies.written[at];
        let is_fine = frame.payload[ERR..BODY] == [0; 4];
        !is_event(frame) && is_fine && op_of(wire, frame) == Some(op)
    }
}

fn event(wire: &WireConnection, at: usize) -> bool {
    let frame = &wire.replies.written[at];
    is_event(frame) && number(frame, ZXID) > 0
}

fn reply(wire: &WireConnection, at: usize) -> bool {
    let frame = &wire.replies.written[at];
    !is_event(frame) && number(frame, ZXID) > 0
}

#[track_caller]
fn is_noticed(seed: u64, change: impl FnOnce(&mut History)) {
    let mut history = drive::run(seed, 3, 250);
    let replayed = replay(&history);
    assert!(replayed.is_ok(), "{replayed:?}");
    change(&mut history);
    let replayed = replay(&history);
    assert!(replayed.is_err(), "nobody noticed");
}

#[test]
fn every_number_of_a_stat_counts() {
    for (field, at) in STAT {
        let fresh = || drive::run(1, 3, 250);
        let mut history = fresh();
        at_first(&mut history, answers(OpCode::Exists), |frames, frame| {
            let last = frames[frame].payload.len() - 68 + at + 3;
            frames[frame] = flipped(&frames[frame], last);
        });
        assert!(replay(&history).is_err(), "nobody noticed another {field}");
    }
}

#[test]
fn data_counts() {
    let has_data = |wire: &WireConnection, at: usize| {
        answers(OpCode::GetData)(wire, at) && wire.replies.written[at].payload.len() > BODY + 4 + 68
    };
    is_noticed(1, |history| {
        at_first(history, has_data, |frames, at| {
            frames[at] = flipped(&frames[at], BODY + 4);
        });
    });
}

#[test]
fn names_of_children_count() {
    let has_children = |wire: &WireConnection, at: usize| {
        answers(OpCode::GetChildren)(wire, at) && wire.replies.written[at].payload.len() > BODY + 8
    };
    is_noticed(1, |history| {
        at_first(history, has_children, |frames, at| {
            let last = frames[at].payload.len() - 1;
            frames[at] = flipped(&frames[at], last);
        });
    });
}

#[test]
fn the_name_of_a_created_znode_counts() {
    is_noticed(1, |history| {
        at_first(history, answers(OpCode::Create), |frames, at| {
            let last = frames[at].payload.len() - 1;
            frames[at] = flipped(&frames[at], last);
        });
    });
}

#[test]
fn an_error_that_should_not_be_is_noticed() {
    is_noticed(2, |history| {
        at_first(history, answers(OpCode::Exists), |frames, at| {
            let code = ErrorCode::NoNode.code().to_be_bytes();
            let refused = patched(&frames[at], ERR, &code);
            frames[at] = Frame {
                payload: refused.payload.slice(..BODY),
                ..refused
            };
        });
    });
}

#[test]
fn another_error_is_noticed() {
    let is_refused = |wire: &WireConnection, at: usize| {
        let frame = &wire.replies.written[at];
        reply(wire, at) && frame.payload[ERR..BODY] == ErrorCode::NoNode.code().to_be_bytes()
    };
    is_noticed(2, |history| {
        at_first(history, is_refused, |frames, at| {
            let code = ErrorCode::NoAuth.code().to_be_bytes();
            frames[at] = patched(&frames[at], ERR, &code);
        });
    });
}

#[test]
fn a_zxid_that_is_off_by_one_is_noticed() {
    for step in [-1, 1] {
        for kind in [reply, event] {
            is_noticed(3, |history| {
                at_first(history, kind, |frames, at| {
                    let zxid = number(&frames[at], ZXID) + step;
                    frames[at] = patched(&frames[at], ZXID, &zxid.to_be_bytes());
                });
            });
        }
    }
}

#[test]
fn another_xid_is_noticed() {
    is_noticed(3, |history| {
        at_first(history, reply, |frames, at| {
            frames[at] = flipped(&frames[at], 3)
        });
    });
}

#[test]
fn replies_in_another_order_are_noticed() {
    let both = |wire: &WireConnection, at: usize| reply(wire, at) && reply(wire, at + 1);
    is_noticed(4, |history| {
        at_first(history, both, |frames, at| frames.swap(at, at + 1))
    });
}

#[test]
fn a_missing_reply_is_noticed() {
    is_noticed(4, |history| {
        at_first(history, reply, |frames, at| {
            frames.remove(at);
        });
    });
}

#[test]
fn a_reply_that_comes_twice_is_noticed() {
    is_noticed(4, |history| {
        at_first(history, reply, |frames, at| {
            frames.insert(at, frames[at].clone())
        });
    });
}

#[test]
fn a_missing_event_is_noticed() {
    is_noticed(5, |history| {
        at_first(history, event, |frames, at| {
            frames.remove(at);
        });
    });
}

#[test]
fn an_event_that_comes_twice_is_noticed() {
    is_noticed(5, |history| {
        at_first(history, event, |frames, at| {
            frames.insert(at, frames[at].clone())
        });
    });
}

#[test]
fn another_kind_of_event_is_noticed() {
    is_noticed(5, |history| {
        at_first(history, event, |frames, at| {
            frames[at] = flipped(&frames[at], BODY + 3);
        });
    });
}

#[test]
fn an_event_of_another_znode_is_noticed() {
    is_noticed(5, |history| {
        at_first(history, event, |frames, at| {
            let last = frames[at].payload.len() - 1;
            frames[at] = flipped(&frames[at], last);
        });
    });
}

/// A client must not see what a write did before it hears of it.
#[test]
fn an_event_behind_the_reply_is_noticed() {
    let before_reply = |wire: &WireConnection, at: usize| {
        let frames = &wire.replies.written;
        let is_same = number(&frames[at], ZXID) == number(&frames[at + 1], ZXID);
        event(wire, at) && reply(wire, at + 1) && is_same
    };
    is_noticed(6, |history| {
        at_first(history, before_reply, |frames, at| frames.swap(at, at + 1))
    });
}

#[test]
fn an_event_out_of_nowhere_is_noticed() {
    is_noticed(6, |history| {
        at_first(history, reply, |frames, at| {
            let mut payload = BytesMut::new();
            payload.put_i32(-1);
            payload.put_i64(number(&frames[at], ZXID));
            payload.put_slice(&[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 2]);
            payload.put_slice(b"/q");
            let event = Frame {
                payload: payload.freeze(),
                ..frames[at].clone()
            };
            frames.insert(at, event);
        });
    });
}

fn middle(history: &History, fits: impl Fn(OpCode, ErrorCode) -> bool) -> usize {
    let third = history.transactions.len() / 3;
    let log = &history.transactions[third..];
    let found = log.iter().position(|made| fits(made.op, made.err));
    third + found.expect("there is one of each kind")
}

fn is_write(op: OpCode, err: ErrorCode) -> bool {
    op == OpCode::Create && err == ErrorCode::Ok
}

#[test]
fn a_transaction_that_is_made_twice_is_noticed() {
    is_noticed(7, |history| {
        let at = middle(history, is_write);
        let again = history.transactions[at].clone();
        history.transactions.insert(at, again);
        for made in &mut history.transactions[at + 1..] {
            made.zxid = Zxid(made.zxid.0 + 1);
        }
    });
}

#[test]
fn a_transaction_that_is_missing_is_noticed() {
    is_noticed(7, |history| {
        let at = middle(history, is_write);
        history.transactions.remove(at);
    });
    is_noticed(7, |history| {
        let at = middle(history, is_write);
        history.transactions.remove(at);
        for made in &mut history.transactions[at..] {
            made.zxid = Zxid(made.zxid.0 - 1);
        }
    });
}

#[test]
fn transactions_in_another_order_are_noticed() {
    is_noticed(7, |history| {
        let at = middle(history, is_write);
        let log = &mut history.transactions;
        log.swap(at, at + 1);
        for made in [at, at + 1] {
            log[made].zxid = Zxid(made as i64 + 1);
        }
    });
}

#[test]
fn a_transaction_of_somebody_else_is_noticed() {
    is_noticed(8, |history| {
        let at = middle(history, is_write);
        history.transactions[at].session = SessionId(77);
    });
    is_noticed(8, |history| {
        let at = middle(history, is_write);
        history.transactions[at].cxid = Xid(1_000_000);
    });
}

#[test]
fn another_time_or_verdict_in_the_log_is_noticed() {
    is_noticed(8, |history| {
        for made in &mut history.transactions {
            made.time_ms += 1;
            if made.op == OpCode::SetData {
                made.time_ms += 1;
            }
        }
    });
    is_noticed(8, |history| {
        let at = middle(history, |op, _| op == OpCode::Error);
        history.transactions[at].err = ErrorCode::QuotaExceeded;
    });
    is_noticed(8, |history| {
        let at = middle(history, is_write);
        history.transactions[at].op = OpCode::SetData;
    });
}

#[test]
fn what_is_made_before_it_is_asked_for_is_noticed() {
    is_noticed(9, |history| {
        let third = history.transactions.len() / 3;
        let early = history.transactions[third].at / 2;
        for made in &mut history.transactions[third..] {
            made.at = early;
        }
    });
}

/// A read that has not seen what was acknowledged before it was asked.
#[test]
fn what_is_made_late_is_noticed() {
    is_noticed(9, |history| {
        let late = history.transactions.last().expect("there are some").at;
        for made in &mut history.transactions {
            made.at = late;
        }
    });
}

#[test]
fn an_ephemeral_that_survives_its_session_is_noticed() {
    is_noticed(10, |history| {
        let closes = |made: &&mut crate::history::Transaction| made.op == OpCode::CloseSession;
        let closing = history
            .transactions
            .iter_mut()
            .filter(|made| made.cxid == Xid(0))
            .find(closes);
        closing.expect("a session has expired").session = SessionId(77);
    });
}

#[test]
fn a_session_that_is_refused_is_noticed() {
    is_noticed(11, |history| {
        let is_renewal = |wire: &&mut WireConnection| {
            let asked = wire
                .connect_request()
                .is_some_and(|asked| asked.session_id != SessionId::NONE);
            asked && wire.session().is_some()
        };
        let wire = history
            .connections
            .iter_mut()
            .find(is_renewal)
            .expect("somebody came back");
        let mut payload = vec![0; 16];
        payload.extend([0, 0, 0, 16]);
        payload.extend([0; 17]);
        let first = &wire.replies.written[0];
        let refused = Frame {
            payload: Bytes::from(payload),
            ..first.clone()
        };
        wire.replies.written = vec![refused];
    });
}

#[test]
fn a_session_with_two_owners_is_noticed() {
    is_noticed(11, |history| {
        let sessions: Vec<_> = history
            .connections
            .iter()
            .map(WireConnection::session)
            .collect();
        let news = |wire: &WireConnection| {
            wire.session().is_some()
                && wire
                    .connect_request()
                    .is_some_and(|asked| asked.session_id == SessionId::NONE)
        };
        let of: Vec<usize> = (0..sessions.len())
            .filter(|at| news(&history.connections[*at]))
            .collect();
        let stolen = history.connections[of[0]].replies.written[0]
            .payload
            .clone();
        history.connections[of[1]].replies.written[0].payload = stolen;
    });
}
