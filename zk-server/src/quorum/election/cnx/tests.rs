//! Connection rules, without sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use zk_env::Mono;

use super::manager::{CnxManager, CnxOptions, ConnId, DialError, Output};
use crate::quorum::election::LinkEvent;
use crate::quorum::{HostPort, ServerId};

const TIMEOUT: Duration = Duration::from_secs(1);

fn addr(id: i64) -> HostPort {
    format!("h{id}:3888").parse().unwrap()
}

/// The second of three.
fn manager() -> CnxManager {
    let options = CnxOptions {
        id: ServerId(2),
        addrs: vec![addr(2)],
        is_multi_address: false,
        handshake_timeout: TIMEOUT,
    };
    let listed = (1..=3).map(|id| (ServerId(id), vec![addr(id)]));
    CnxManager::new(options, listed.collect())
}

fn outputs(cnx: &mut CnxManager) -> Vec<Output> {
    std::iter::from_fn(|| cnx.poll_output()).collect()
}

fn hello(sid: i64) -> Bytes {
    let text = format!("h{sid}:3888");
    let mut bytes = BytesMut::new();
    bytes.put_i64(-65536);
    bytes.put_i64(sid);
    bytes.put_i32(text.len() as i32);
    bytes.put_slice(text.as_bytes());
    bytes.freeze()
}

