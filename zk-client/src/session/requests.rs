//! Requests between the call and the answer: first queued as encoded bytes, then
//! in flight, always in the order of the calls.

mod observed;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::oneshot;
use zk_env::{Boot, Mono, Probe};
use zk_proto::{Encode, ErrorCode, OpCode, RequestHeader, Xid, encode_frame};

use super::Output;
use super::watches::PendingWatch;
use crate::error::{Error, Outcome, QueueLimit};
use crate::metrics;
use crate::reply::RawResult;

/// One request on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    /// Whoever waits; absent for the session's own requests and once the deadline
    /// has passed.
    pub(super) slot: Option<oneshot::Sender<RawResult>>,
    pub(super) deadline: Deadline,
    /// Bytes of its frame, length word included.
    pub(super) len: usize,
    /// Where its frame ends in the connection's stream, once in flight.
    end: u64,
    /// When its frame was handed over for writing: what a proof of life counts from.
    pub(super) sent_at: Boot,
    /// The watch to register if the answer allows.
    pub(super) watch: Option<Box<PendingWatch>>,
    /// A step of a substitute for an operation that the server lacks.
    pub(super) step: Option<Box<super::fallback::Step>>,
    /// The verdict on credentials, which may overtake the answers to earlier
    /// requests and then waits for its turn here.
    verdict: Option<ErrorCode>,
}

/// Until when a call waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Mono,
    /// As the caller set it, for the message.
    pub(super) after: Duration,
}

impl Deadline {
    pub(super) const NEVER: Self = Self {
        at: Mono::MAX,
        after: Duration::MAX,
    };
}

impl Request {
    pub(super) const fn new(op: OpCode) -> Self {
        Self {
            xid: Xid(0),
            op,
            slot: None,
            deadline: Deadline::NEVER,
            len: 0,
            end: 0,
            sent_at: Boot::ZERO,
            watch: None,
            step: None,
            verdict: None,
        }
    }

    /// How long the caller has waited; nothing for the session's own requests and
    /// for calls that wait for ever.
    pub(super) fn waited(&self, now: Mono) -> Option<Duration> {
        let called_at = self.deadline.at - self.deadline.after;
        (self.deadline.at != Mono::MAX).then(|| now.since(called_at))
    }

    /// What to conclude if no answer comes.
    fn outcome(&self, was_sent: bool) -> Outcome {
        if self.is_applied() {
            Outcome::Applied
        } else if was_sent && is_write(self.op) {
            Outcome::Unknown
        } else {
            Outcome::NotApplied
        }
    }

    /// Whether the call has taken effect and only the rest of its answer is missing.
    fn is_applied(&self) -> bool {
        self.step.as_ref().is_some_and(|step| step.is_applied())
    }

    /// Whether nothing may follow before its answer: what a step or a refused
    /// removal makes necessary next must come before the calls behind.
    pub(super) fn is_alone(&self) -> bool {
        let removes_persistent = |watch: &PendingWatch| watch.kind.removes_persistent();
        self.step.is_some() || self.watch.as_deref().is_some_and(removes_persistent)
    }
}

/// Whether an operation can change something that outlives the connection.
pub(super) const fn is_write(op: OpCode) -> bool {
    match op {
        OpCode::Create
        | OpCode::Delete
        | OpCode::SetData
        | OpCode::SetAcl
        | OpCode::Multi
        | OpCode::Create2
        | OpCode::Reconfig
        | OpCode::CreateContainer
        | OpCode::DeleteContainer
        | OpCode::CreateTtl
        | OpCode::CreateSession
        | OpCode::CloseSession => true,
        OpCode::Notification
        | OpCode::Exists
        | OpCode::GetData
        | OpCode::GetAcl
        | OpCode::GetChildren
        | OpCode::Sync
        | OpCode::Ping
        | OpCode::GetChildren2
        | OpCode::Check
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::MultiRead
        | OpCode::Auth
        | OpCode::SetWatches
        | OpCode::Sasl
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber
        | OpCode::SetWatches2
        | OpCode::AddWatch
        | OpCode::WhoAmI
        | OpCode::Error => false,
    }
}

