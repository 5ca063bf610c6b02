//! What went over the wire, frame by frame: as it was written, and as it arrived.

mod connection;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{At, FaultSeen};
use crate::observe::{ConnectionId, Observation, Observer, Side};
use crate::runner::is_server;
use connection::Tape;

pub use connection::WireConnection;
pub use stream::{Closing, Frame, Stream};

/// Watches the network and takes apart what goes over it. Clones are the same one.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # zk_sim::runtime(1)?.block_on(async {
/// let sim = zk_sim::Sim::new(1);
/// let wire = zk_sim::history::Wire::default();
/// sim.watch(wire.observer());
/// // … clients and servers at work …
/// for connection in wire.connections() {
///     println!("{} requests", connection.requests.written.len());
/// }
/// # });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Tapes>>);

#[derive(Debug, Default)]
struct Tapes {
    connections: BTreeMap<ConnectionId, Tape>,
    faults: Vec<FaultSeen>,
}

impl Wire {
    /// What to give to [`Sim::watch`](crate::Sim::watch).
    pub fn observer(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }

    /// The connections so far, in the order in which they were dialled.
    pub fn connections(&self) -> Vec<WireConnection> {
        let tapes = self.lock();
        tapes
            .connections
            .iter()
            .map(|(id, tape)| tape.connection(*id))
            .collect()
    }

    /// The faults that began or ended so far, in that order.
    pub fn faults(&self) -> Vec<FaultSeen> {
        self.lock().faults.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tapes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Wire {
    fn observe(&mut self, at: Duration, observation: &Observation<'_>) {
        self.lock().observe(at, observation);
    }
}

impl Tapes {
    fn observe(&mut self, at: At, observation: &Observation<'_>) {
        match *observation {
            Observation::Dialled {
                connection,
                from,
                ip,
                to,
                port,
            } => {
                // What servers say to each other is none of the clients' protocol.
                if !(is_server(from) && is_server(to)) {
                    let tape = Tape::new(at, (from, ip), (to, port));
                    self.connections.insert(connection, tape);
                }
            }
            Observation::Established { connection } => {
                if let Some(tape) = self.connections.get_mut(&connection) {
                    tape.established.get_or_insert(at);
                }
            }
            Observation::Wrote {
                connection,
                side,
                bytes,
            } => self.with(connection, side, |stream| stream.wrote(at, bytes)),
            Observation::Arrived {
                connection,
                side,
                len,
            } => self.with(connection, side, |stream| stream.arrived(at, len)),
            Observation::Read {
                connection,
                side,
                len,
            } => self.with(connection, side, |stream| stream.read(len)),
            Observation::Garbled {
                connection,
                side,
                offset,
                becomes,
            } => self.with(connection, side, |stream| stream.garbled(offset, becomes)),
            Observation::Closed {
                connection,
                side,
                is_reset,
            } => self.with(connection, side, |stream| stream.closed(at, is_reset)),
            Observation::Fault { what, begins } => self.faults.push(FaultSeen {
                at,
                what: what.to_owned(),
                begins,
            }),
            Observation::Note { .. } => {}
        }
    }

    fn with(&mut self, connection: ConnectionId, side: Side, tell: impl FnOnce(&mut stream::Tape)) {
        if let Some(tape) = self.connections.get_mut(&connection) {
            tell(tape.stream(side));
        }
    }
}