fn frame(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

fn link(peer: i64, event: LinkEvent) -> Output {
    Output::Link {
        peer: ServerId(peer),
        event,
    }
}

fn write(conn: ConnId, bytes: Bytes) -> Output {
    Output::Write { conn, bytes }
}

/// The connection of the one dial among what is to be done.
fn dial(cnx: &mut CnxManager, peer: i64) -> ConnId {
    match &outputs(cnx)[..] {
        [
            Output::Dial {
                conn,
                peer: to,
                addrs,
            },
        ] => {
            assert_eq!((*to, &addrs[..]), (ServerId(peer), &[addr(peer)][..]));
            *conn
        }
        other => panic!("{other:?}"),
    }
}

/// Peer `sid` has dialled and said so.
fn accept(cnx: &mut CnxManager, sid: i64) -> ConnId {
    let conn = cnx.handle_accepted(Mono::ZERO);
    cnx.handle_bytes(conn, &hello(sid));
    conn
}

#[test]
fn a_smaller_peer_is_dialled_and_the_connection_kept() {
    let mut cnx = manager();
    cnx.send(ServerId(1), b"vote");
    let conn = dial(&mut cnx, 1);
    cnx.handle_dialed(conn, Mono::ZERO);
    let expected = [write(conn, hello(2)), link(1, LinkEvent::Up)];
    assert_eq!(
        outputs(&mut cnx),
        expected,
        "the handshake is a write of its own"
    );
    cnx.handle_written(conn);
    assert_eq!(outputs(&mut cnx), [write(conn, frame(b"vote"))]);
    assert!(cnx.is_linked(ServerId(1)));
}

#[test]
fn a_larger_peer_is_only_knocked_at() {
    let mut cnx = manager();
    cnx.send(ServerId(3), b"vote");
    let knock = dial(&mut cnx, 3);
    cnx.handle_dialed(knock, Mono::ZERO);
    let expected = [write(knock, hello(2)), Output::Close(knock)];
    assert_eq!(outputs(&mut cnx), expected, "nobody has dialled back yet");
    assert!(!cnx.is_linked(ServerId(3)));
    let conn = accept(&mut cnx, 3);
    let expected = [write(conn, frame(b"vote")), link(3, LinkEvent::Up)];
    assert_eq!(
        outputs(&mut cnx),
        expected,
        "what waited goes by its connection"
    );
    assert_eq!(cnx.poll_timeout(), None, "nothing is waited for any more");
}

/// The process was being killed, and its system still accepted.
#[test]
fn who_does_not_dial_back_is_knocked_at_once_more() {
    let mut cnx = manager();
    cnx.connect(ServerId(3));
    let knock = dial(&mut cnx, 3);
    cnx.handle_dialed(knock, Mono::ZERO);
    outputs(&mut cnx);
    let until = cnx.poll_timeout().expect("it is waited for");
    cnx.handle_timeout(until - Duration::from_millis(1));
    assert_eq!(outputs(&mut cnx), []);
    cnx.handle_timeout(until);
    let again = dial(&mut cnx, 3);
    cnx.handle_dialed(again, until);
    outputs(&mut cnx);
    assert_eq!(cnx.poll_timeout(), None, "once is enough");

    cnx.connect(ServerId(3));
    let refused = dial(&mut cnx, 3);
    cnx.handle_dial_failed(refused, DialError::Refused);
    assert_eq!(outputs(&mut cnx), [link(3, LinkEvent::Refused)]);
}

#[test]
fn a_smaller_peer_that_dials_is_dialled_back_where_it_says() {
    let mut cnx = manager();
    let knock = cnx.handle_accepted(Mono::ZERO);
    let mut bytes = hello(1).to_vec();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(b"3999");
    cnx.handle_bytes(knock, &bytes);
    let [close, up, dial] = &outputs(&mut cnx)[..] else {
        panic!("three outputs")
    };
    assert_eq!(*close, Output::Close(knock));
    assert_eq!(*up, link(1, LinkEvent::Up));
    let Output::Dial { addrs, .. } = dial else {
        panic!("{dial:?}")
    };
    assert_eq!(
        *addrs,
        ["h1:3999".parse().unwrap(), addr(1)],
        "then where the list says"
    );
}

#[test]
fn a_knock_ends_the_connection_there_was() {
    let mut cnx = manager();
    cnx.connect(ServerId(1));
    let old = dial(&mut cnx, 1);
    cnx.handle_dialed(old, Mono::ZERO);
    outputs(&mut cnx);
    let knock = accept(&mut cnx, 1);
    let done = outputs(&mut cnx);
    assert_eq!(done[..2], [Output::Close(knock), Output::Close(old)]);
    assert!(matches!(done[3], Output::Dial { .. }), "{done:?}");
}

#[test]
fn a_new_connection_replaces_the_old_one_and_repeats_the_last_message() {
    let mut cnx = manager();
    let old = accept(&mut cnx, 3);
    cnx.send(ServerId(3), b"vote");
    cnx.handle_written(old);
    outputs(&mut cnx);
    let new = accept(&mut cnx, 3);
    let expected = [
        Output::Close(old),
        write(new, frame(b"vote")),
        link(3, LinkEvent::Up),
    ];
    assert_eq!(outputs(&mut cnx), expected);
    cnx.handle_closed(old);
    assert_eq!(outputs(&mut cnx), [], "the end of the old one is no news");
}

#[test]
fn only_the_newest_message_waits() {
    let mut cnx = manager();
    let conn = accept(&mut cnx, 3);
    outputs(&mut cnx);
    for message in [b"1", b"2", b"3"] {
        cnx.send(ServerId(3), message);
    }
    assert_eq!(outputs(&mut cnx), [write(conn, frame(b"1"))]);
    cnx.handle_written(conn);
    assert_eq!(outputs(&mut cnx), [write(conn, frame(b"3"))]);
    cnx.handle_written(conn);
    assert_eq!(outputs(&mut cnx), []);
}

#[test]
fn a_dial_is_under_way_once() {
    let mut cnx = manager();
    cnx.send(ServerId(1), b"1");
    cnx.send(ServerId(1), b"2");
    cnx.connect(ServerId(1));
    let conn = dial(&mut cnx, 1);
    cnx.handle_dial_failed(conn, DialError::Refused);
    assert_eq!(outputs(&mut cnx), [link(1, LinkEvent::Refused)]);
    cnx.connect(ServerId(1));
    let again = dial(&mut cnx, 1);
    cnx.handle_dial_failed(again, DialError::Unreachable);
    assert_eq!(outputs(&mut cnx), [link(1, LinkEvent::Unreachable)]);
}

#[test]
fn a_dial_that_the_other_side_overtook_is_dropped() {
    let mut cnx = manager();
    cnx.connect(ServerId(3));
    let slow = dial(&mut cnx, 3);
    accept(&mut cnx, 3);
    outputs(&mut cnx);
    cnx.handle_dialed(slow, Mono::ZERO);
    assert_eq!(outputs(&mut cnx), [Output::Close(slow)], "no handshake");
    assert!(cnx.is_linked(ServerId(3)));
}

#[test]
fn messages_come_whole_however_they_were_cut() {
    let mut cnx = manager();
    let conn = cnx.handle_accepted(Mono::ZERO);
    let bytes = [hello(3), frame(b"one"), frame(b"two")].concat();
    for byte in &bytes {
        cnx.handle_bytes(conn, &[*byte]);
    }
    let deliver = |message: &'static [u8]| Output::Deliver {
        from: ServerId(3),
        message: Bytes::from_static(message),
    };
    let expected = [link(3, LinkEvent::Up), deliver(b"one"), deliver(b"two")];
    assert_eq!(outputs(&mut cnx), expected);
}

#[test]
fn impossible_sizes_end_a_connection() {
    for size in [0, -1, 524_289, i32::MAX] {
        let mut cnx = manager();
        let conn = accept(&mut cnx, 3);
        outputs(&mut cnx);
        cnx.handle_bytes(conn, &size.to_be_bytes());
        let expected = [Output::Close(conn), link(3, LinkEvent::Lost)];
        assert_eq!(outputs(&mut cnx), expected, "{size}");
    }
    let mut cnx = manager();
    let conn = accept(&mut cnx, 3);
    outputs(&mut cnx);
    cnx.handle_bytes(conn, &frame(&vec![0; 524_288]));
    assert!(matches!(outputs(&mut cnx)[..], [Output::Deliver { .. }]));
}

#[test]
fn whoever_says_nothing_is_closed_in_time() {
    let mut cnx = manager();
    let mute = cnx.handle_accepted(Mono::ZERO);
    let due = cnx.poll_timeout().unwrap();
    assert_eq!(due, Mono::ZERO + TIMEOUT);
    cnx.handle_timeout(due - Duration::from_millis(1));
    assert_eq!(outputs(&mut cnx), []);
    cnx.handle_timeout(due);
    assert_eq!(outputs(&mut cnx), [Output::Close(mute)]);
    assert_eq!(cnx.poll_timeout(), None);
}