/// Whether a read-only server refuses it: that answer may overtake others and would
/// cost the connection, so it is not asked.
pub(super) fn needs_read_write(op: OpCode) -> bool {
    op == OpCode::Sync || (is_write(op) && op != OpCode::CloseSession)
}

/// Operations that some supported server lacks. It answers them by closing the
/// connection, so the first one on each server travels alone.
pub(super) const fn is_recent(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create2
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::MultiRead
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::AddWatch
            | OpCode::WhoAmI
    )
}

/// Bounds, see `ClientBuilder`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) queued_requests: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) frame: usize,
}

/// The queue and the window.
#[derive(Debug)]
pub(super) struct Requests {
    limits: Limits,
    last_xid: Xid,
    /// Frames of `queued`, back to back.
    bytes: BytesMut,
    queued: VecDeque<Request>,
    /// How many of `queued` cannot be sent without a second look.
    special: usize,
    in_flight: VecDeque<Request>,
    /// Bytes handed over for writing on this connection, and bytes written.
    transmitted: u64,
    written: u64,
    /// No deadline of any request lies before this; it may be an answered one's.
    earliest_deadline: Mono,
}

impl Requests {
    pub(super) fn new(limits: Limits, last_xid: Xid) -> Self {
        Self {
            limits,
            last_xid,
            bytes: BytesMut::new(),
            queued: VecDeque::new(),
            special: 0,
            in_flight: VecDeque::new(),
            transmitted: 0,
            written: 0,
            earliest_deadline: Mono::MAX,
        }
    }

    /// Whether a call would find room.
    pub(super) fn has_room(&self) -> bool {
        self.full().is_none()
    }

    fn full(&self) -> Option<QueueLimit> {
        if self.queued.len() >= self.limits.queued_requests {
            Some(QueueLimit::Requests(self.limits.queued_requests))
        } else if self.bytes.len() >= self.limits.queued_bytes {
            Some(QueueLimit::Bytes(self.limits.queued_bytes))
        } else {
            None
        }
    }

    /// Encodes a call into the queue and gives its number. `path` is for the message
    /// if it is too large.
    pub(super) fn push(
        &mut self,
        request: Request,
        path: &str,
        body: &impl Encode,
    ) -> Result<Xid, Error> {
        if let Some(limit) = self.full() {
            return Err(Error::QueueFull { limit });
        }
        self.push_unbounded(request, path, body)
    }

    /// As `push` for the session's own requests, whose number the calls bound.
    pub(super) fn push_unbounded(
        &mut self,
        mut request: Request,
        path: &str,
        body: &impl Encode,
    ) -> Result<Xid, Error> {
        let xid = if request.op == OpCode::Auth {
            Xid::AUTH
        } else {
            self.last_xid.next()
        };
        let start = self.bytes.len();
        let size = encode_frame(
            &mut self.bytes,
            &(
                RequestHeader {
                    xid,
                    op: request.op.into(),
                },
                body,
            ),
        );
        if size > self.limits.frame {
            self.bytes.truncate(start);
            return Err(Error::FrameTooLarge {
                path: path.into(),
                size,
                limit: self.limits.frame,
            });
        }
        if request.op != OpCode::Auth {
            self.last_xid = xid;
        }
        request.xid = xid;
        request.len = self.bytes.len() - start;
        self.earliest_deadline = self.earliest_deadline.min(request.deadline.at);
        self.special += usize::from(is_special(&request));
        self.queued.push_back(request);
        Ok(xid)
    }

    /// A number for a request of the session's own that takes no place in line.
    pub(super) fn take_xid(&mut self) -> Xid {
        self.last_xid = self.last_xid.next();
        self.last_xid
    }

    /// Puts a request in front of the queue.
    pub(super) fn push_front(&mut self, mut request: Request, body: &impl Encode) {
        let mut bytes = BytesMut::new();
        self.last_xid = self.last_xid.next();
        request.xid = self.last_xid;
        encode_frame(
            &mut bytes,
            &(
                RequestHeader {
                    xid: request.xid,
                    op: request.op.into(),
                },
                body,
            ),
        );
        self.put_back(request, bytes);
    }

