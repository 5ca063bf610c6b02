//! What goes wrong with the network, as [`Sim`] offers it. Methods are named after
//! [`FaultKind`](crate::faults::FaultKind).
//!
//! Faults are counted: two of the same kind on the same link last until both have
//! ended, and the end of one never ends another. An end without a begin does
//! nothing. Of several that limit the same, the worst rules.

use std::time::Duration;

use super::links::LinkFaults;
use super::strikes::{HostFaults, begin, end, end_value};
use crate::Sim;

/// Faults of a link.
impl Sim {
    /// Cuts the link between `a` and `b`. Existing connections fail at both ends, at
    /// once, with `ConnectionReset`; what was in flight or unread is lost. New ones
    /// are refused after a round trip.
    pub fn cut(&self, a: &str, b: &str) {
        self.between(a, b, |faults| begin(&mut faults.cuts));
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.reset_between(a, b);
        });
    }

    /// Ends one [`Sim::cut`]: new connections work, the old ones stay reset.
    pub fn end_cut(&self, a: &str, b: &str) {
        self.between(a, b, |faults| end(&mut faults.cuts));
    }

    /// Ends every connection between `a` and `b` as if each end had been closed by the
    /// other: what is in flight arrives, then a FIN; what is written from now on is
    /// answered with a reset. New connections work. Over in an instant.
    pub fn fin(&self, a: &str, b: &str) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.finish_between(a, b);
        });
    }

    /// Silences the link between `a` and `b`: nothing sent over it arrives and nobody
    /// is told, connects hang, writers wait once the window is full. Bytes are held,
    /// not lost: what TCP would send again, FIN included, arrives afterwards and in
    /// order, and a connection whose ends stayed open goes on.
    pub fn silence(&self, a: &str, b: &str) {
        self.between(a, b, |faults| begin(&mut faults.silences));
    }

    /// Ends one [`Sim::silence`]. What was held arrives after the usual latency.
    pub fn end_silence(&self, a: &str, b: &str) {
        self.between(a, b, |faults| end(&mut faults.silences));
    }

    /// [`Sim::silence`] in one direction. In the other bytes arrive, but as nothing
    /// tells the writer so, it waits once it has written a window.
    pub fn silence_one_way(&self, from: &str, to: &str) {
        self.one_way(from, to, |faults| begin(&mut faults.silences));
    }

    /// Ends one [`Sim::silence_one_way`].
    pub fn end_silence_one_way(&self, from: &str, to: &str) {
        self.one_way(from, to, |faults| end(&mut faults.silences));
    }

    /// Lets the connections between `a` and `b` be dead for good, unseen, as if a
    /// router between them had forgotten them: what is in flight is lost, writes
    /// vanish until the window is full, reads hang behind what has arrived. Neither
    /// FIN nor reset gets through, and no later fault concerns them. New connections
    /// hang and are taken up afterwards.
    pub fn forget(&self, a: &str, b: &str) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.forget_between(a, b);
        });
        self.between(a, b, |faults| begin(&mut faults.forgets));
    }

    /// Ends one [`Sim::forget`] for new connections.
    pub fn end_forget(&self, a: &str, b: &str) {
        self.between(a, b, |faults| end(&mut faults.forgets));
    }

    /// Lets segments between `a` and `b` take at least `latency`, and the usual jitter
    /// more. Those in flight are not concerned.
    pub fn slow(&self, a: &str, b: &str, latency: Duration) {
        self.between(a, b, |faults| faults.slow.push(latency));
    }

    /// Ends one [`Sim::slow`] of that latency. What is in flight arrives as if it had
    /// been sent now, unless it arrives earlier.
    pub fn end_slow(&self, a: &str, b: &str, latency: Duration) {
        self.between(a, b, |faults| end_value(&mut faults.slow, &latency));
        self.hasten(a, b);
    }

    /// Lets each direction between `a` and `b` carry this many bytes a second, over all
    /// its connections, at least one. Segments wait for those before them to leave.
    pub fn bandwidth(&self, a: &str, b: &str, bytes_per_second: u64) {
        self.between(a, b, |faults| faults.bandwidths.push(bytes_per_second));
    }

    /// Ends one [`Sim::bandwidth`] of that limit; what waits leaves at once.
    pub fn end_bandwidth(&self, a: &str, b: &str, bytes_per_second: u64) {
        self.between(a, b, |faults| {
            end_value(&mut faults.bandwidths, &bytes_per_second);
        });
        self.hasten(a, b);
    }

    /// Lets bytes between `a` and `b` arrive one at a time, one every millisecond on
    /// each connection.
    pub fn trickle(&self, a: &str, b: &str) {
        self.between(a, b, |faults| begin(&mut faults.trickles));
    }

    /// Ends one [`Sim::trickle`]; the rest arrives with its next byte.
    pub fn end_trickle(&self, a: &str, b: &str) {
        self.between(a, b, |faults| end(&mut faults.trickles));
    }

    /// Flips a bit in one of eight segments on the average, of those that `from` sends
    /// to `to` from now on.
    pub fn garble(&self, from: &str, to: &str) {
        self.one_way(from, to, |faults| begin(&mut faults.garbles));
    }

    /// Ends one [`Sim::garble`].
    pub fn end_garble(&self, from: &str, to: &str) {
        self.one_way(from, to, |faults| end(&mut faults.garbles));
    }

    /// How many bits have been flipped so far.
    pub fn garbled(&self) -> u64 {
        self.with(|world| world.garbled)
    }

    /// Ends every fault of the link between `a` and `b`, however often it has begun.
    /// What was held or late arrives after the usual latency; what was reset, ended
    /// or forgotten stays so.
    pub fn heal(&self, a: &str, b: &str) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.heal(a, b);
        });
    }

    fn between(&self, a: &str, b: &str, change: impl Fn(&mut LinkFaults)) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            if a != b {
                let links = world.links.between(a, b);
                world.change_links(links, change);
            }
        });
    }

    fn one_way(&self, from: &str, to: &str, change: impl Fn(&mut LinkFaults)) {
        self.with(|world| {
            let (from, to) = (world.host(from), world.host(to));
            if from != to {
                let link = world.links.id(from, to);
                world.change_links([link], change);
            }
        });
    }

    fn hasten(&self, a: &str, b: &str) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.hasten_between(a, b);
        });
    }
}

