use std::time::Duration;

use bytes::Bytes;

use super::*;

const C: ConnectionId = ConnectionId(3);

struct Net {
    wire: Wire,
    now: u64,
}

impl Net {
    fn new() -> Self {
        let mut net = Self {
            wire: Wire::default(),
            now: 0,
        };
        net.tell(&Observation::Dialled {
            connection: C,
            from: "client",
            ip: [10, 0, 0, 1].into(),
            to: "server",
            port: 2181,
        });
        net
    }

    fn tell(&mut self, observation: &Observation<'_>) {
        self.now += 1;
        self.wire
            .observer()
            .observe(Duration::from_millis(self.now), observation);
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.tell(&Observation::Wrote {
            connection: C,
            side: Side::Connector,
            bytes: &Bytes::copy_from_slice(bytes),
        });
    }

    fn arrived(&mut self, len: usize) {
        self.tell(&Observation::Arrived {
            connection: C,
            side: Side::Connector,
            len,
        });
    }

    fn read(&mut self, len: usize) {
        self.tell(&Observation::Read {
            connection: C,
            side: Side::Connector,
            len,
        });
    }

    fn garbled(&mut self, offset: u64, becomes: u8) {
        self.tell(&Observation::Garbled {
            connection: C,
            side: Side::Connector,
            offset,
            becomes,
        });
    }

    fn requests(&self) -> Stream {
        self.wire.connections().remove(0).requests
    }
}

fn payloads(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(|frame| &*frame.payload).collect()
}

fn times(frames: &[Frame]) -> Vec<u128> {
    frames.iter().map(|frame| frame.at.as_millis()).collect()
}

#[test]
fn frames_are_put_together_from_pieces() {
    let mut net = Net::new();
    net.wrote(b"\0\0\0\x02ab\0\0");
    net.wrote(b"\0\x01");
    net.wrote(b"c\0\0\0\0\0\0\0\x05xy");
    net.arrived(5);
    net.arrived(6);
    net.arrived(4);
    let stream = net.requests();
    assert_eq!(payloads(&stream.written), [&b"ab"[..], b"c", b""]);
    assert_eq!(times(&stream.written), [2, 4, 4]);
    assert_eq!(&*stream.rest, b"\0\0\0\x05xy");
    assert_eq!(payloads(&stream.arrived), [&b"ab"[..], b"c", b""]);
    assert_eq!(times(&stream.arrived), [6, 6, 7]);
}

#[test]
fn what_is_cut_off_has_not_arrived() {
    let mut net = Net::new();
    net.wrote(b"\0\0\0\x01a\0\0\0\x01b");
    net.arrived(9);
    let stream = net.requests();
    assert_eq!(stream.written.len(), 2);
    assert_eq!(payloads(&stream.arrived), [b"a"]);
    assert!(stream.has_arrived(0) && !stream.has_arrived(1) && !stream.has_arrived(2));
}

/// A client that hears nothing of an event which a reset took from it has lost no watch
/// (seed 279 with 53 s of faults).
#[test]
fn what_has_arrived_was_not_read_for_that() {
    let mut net = Net::new();
    net.wrote(b"\0\0\0\x01a\0\0\0\x01b");
    net.arrived(10);
    net.read(5);
    net.read(2);
    let stream = net.requests();
    assert_eq!(payloads(&stream.arrived), [b"a", b"b"]);
    assert_eq!(stream.read_len, 7);
}

#[test]
fn a_garbled_length_moves_the_frames_behind_it() {
    let mut net = Net::new();
    net.wrote(b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c");
    net.garbled(8, 0);
    net.garbled(14, b'C');
    net.arrived(15);
    let stream = net.requests();
    assert_eq!(payloads(&stream.written), [b"a", b"b", b"c"]);
    assert_eq!(payloads(&stream.arrived), [&b"a"[..], b""]);
    assert!(stream.has_arrived(0) && !stream.has_arrived(1));
}

#[test]
fn a_garbled_body_arrives_as_it_became() {
    let mut net = Net::new();
    net.wrote(b"\0\0\0\x01a\0\0\0\x01b");
    net.arrived(9);
    net.garbled(9, b'B');
    net.arrived(1);
    let stream = net.requests();
    assert_eq!(payloads(&stream.arrived), [b"a", b"B"]);
    assert_eq!(times(&stream.arrived), [3, 5]);
}

#[test]
fn a_four_letter_word_is_recognised() {
    let mut net = Net::new();
    net.wrote(b"ru");
    net.wrote(b"ok");
    net.tell(&Observation::Wrote {
        connection: C,
        side: Side::Acceptor,
        bytes: &Bytes::from_static(b"\0\0\0\x01imok"),
    });
    let connection = net.wire.connections().remove(0);
    assert_eq!(connection.four_letter_word(), Some("ruok"));
    assert_eq!(&*connection.replies.rest, b"\0\0\0\x01imok");
    assert!(connection.replies.written.is_empty());
}

#[test]
fn the_end_of_a_direction_is_kept() {
    let mut net = Net::new();
    for is_reset in [false, true] {
        net.tell(&Observation::Closed {
            connection: C,
            side: Side::Connector,
            is_reset,
        });
    }
    let at = Duration::from_millis(2);
    let is_reset = false;
    assert_eq!(net.requests().closed, Some(Closing { at, is_reset }));
}