    /// Puts a frame taken by `pop_front` back.
    pub(super) fn put_back(&mut self, mut request: Request, frame: BytesMut) {
        request.len = frame.len();
        let mut bytes = frame;
        bytes.extend_from_slice(&self.bytes);
        self.bytes = bytes;
        self.special += usize::from(is_special(&request));
        self.queued.push_front(request);
    }

    pub(super) fn front(&self) -> Option<&Request> {
        self.queued.front()
    }

    /// A copy of the first queued frame.
    pub(super) fn front_frame(&self) -> BytesMut {
        let len = self.queued.front().map_or(0, |request| request.len);
        BytesMut::from(&self.bytes[..len])
    }

    /// Takes the first queued request out, with its frame.
    pub(super) fn pop_front(&mut self) -> Option<(Request, BytesMut)> {
        let request = self.queued.pop_front()?;
        self.special -= usize::from(is_special(&request));
        let frame = self.bytes.split_to(request.len);
        Some((request, frame))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.len()
    }

    /// Moves as many whole frames into `out` as the window allows, up to the first
    /// request that needs a second look.
    pub(super) fn transmit(&mut self, now: Boot, is_read_only: bool, out: &mut BytesMut) {
        let window = self.limits.in_flight.saturating_sub(self.in_flight.len());
        let plain = if self.special == 0 && !is_read_only {
            self.queued.len()
        } else {
            self.queued
                .iter()
                .take_while(|request| {
                    let is_refused = is_read_only && needs_read_write(request.op);
                    !is_special(request) && !is_refused
                })
                .take(window)
                .count()
        };
        self.transmit_first(plain.min(window), now, out);
    }

    /// Sends the first queued request, whatever it is.
    pub(super) fn transmit_one(&mut self, now: Boot, out: &mut BytesMut) {
        self.special -= usize::from(self.queued.front().is_some_and(is_special));
        self.transmit_first(1, now, out);
    }

    fn transmit_first(&mut self, count: usize, now: Boot, out: &mut BytesMut) {
        if count == 0 {
            return;
        }
        if count == self.queued.len() && out.is_empty() {
            std::mem::swap(&mut self.bytes, out);
            self.bytes.clear();
        } else {
            let len = self
                .queued
                .iter()
                .take(count)
                .map(|request| request.len)
                .sum();
            out.extend_from_slice(&self.bytes[..len]);
            self.bytes.advance(len);
        }
        for mut request in self.queued.drain(..count) {
            self.transmitted += request.len as u64;
            request.end = self.transmitted;
            request.sent_at = now;
            self.in_flight.push_back(request);
        }
    }

    /// Counts bytes of the session's own frames, which share the stream.
    pub(super) const fn count_control(&mut self, len: usize) {
        self.transmitted += len as u64;
    }

    pub(super) const fn handle_written(&mut self, len: usize) {
        self.written += len as u64;
    }

    /// The xid that the next ordinary reply must carry; none carries that of
    /// credentials, whose verdict comes before it.
    pub(super) fn first_in_flight(&self) -> Option<Xid> {
        self.in_flight.front().map(|request| request.xid)
    }

    /// The request that the next ordinary reply answers.
    pub(super) fn answer(&mut self, xid: Xid) -> Option<Request> {
        self.in_flight.front().filter(|first| first.xid == xid)?;
        self.in_flight.pop_front()
    }

    /// Notes the verdict on the oldest credentials that lack one. False if nobody
    /// asked for it.
    pub(super) fn note_verdict(&mut self, err: ErrorCode) -> bool {
        let asked = self
            .in_flight
            .iter_mut()
            .find(|request| request.op == OpCode::Auth && request.verdict.is_none());
        if let Some(request) = asked {
            request.verdict = Some(err);
            true
        } else {
            false
        }
    }

    /// Credentials whose turn to be answered it is.
    pub(super) fn pop_verdict(&mut self) -> Option<(Request, ErrorCode)> {
        let err = self.in_flight.front()?.verdict?;
        Some((self.in_flight.pop_front()?, err))
    }

    /// Whether a request in flight lets nothing follow.
    pub(super) fn is_held(&self) -> bool {
        self.in_flight.front().is_some_and(Request::is_alone)
    }