#[test]
fn the_oldest_of_too_many_that_say_nothing_makes_room() {
    let mut cnx = manager();
    let first = cnx.handle_accepted(Mono::ZERO);
    for _ in 0..64 {
        cnx.handle_accepted(Mono::ZERO);
    }
    assert_eq!(outputs(&mut cnx), [Output::Close(first)]);
}

#[test]
fn strangers_are_bounded_and_the_listed_are_not_turned_away() {
    let mut cnx = manager();
    let first = accept(&mut cnx, 100);
    for sid in 101..200 {
        accept(&mut cnx, sid);
    }
    assert!(outputs(&mut cnx).contains(&Output::Close(first)));
    assert!(!cnx.is_linked(ServerId(100)) && cnx.is_linked(ServerId(199)));
    accept(&mut cnx, 3);
    assert!(cnx.is_linked(ServerId(3)));
}

#[test]
fn a_stranger_is_answered_by_its_own_connection() {
    let mut cnx = manager();
    let conn = accept(&mut cnx, 9);
    outputs(&mut cnx);
    cnx.send(ServerId(9), b"vote");
    assert_eq!(outputs(&mut cnx), [write(conn, frame(b"vote"))]);
    cnx.handle_closed(conn);
    outputs(&mut cnx);
    cnx.send(ServerId(9), b"vote");
    assert_eq!(outputs(&mut cnx), [], "nobody knows where it is");
}

#[test]
fn a_second_server_with_our_number_is_closed() {
    let mut cnx = manager();
    let conn = accept(&mut cnx, 2);
    assert_eq!(outputs(&mut cnx), [Output::Close(conn)]);
}

#[test]
fn garbage_is_closed() {
    let mut cnx = manager();
    let conn = cnx.handle_accepted(Mono::ZERO);
    cnx.handle_bytes(conn, &[0xff; 64]);
    assert_eq!(outputs(&mut cnx), [Output::Close(conn)]);
}

/// Two managers and the bytes between them, with both dialling at once in any order:
/// one connection is left, the one that the larger dialled.
#[test]
fn two_that_dial_at_once_end_with_one_connection() {
    for first in [1, 2] {
        let mut pair = Pair::new();
        for id in [first, 3 - first] {
            pair.cnx(id).connect(ServerId(3 - id));
        }
        pair.settle();
        assert!(pair.cnx(1).is_linked(ServerId(2)) && pair.cnx(2).is_linked(ServerId(1)));
        assert_eq!(pair.wires.len(), 1, "{:?}", pair.wires);
        assert_eq!(pair.wires[0].0.0, 2, "dialled by the larger");
    }
}

type End = (i64, ConnId);

/// Servers 1 and 2.
struct Pair {
    cnx: BTreeMap<i64, CnxManager>,
    /// The dialling end first.
    wires: Vec<(End, End)>,
}

impl Pair {
    fn new() -> Self {
        let cnx = [1, 2].map(|id| {
            let options = CnxOptions {
                id: ServerId(id),
                addrs: vec![addr(id)],
                is_multi_address: false,
                handshake_timeout: TIMEOUT,
            };
            let listed = (1..=2).map(|id| (ServerId(id), vec![addr(id)]));
            (id, CnxManager::new(options, listed.collect()))
        });
        Self {
            cnx: cnx.into(),
            wires: Vec::new(),
        }
    }

    fn cnx(&mut self, id: i64) -> &mut CnxManager {
        self.cnx.get_mut(&id).unwrap()
    }

    fn other_end(&self, end: End) -> Option<End> {
        self.wires.iter().find_map(|(a, b)| match end {
            end if end == *a => Some(*b),
            end if end == *b => Some(*a),
            _ => None,
        })
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            for id in [1, 2] {
                if let Some(output) = self.cnx(id).poll_output() {
                    self.carry(id, output);
                }
            }
        }
        assert!(outputs(self.cnx(1)).is_empty() && outputs(self.cnx(2)).is_empty());
    }

    fn carry(&mut self, id: i64, output: Output) {
        match output {
            Output::Dial { conn, peer, .. } => {
                let accepted = self.cnx(peer.0).handle_accepted(Mono::ZERO);
                self.wires.push(((id, conn), (peer.0, accepted)));
                self.cnx(id).handle_dialed(conn, Mono::ZERO);
            }
            Output::Write { conn, bytes } => {
                if let Some((other, theirs)) = self.other_end((id, conn)) {
                    self.cnx(other).handle_bytes(theirs, &bytes);
                }
                self.cnx(id).handle_written(conn);
            }
            Output::Close(conn) => {
                if let Some((other, theirs)) = self.other_end((id, conn)) {
                    self.wires
                        .retain(|(a, b)| *a != (id, conn) && *b != (id, conn));
                    self.cnx(other).handle_closed(theirs);
                }
            }
            Output::Deliver { .. } | Output::Link { .. } => {}
        }
    }
}
