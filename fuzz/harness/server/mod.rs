//! F3: hostile connections to a standalone server, beside a client that must not
//! notice.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use zk_proto::record::ConnectRequest;
use zk_proto::{Encode, FrameDecoder, Zxid, encode_frame};
use zk_server::ServerConfig;
use zk_server::fuzzing::{Action, Machine};

mod attacker;
mod replies;
mod witness;

use attacker::{Attacker, Granted, Outcome};
use witness::Witness;

/// Far above what an input can hold, so that length words are refused for their
/// sign or for being absurd.
const FRAME_LIMIT: usize = 1 << 16;

const TICK: Duration = Duration::from_secs(1);
/// Longer than any step waits, so that pings between them keep the witness alive.
const MAX_SESSION_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads `input` as steps of three attackers, who may send anything in pieces of
/// any size, vanish, and let time pass. No reply is missing, misplaced or
/// malformed, the witness finds its znodes and its session as they were, and in the
/// end nothing of the attackers' is held any more.
pub(crate) fn check(input: &[u8]) {
    let mut server = Server::new();
    let mut steps = input;
    while let Some(step) = Step::next(&mut steps) {
        match step {
            Step::Send { slot, bytes } => {
                if server.send(slot, bytes) == Outcome::Impostor {
                    return;
                }
            }
            Step::SendFrame { slot, payload } => {
                let mut frame = BytesMut::new();
                payload.encode(&mut frame);
                if server.send(slot, &frame) == Outcome::Impostor {
                    return;
                }
            }
            Step::Vanish { slot } => server.vanish(slot),
            Step::Resume { slot, of } => server.resume(slot, of),
            Step::Wait(time) => server.wait(time),
        }
    }
    server.finish();
}

/// What an input is made of: a byte that says what, and what belongs to it.
enum Step<'i> {
    /// Two bytes of length, then the bytes, in which anything may be wrong.
    Send { slot: u8, bytes: &'i [u8] },
    /// The same, to be sent as a frame: its length word is right.
    SendFrame { slot: u8, payload: &'i [u8] },
    /// The socket is gone.
    Vanish { slot: u8 },
    /// Connects anew, with the session that this slot or another one had last.
    Resume { slot: u8, of: u8 },
    /// A byte of twentieths of a second.
    Wait(Duration),
}

const SLOTS: u8 = 3;

impl<'i> Step<'i> {
    fn next(input: &mut &'i [u8]) -> Option<Self> {
        let kind = input.try_get_u8().ok()?;
        let slot = kind % SLOTS;
        Some(match kind / SLOTS % 5 {
            0 => Self::Send {
                slot,
                bytes: counted(input)?,
            },
            1 => Self::SendFrame {
                slot,
                payload: counted(input)?,
            },
            2 => Self::Vanish { slot },
            4 => Self::Resume {
                slot,
                of: input.try_get_u8().ok()? % SLOTS,
            },
            _ => {
                let twentieths = input.try_get_u8().ok()?;
                Self::Wait(Duration::from_millis(50) * u32::from(twentieths))
            }
        })
    }
}

/// Bytes behind their number, or what there is of them.
fn counted<'i>(input: &mut &'i [u8]) -> Option<&'i [u8]> {
    let length = usize::from(input.try_get_u16().ok()?).min(input.len());
    let (bytes, rest) = input.split_at(length);
    *input = rest;
    Some(bytes)
}

/// The machine, and everybody who talks to it.
struct Server {
    machine: Machine,
    witness: Witness,
    attackers: BTreeMap<u64, Attacker>,
    /// Which connection an attacker's slot has now.
    slots: [Option<u64>; SLOTS as usize],
    /// The session that it was granted last.
    sessions: [Option<Granted>; SLOTS as usize],
    last_conn: u64,
}

impl Server {
    fn new() -> Self {
        let config = ServerConfig::embedded()
            .tick_time(TICK)
            .max_session_timeout(MAX_SESSION_TIMEOUT)
            .container_check_interval(TICK)
            .build();
        let mut machine = Machine::new(&config.expect("values that fit"));
        let witness = Witness::new(&mut machine);
        Self {
            machine,
            witness,
            attackers: BTreeMap::new(),
            slots: [None; SLOTS as usize],
            sessions: Default::default(),
            last_conn: witness::CONN,
        }
    }

