//! What leaves the queue when: the window, servers that may not know an operation,
//! read-only servers, the closing of the session.

use std::net::SocketAddr;

use bytes::BytesMut;
use zk_proto::OpCode;

use super::requests::{Request, fail, is_recent, needs_read_write};
use super::{Now, Phase, Session, Trial, fallback};
use crate::error::Error;
use crate::metrics;

/// What is to become of the first request in the queue.
enum Turn {
    Send,
    /// Send it alone: the server may not know this operation.
    Try(OpCode),
    /// Do something else: the server does not know it.
    Substitute,
    /// Answer it here: the server is read-only.
    Refuse,
    Wait,
}

impl Session {
    /// Appends to `out` what is to be written now.
    pub(crate) fn poll_transmit(&mut self, now: Now, out: &mut BytesMut) {
        let before = out.len();
        if !self.control.is_empty() {
            self.requests.count_control(self.control.len());
            out.extend_from_slice(&self.control);
            self.control.clear();
            if self
                .config
                .probe
                .buggify("client: own frames in a write of their own")
            {
                self.timers.last_sent = now.mono;
                return;
            }
        }
        if let Phase::Serving {
            is_read_only,
            server,
        } = self.phase
        {
            self.release(now, server, is_read_only, out);
            self.release_close(now, out);
        }
        if out.len() > before {
            self.timers.last_sent = now.mono;
        }
        metrics::in_flight(self.requests.in_flight());
    }

    /// `len` bytes of what `poll_transmit` gave were written.
    pub(crate) const fn handle_written(&mut self, len: usize) {
        self.requests.handle_written(len);
    }

    pub(super) fn release(
        &mut self,
        now: Now,
        server: SocketAddr,
        is_read_only: bool,
        out: &mut BytesMut,
    ) {
        let probe = &self.config.probe;
        if !self.requests.is_idle() && probe.buggify("client: send nothing while answers are due") {
            return;
        }
        while !self.is_held() {
            self.requests.transmit(now.boot, is_read_only, out);
            match self.turn(server, is_read_only) {
                Turn::Send => self.requests.transmit_one(now.boot, out),
                Turn::Try(op) => {
                    self.trial = Some(Trial {
                        op,
                        frame: self.requests.front_frame(),
                    });
                    self.requests.transmit_one(now.boot, out);
                }
                Turn::Substitute => {
                    fallback::begin(&mut self.requests, &self.auths, &mut self.outputs);
                }
                Turn::Refuse => {
                    if let Some((request, _)) = self.requests.pop_front() {
                        fail(request, Error::ReadOnly, &mut self.outputs);
                    }
                }
                Turn::Wait => return,
            }
        }
    }

    /// What is to become of the first request in the queue. Whatever is answered
    /// here and not by the server waits until those before it have their answers.
    fn turn(&self, server: SocketAddr, is_read_only: bool) -> Turn {
        let Some(front) = self.requests.front() else {
            return Turn::Wait;
        };
        let is_idle = self.requests.is_idle();
        let has_room = self.requests.in_flight() < self.config.limits.in_flight;
        if is_read_only && needs_read_write(front.op) {
            return if is_idle { Turn::Refuse } else { Turn::Wait };
        }
        let is_known = if is_recent(front.op) && front.step.is_none() {
            let known = self.server_ops.get(server, front.op);
            known.filter(|_| {
                !self
                    .config
                    .probe
                    .buggify("client: forget what the server knows")
            })
        } else {
            Some(true)
        };
        match is_known {
            Some(true) if is_idle || (has_room && !front.is_alone()) => Turn::Send,
            Some(false) if is_idle => Turn::Substitute,
            None if is_idle && self.set_watches_left == 0 => Turn::Try(front.op),
            Some(true | false) | None => Turn::Wait,
        }
    }

    /// Whether what is in flight lets nothing follow.
    fn is_held(&self) -> bool {
        self.trial.is_some()
            || (self.is_probing_set_watches && self.set_watches_left > 0)
            || self.requests.is_held()
    }

    /// The closing goes last, once every call is answered: an answer may make
    /// another request necessary, and a server that lacks an operation closes.
    pub(super) fn release_close(&mut self, now: Now, out: &mut BytesMut) {
        let has_turn = self.requests.queued() == 0 && self.requests.is_idle() && !self.is_held();
        let Some(closing) = &mut self.closing else {
            return;
        };
        if !closing.is_sent && has_turn {
            closing.is_sent = true;
            self.requests
                .push_front(Request::new(OpCode::CloseSession), &());
            self.requests.transmit_one(now.boot, out);
        }
    }
}
