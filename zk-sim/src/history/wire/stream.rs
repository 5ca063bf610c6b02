//! One direction of a connection: bytes become frames.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zk_proto::Xid;

use super::super::At;

/// What stands in front of a frame.
pub(super) const LENGTH_WORD: usize = size_of::<i32>();

/// A longer frame is none: letters read as a length word give more.
const LONGEST: usize = 64 << 20;

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When its last byte was written, or arrived.
    pub at: At,
    /// How many bytes of the stream there are up to its end.
    pub end: u64,
    /// What is behind its length word.
    pub payload: Bytes,
}

impl Frame {
    /// Whether it begins with this number; a handshake begins with a version, which is 0.
    pub(crate) fn has_xid(&self, xid: Xid) -> bool {
        self.payload.starts_with(&xid.0.to_be_bytes())
    }
}

/// How an end stopped writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: At,
    /// Whether by a reset or without any sign, rather than with a FIN.
    pub is_reset: bool,
}

/// What one end of a connection wrote, and what came of it at the other end.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The whole frames, as they were written.
    pub written: Vec<Frame>,
    /// What was written behind the last of these.
    pub rest: Bytes,
    /// The whole frames, as they arrived: the first of the written ones, unless a
    /// byte was changed on its way. That they arrived does not say that they were
    /// [read](Self::read_len).
    pub arrived: Vec<Frame>,
    /// How many bytes arrived.
    pub arrived_len: u64,
    /// How many of these the other end has taken. A reset takes the rest away.
    pub read_len: u64,
    /// Where bytes were changed on their way.
    pub garbled: Vec<u64>,
    /// Whether the writer has stopped.
    pub closed: Option<Closing>,
}

impl Stream {
    /// Whether the frame at `index` of those written arrived as it was.
    pub fn has_arrived(&self, index: usize) -> bool {
        let Some(frame) = self.written.get(index) else {
            return false;
        };
        let is_intact = self
            .garbled
            .first()
            .is_none_or(|offset| *offset >= frame.end);
        frame.end <= self.arrived_len && is_intact
    }

    /// Every byte that was written.
    pub(super) fn as_written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in &self.written {
            append(&mut bytes, frame);
        }
        bytes.extend_from_slice(&self.rest);
        bytes
    }
}

fn append(bytes: &mut Vec<u8>, frame: &Frame) {
    let len = i32::try_from(frame.payload.len()).expect("a frame is shorter than LONGEST");
    bytes.put_i32(len);
    bytes.extend_from_slice(&frame.payload);
}

/// A stream while it is watched.
#[derive(Debug, Default)]
pub(super) struct Tape {
    decoder: Decoder,
    /// When how many bytes in all had arrived.
    arrivals: Vec<(At, u64)>,
    read_len: u64,
    /// Offsets, and what was found there; in order of the offset.
    garbled: Vec<(u64, u8)>,
    closed: Option<Closing>,
}

impl Tape {
    pub(super) fn wrote(&mut self, at: At, bytes: &Bytes) {
        self.decoder.push(at, bytes.clone());
    }

    pub(super) fn arrived(&mut self, at: At, len: usize) {
        let total = self.arrived_len() + len as u64;
        match self.arrivals.last_mut() {
            Some((then, so_far)) if *then == at => *so_far = total,
            Some(_) | None => self.arrivals.push((at, total)),
        }
    }

    pub(super) fn read(&mut self, len: usize) {
        self.read_len += len as u64;
    }

    pub(super) fn garbled(&mut self, offset: u64, becomes: u8) {
        let place = self.garbled.partition_point(|(known, _)| *known <= offset);
        self.garbled.insert(place, (offset, becomes));
    }

    /// The first end counts: a reset may follow a FIN.
    pub(super) fn closed(&mut self, at: At, is_reset: bool) {
        self.closed.get_or_insert(Closing { at, is_reset });
    }

    fn arrived_len(&self) -> u64 {
        self.arrivals.last().map_or(0, |(_, total)| *total)
    }

