//! What a simulator wants to know of requests, and a bug it plants.

use zk_env::Probe;

use super::{Request, Requests, is_write};

impl Requests {
    /// Tells a simulator how far the requests were that a lost connection cuts off.
    pub(in crate::session) fn note_cut(&self, probe: &Probe) {
        /// In flight, the requests that make a pipeline.
        const PIPELINE: usize = 16;

        if self.in_flight.len() >= PIPELINE {
            probe.reached("client: cut with a pipeline in flight");
        }
        for request in &self.in_flight {
            let start = request.end - request.len as u64;
            probe.reached(if request.end <= self.written {
                "client: cut with the request written"
            } else if start < self.written {
                "client: cut with the request partly written"
            } else {
                "client: cut before the request's first byte"
            });
        }
    }

    /// Whether a write has been sent and not been answered.
    pub(in crate::session) fn has_unanswered_write(&self) -> bool {
        self.in_flight
            .iter()
            .any(|request| request.end <= self.written && is_write(request.op))
    }

    /// A bug for the simulator to find: the answer to a call that was given up goes
    /// to the call behind it.
    pub(in crate::session) fn plant_wrong_receiver(&mut self, answered: &mut Request) {
        let is_given_up = answered.slot.as_ref().is_some_and(|slot| slot.is_closed());
        if is_given_up && let Some(next) = self.in_flight.front_mut() {
            answered.slot = next.slot.take();
        }
    }
}