    /// What a driver does: accepts, splits into frames, closes on a bad length.
    fn send(&mut self, slot: u8, bytes: &[u8]) -> Outcome {
        let conn = self.connect(slot);
        let attacker = self
            .attackers
            .get_mut(&conn)
            .expect("it has just connected");
        attacker.input.extend_from_slice(bytes);
        loop {
            let Some(attacker) = self.attackers.get_mut(&conn) else {
                return Outcome::Sent; // the server has closed the connection
            };
            match FrameDecoder::new(FRAME_LIMIT).decode(&mut attacker.input) {
                Ok(Some(frame)) => {
                    if attacker.expect_answer(&frame, self.witness.session()) == Outcome::Impostor {
                        return Outcome::Impostor;
                    }
                    self.machine.frame(conn, &frame);
                    self.carry_out();
                }
                Ok(None) => return Outcome::Sent,
                Err(_) => {
                    self.vanish(slot);
                    return Outcome::Sent;
                }
            }
        }
    }

    fn resume(&mut self, slot: u8, of: u8) {
        self.vanish(slot);
        if let Some(Granted { session, password }) = self.sessions[usize::from(of)].clone() {
            let mut frame = BytesMut::new();
            let request = ConnectRequest {
                protocol_version: 0,
                last_zxid_seen: Zxid::ZERO,
                timeout_ms: 10_000,
                session_id: session,
                password,
                read_only: None,
            };
            encode_frame(&mut frame, &request);
            self.send(slot, &frame);
        }
    }

    fn connect(&mut self, slot: u8) -> u64 {
        *self.slots[usize::from(slot)].get_or_insert_with(|| {
            self.last_conn += 1;
            self.machine.accept(self.last_conn);
            self.attackers.insert(self.last_conn, Attacker::default());
            self.last_conn
        })
    }

    fn vanish(&mut self, slot: u8) {
        if let Some(conn) = self.slots[usize::from(slot)].take() {
            self.machine.closed(conn);
            self.attackers.remove(&conn);
            self.carry_out();
        }
    }

    fn wait(&mut self, time: Duration) {
        self.witness.ping(&mut self.machine);
        self.carry_out();
        self.machine.advance(time);
        self.carry_out();
    }

    /// Hands what the machine has to say to those whom it concerns.
    fn carry_out(&mut self) {
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Send {
                    conn: witness::CONN,
                    frames,
                } => self.witness.receive(frames),
                Action::Close {
                    conn: witness::CONN,
                } => panic!("the witness was thrown out"),
                Action::Send { conn, frames } => {
                    let attacker = self.attackers.get_mut(&conn);
                    let granted = attacker.expect("sent to nobody").receive(frames);
                    if let Some(slot) = self.slots.iter().position(|slot| *slot == Some(conn))
                        && granted.is_some()
                    {
                        self.sessions[slot] = granted;
                    }
                }
                Action::Close { conn } => {
                    self.attackers.remove(&conn).expect("nobody was closed");
                    self.slots
                        .iter_mut()
                        .filter(|slot| **slot == Some(conn))
                        .for_each(|slot| {
                            *slot = None;
                        });
                }
            }
        }
        for attacker in self.attackers.values() {
            attacker.assert_answered();
        }
    }

    fn finish(mut self) {
        self.witness.assert_undisturbed(&mut self.machine);
        (0..SLOTS).for_each(|slot| self.vanish(slot));
        self.wait(MAX_SESSION_TIMEOUT / 2);
        self.wait(MAX_SESSION_TIMEOUT / 2 + TICK);
        assert!(
            self.attackers.is_empty(),
            "connections outlive their sockets"
        );
        self.witness.assert_alone(&mut self.machine);
    }
}

/// Frames' payloads, of a server that writes whole frames only.
fn payloads(frames: bytes::Bytes) -> Vec<bytes::Bytes> {
    let mut input = BytesMut::from(frames);
    let mut payloads = Vec::new();
    while let Some(payload) = FrameDecoder::new(usize::MAX)
        .decode(&mut input)
        .expect("the server's own length words")
    {
        payloads.push(payload);
    }
    assert!(input.is_empty(), "the server sends a part of a frame");
    payloads
}