    /// The connection is gone: everything unanswered fails in order, except that
    /// a planned change of servers spares what was never sent.
    pub(super) fn fail_all(&mut self, is_planned: bool, outputs: &mut VecDeque<Output>) {
        for request in self.in_flight.drain(..) {
            let error = match request.verdict {
                Some(ErrorCode::AuthFailed) => Error::AuthFailed,
                _ => Error::ConnectionLost {
                    outcome: request.outcome(request.end <= self.written),
                },
            };
            fail(request, error, outputs);
        }
        if !is_planned {
            self.fail_queued(
                &Error::ConnectionLost {
                    outcome: Outcome::NotApplied,
                },
                outputs,
            );
        }
        self.transmitted = 0;
        self.written = 0;
    }

    /// Whatever was never sent fails with `error`.
    pub(super) fn fail_queued(&mut self, error: &Error, outputs: &mut VecDeque<Output>) {
        self.bytes.clear();
        self.special = 0;
        for request in self.queued.drain(..) {
            fail(request, error.clone(), outputs);
        }
    }

    pub(super) const fn earliest_deadline(&self) -> Mono {
        self.earliest_deadline
    }

    /// Answers every call whose deadline has passed. One that was not sent leaves
    /// the queue; one in flight keeps its place, and its reply will be discarded.
    pub(super) fn expire(&mut self, now: Mono, probe: &Probe, outputs: &mut VecDeque<Output>) {
        if now < self.earliest_deadline {
            return;
        }
        for request in &mut self.in_flight {
            if request.deadline.at <= now
                && let Some(slot) = request.slot.take()
            {
                probe.reached("client: deadline passed in flight");
                let outcome = request.outcome(true);
                let error = Error::DeadlineExceeded {
                    deadline: request.deadline.after,
                    outcome,
                };
                outputs.push_back(Output::Reply(slot, Err(error)));
            }
        }
        self.refuse(outputs, |request| {
            (request.deadline.at <= now).then_some(Error::DeadlineExceeded {
                deadline: request.deadline.after,
                outcome: Outcome::NotApplied,
            })
        });
        self.earliest_deadline = self
            .in_flight
            .iter()
            .filter(|request| request.slot.is_some())
            .chain(&self.queued)
            .map(|request| request.deadline.at)
            .min()
            .unwrap_or(Mono::MAX);
    }

    /// Takes out of the queue, and answers, what `verdict` finds an error for.
    pub(super) fn refuse(
        &mut self,
        outputs: &mut VecDeque<Output>,
        verdict: impl Fn(&Request) -> Option<Error>,
    ) {
        if !self.queued.iter().any(|request| verdict(request).is_some()) {
            return;
        }
        let mut frames = std::mem::take(&mut self.bytes);
        self.special = 0;
        for request in std::mem::take(&mut self.queued) {
            let frame = frames.split_to(request.len);
            if let Some(error) = verdict(&request) {
                fail(request, error, outputs);
            } else {
                self.bytes.extend_from_slice(&frame);
                self.special += usize::from(is_special(&request));
                self.queued.push_back(request);
            }
        }
    }

    /// The watches that answers still to come may register.
    pub(super) fn pending_watches(&mut self) -> impl Iterator<Item = &mut PendingWatch> {
        self.in_flight
            .iter_mut()
            .chain(&mut self.queued)
            .filter_map(|request| request.watch.as_deref_mut())
    }
}

fn is_special(request: &Request) -> bool {
    is_recent(request.op) || request.is_alone() || request.op == OpCode::CloseSession
}

/// Answers a request with an error, if anybody waits.
pub(super) fn fail(request: Request, error: Error, outputs: &mut VecDeque<Output>) {
    metrics::lost(request.op);
    let error = if request.is_applied() {
        error.after_effect()
    } else {
        error
    };
    if let Some(slot) = request.slot {
        outputs.push_back(Output::Reply(slot, Err(error)));
    }
}

/// The record inside a frame taken out of the queue.
pub(super) fn record_of(frame: &BytesMut) -> Bytes {
    const LENGTH_WORD_AND_HEADER: usize = 4 + 8;
    Bytes::copy_from_slice(&frame[LENGTH_WORD_AND_HEADER..])
}