/// Faults of a host, towards all others.
impl Sim {
    /// Silences the host towards every other, also those that come to be later.
    pub fn isolate(&self, host: &str) {
        self.at(host, |faults| begin(&mut faults.isolations));
    }

    /// Ends one [`Sim::isolate`].
    pub fn end_isolate(&self, host: &str) {
        self.at(host, |faults| end(&mut faults.isolations));
    }

    /// Lets connects to the host hang; they are taken up afterwards. Connections there
    /// are work on.
    pub fn blackhole(&self, host: &str) {
        self.at(host, |faults| begin(&mut faults.blackholes));
    }

    /// Ends one [`Sim::blackhole`].
    pub fn end_blackhole(&self, host: &str) {
        self.at(host, |faults| end(&mut faults.blackholes));
    }

    /// Fills the accept queues of the host: connects to a port somebody listens on
    /// wait, and are taken up afterwards in their order.
    pub fn accept_queue_full(&self, host: &str) {
        self.at(host, |faults| begin(&mut faults.full_queues));
    }

    /// Ends one [`Sim::accept_queue_full`].
    pub fn end_accept_queue_full(&self, host: &str) {
        self.at(host, |faults| end(&mut faults.full_queues));
    }

    /// Refuses connects to the host, whether somebody listens or not.
    pub fn refuse(&self, host: &str) {
        self.at(host, |faults| begin(&mut faults.refusals));
    }

    /// Ends one [`Sim::refuse`].
    pub fn end_refuse(&self, host: &str) {
        self.at(host, |faults| end(&mut faults.refusals));
    }

    /// Accepts connections to ports of the host that somebody listens on, and closes
    /// them at once without telling the listener.
    pub fn accept_and_close(&self, host: &str) {
        self.at(host, |faults| begin(&mut faults.hang_ups));
    }

    /// Ends one [`Sim::accept_and_close`].
    pub fn end_accept_and_close(&self, host: &str) {
        self.at(host, |faults| end(&mut faults.hang_ups));
    }

    /// Ends every fault of the network: of links, hosts and names. Killed hosts stay
    /// so.
    pub fn heal_all(&self) {
        self.with(|world| world.heal_all());
        self.heal_names();
    }

    fn at(&self, host: &str, change: impl FnOnce(&mut HostFaults)) {
        self.with(|world| {
            let host = world.host(host);
            world.change_host(host, change);
        });
    }
}
