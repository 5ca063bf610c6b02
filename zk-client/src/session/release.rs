//! What leaves the queue when: the window, servers that may not know an operation,
//! read-only servers, the closing of the session.

use std::net::SocketAddr;

use bytes::BytesMut;
use zk_proto::OpCode;

use super::requests::{Request, is_recent, is_write};
use super::{Now, Output, Phase, Probe, Session, fallback};
use crate::error::Error;
use crate::metrics;

impl Session {
    /// Appends to `out` what is to be written now.
    pub(crate) fn poll_transmit(&mut self, now: Now, out: &mut BytesMut) {
        let before = out.len();
        if !self.control.is_empty() {
            self.requests.count_control(self.control.len());
            out.extend_from_slice(&self.control);
            self.control.clear();
        }
        if let Phase::Serving {
            is_read_only,
            server,
        } = self.phase
        {
            if is_read_only {
                self.refuse_writes();
            }
            self.release(now, server, out);
            self.release_close(now, out);
        }
        if out.len() > before {
            self.timers.last_sent = now.mono;
        }
        metrics::in_flight(self.requests.in_flight());
        if !self.waiting_for_room.is_empty() && self.requests.has_room() {
            self.outputs
                .extend(self.waiting_for_room.drain(..).map(Output::Wake));
        }
    }

    /// `len` bytes of what `poll_transmit` gave were written.
    pub(crate) const fn handle_written(&mut self, len: usize) {
        self.requests.handle_written(len);
    }

    /// A read-only server would answer a write out of order and cost the connection.
    pub(super) fn refuse_writes(&mut self) {
        self.requests.refuse(&mut self.outputs, |request| {
            let is_refused = is_write(request.op) || request.op == OpCode::Sync;
            is_refused.then_some(Error::ReadOnly)
        });
    }

    pub(super) fn release(&mut self, now: Now, server: SocketAddr, out: &mut BytesMut) {
        let is_held = |session: &Self| {
            session.probe.is_some()
                || (session.is_probing_set_watches && session.set_watches_left > 0)
        };
        while !is_held(self) {
            self.requests.transmit(now.boot, out);
            let Some(front) = self.requests.front() else {
                return;
            };
            let (op, is_step) = (front.op, front.step.is_some());
            if !is_recent(op) && !is_step {
                return; // the window is full
            }
            if is_step {
                if self.requests.is_idle() {
                    self.requests.transmit_one(now.boot, out);
                }
                return;
            }
            match self.server_ops.get(server, op) {
                Some(true) if self.requests.in_flight() < self.config.limits.in_flight => {
                    self.requests.transmit_one(now.boot, out);
                }
                Some(true) => return,
                Some(false) => fallback::begin(&mut self.requests, &self.auths, &mut self.outputs),
                None if self.requests.is_idle() && self.set_watches_left == 0 => {
                    self.probe = Some(Probe {
                        op,
                        frame: self.requests.front_frame(),
                    });
                    self.requests.transmit_one(now.boot, out);
                }
                None => return,
            }
        }
    }

    pub(super) fn release_close(&mut self, now: Now, out: &mut BytesMut) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        if !closing.is_sent && self.requests.queued() == 0 {
            closing.is_sent = true;
            self.requests
                .push_front(Request::new(OpCode::CloseSession), &());
            self.requests.transmit_one(now.boot, out);
        }
    }
}