    pub(super) fn stream(&self) -> Stream {
        let written = self.decoder.frames.clone();
        Stream {
            rest: self.decoder.pending.clone().freeze(),
            arrived: self.arrived_frames(&written),
            written,
            arrived_len: self.arrived_len(),
            read_len: self.read_len,
            garbled: self.garbled.iter().map(|(offset, _)| *offset).collect(),
            closed: self.closed,
        }
    }

    fn arrived_frames(&self, written: &[Frame]) -> Vec<Frame> {
        let arrived_len = self.arrived_len();
        let intact_len = match self.garbled.first() {
            Some((offset, _)) => arrived_len.min(*offset),
            None => arrived_len,
        };
        let intact = written.partition_point(|frame| frame.end <= intact_len);
        let mut arrivals = Arrivals(&self.arrivals);
        let mut frames: Vec<Frame> = written[..intact]
            .iter()
            .map(|frame| Frame {
                at: arrivals.of(frame.end),
                ..frame.clone()
            })
            .collect();
        if intact_len < arrived_len {
            self.decode_garbled(written, &mut frames);
        }
        frames
    }

    /// Reads what follows the intact frames as the receiver did: a length word may
    /// have changed, and with it where frames begin.
    fn decode_garbled(&self, written: &[Frame], frames: &mut Vec<Frame>) {
        let start = frames.last().map_or(0, |frame| frame.end);
        let mut bytes = Vec::new();
        for frame in &written[frames.len()..] {
            append(&mut bytes, frame);
        }
        bytes.extend_from_slice(&self.decoder.pending);
        bytes.truncate(usize::try_from(self.arrived_len() - start).unwrap_or(usize::MAX));
        for (offset, becomes) in &self.garbled {
            let place = offset
                .checked_sub(start)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(byte) = place.and_then(|at| bytes.get_mut(at)) {
                *byte = *becomes;
            }
        }
        let mut decoder = Decoder {
            end: start,
            ..Decoder::default()
        };
        decoder.push(At::ZERO, bytes.into());
        let mut arrivals = Arrivals(&self.arrivals);
        frames.extend(decoder.frames.into_iter().map(|frame| Frame {
            at: arrivals.of(frame.end),
            ..frame
        }));
    }
}

/// Looks up when bytes arrived, at growing offsets.
struct Arrivals<'a>(&'a [(At, u64)]);

impl Arrivals<'_> {
    /// When the first `len` bytes had arrived, which they have.
    fn of(&mut self, len: u64) -> At {
        while let [(_, total), later @ ..] = self.0
            && *total < len
            && !later.is_empty()
        {
            self.0 = later;
        }
        self.0.first().map_or(At::MAX, |(at, _)| *at)
    }
}

/// Takes bytes apart.
#[derive(Debug, Default)]
struct Decoder {
    frames: Vec<Frame>,
    /// Where the last of these ends.
    end: u64,
    /// Bytes that are no whole frame yet.
    pending: BytesMut,
    /// Whether no frame can follow, as a length makes no sense.
    is_lost: bool,
}

impl Decoder {
    fn push(&mut self, at: At, mut bytes: Bytes) {
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(&bytes);
            bytes = self.pending.split().freeze();
        }
        while !self.is_lost
            && let Some(payload) = self.next(&mut bytes)
        {
            self.end += (LENGTH_WORD + payload.len()) as u64;
            self.frames.push(Frame {
                at,
                end: self.end,
                payload,
            });
        }
        self.pending.extend_from_slice(&bytes);
    }

    fn next(&mut self, bytes: &mut Bytes) -> Option<Bytes> {
        let length = i32::from_be_bytes(*bytes.first_chunk()?);
        let Some(length) = usize::try_from(length).ok().filter(|len| *len <= LONGEST) else {
            self.is_lost = true;
            return None;
        };
        if bytes.len() < LENGTH_WORD + length {
            return None;
        }
        bytes.advance(LENGTH_WORD);
        Some(bytes.split_to(length))
    }
}
