//! Faults take effect, and end.

#[cfg(test)]
mod tests;

use crate::Sim;
use crate::observe::Observation;

use super::FaultKind;

/// What a fault needs of the servers of a run, as these belong to whoever started
/// them. Servers go by the name of their host.
pub trait ServerControl {
    /// Every connection to the server is dropped, now.
    fn drop_connections(&self, server: &str);

    /// The server ends a session as if that had timed out, now. The session is picked
    /// by this number; without sessions nothing happens.
    fn expire_session(&self, server: &str, pick: u64);

    /// The server stops politely, until [`ServerControl::start`].
    fn stop(&self, server: &str);

    /// The host is gone, whether or not there was a server on it, until
    /// [`ServerControl::start`].
    fn killed(&self, host: &str);

    /// The end of one [`ServerControl::stop`] or [`ServerControl::killed`]. After the
    /// latter the host is up again, unless another kill lasts; what ran on it has to
    /// be started anew.
    fn start(&self, host: &str);
}

/// Lets the fault take effect until [`end`], and tells those who watch.
///
/// Faults are counted: of two that do the same, the end of one leaves the other.
/// [`FaultKind::Fin`], [`FaultKind::DropConnections`], [`FaultKind::ExpireSession`]
/// and [`FaultKind::BitRot`] are over at once.
pub fn begin(sim: &Sim, kind: &FaultKind, servers: &impl ServerControl) {
    tell(sim, kind, true);
    match kind {
        FaultKind::Cut { a, b } => sim.cut(a, b),
        FaultKind::Fin { a, b } => sim.fin(a, b),
        FaultKind::Silence { a, b } => sim.silence(a, b),
        FaultKind::SilenceOneWay { from, to } => sim.silence_one_way(from, to),
        FaultKind::Forget { a, b } => sim.forget(a, b),
        FaultKind::Isolate { host } => sim.isolate(host),
        FaultKind::Slow { a, b, latency } => sim.slow(a, b, *latency),
        FaultKind::Bandwidth {
            a,
            b,
            bytes_per_second,
        } => sim.bandwidth(a, b, *bytes_per_second),
        FaultKind::Trickle { a, b } => sim.trickle(a, b),
        FaultKind::Garble { from, to } => sim.garble(from, to),
        FaultKind::Blackhole { host } => sim.blackhole(host),
        FaultKind::AcceptQueueFull { host } => sim.accept_queue_full(host),
        FaultKind::Refuse { host } => sim.refuse(host),
        FaultKind::AcceptAndClose { host } => sim.accept_and_close(host),
        FaultKind::Dns { name, how } => sim.dns(name, *how),
        FaultKind::Pause { host } => sim.host(host).pause(),
        FaultKind::Suspend { host } => sim.host(host).suspend(),
        FaultKind::Kill { host } => {
            sim.host(host).kill();
            servers.killed(host);
        }
        FaultKind::NewDisk { host } => {
            sim.host(host).kill();
            sim.host(host).replace_disk();
            servers.killed(host);
        }
        FaultKind::KillAt { place } | FaultKind::KillWhen { place, .. } => sim.lie_in_wait(place),
        FaultKind::WallJump { host, ms } => sim.host(host).jump_wall(*ms),
        FaultKind::ClockRate { host, permille } => sim.host(host).rate(*permille),
        FaultKind::DropConnections { server } => servers.drop_connections(server),
        FaultKind::ExpireSession { server, pick } => servers.expire_session(server, *pick),
        FaultKind::Restart { server } => servers.stop(server),
        FaultKind::DiskError { host, how } => sim.host(host).disk_fault(*how),
        FaultKind::SlowSync { host, takes } => sim.host(host).slow_sync(*takes),
        FaultKind::BitRot { host } => rot(sim, host),
    }
}

/// Ends what one [`begin`] of an equal fault did, and tells those who watch.
pub fn end(sim: &Sim, kind: &FaultKind, servers: &impl ServerControl) {
    match kind {
        FaultKind::Cut { a, b } => sim.end_cut(a, b),
        FaultKind::Silence { a, b } => sim.end_silence(a, b),
        FaultKind::SilenceOneWay { from, to } => sim.end_silence_one_way(from, to),
        FaultKind::Forget { a, b } => sim.end_forget(a, b),
        FaultKind::Isolate { host } => sim.end_isolate(host),
        FaultKind::Slow { a, b, latency } => sim.end_slow(a, b, *latency),
        FaultKind::Bandwidth {
            a,
            b,
            bytes_per_second,
        } => sim.end_bandwidth(a, b, *bytes_per_second),
        FaultKind::Trickle { a, b } => sim.end_trickle(a, b),
        FaultKind::Garble { from, to } => sim.end_garble(from, to),
        FaultKind::Blackhole { host } => sim.end_blackhole(host),
        FaultKind::AcceptQueueFull { host } => sim.end_accept_queue_full(host),
        FaultKind::Refuse { host } => sim.end_refuse(host),
        FaultKind::AcceptAndClose { host } => sim.end_accept_and_close(host),
        FaultKind::Dns { name, how } => sim.end_dns(name, *how),
        FaultKind::Pause { host } => sim.host(host).resume(),
        FaultKind::Suspend { host } => sim.host(host).wake(),
        FaultKind::Kill { host } | FaultKind::NewDisk { host } => {
            sim.host(host).restart();
            servers.start(host);
        }
        FaultKind::KillAt { place } | FaultKind::KillWhen { place, .. } => sim.end_wait(place),
        FaultKind::WallJump { host, ms } => sim.host(host).jump_wall(ms.saturating_neg()),
        FaultKind::ClockRate { host, permille } => sim.host(host).end_rate(*permille),
        FaultKind::Restart { server } => servers.start(server),
        FaultKind::DiskError { host, how } => sim.host(host).end_disk_fault(*how),
        FaultKind::SlowSync { host, takes } => sim.host(host).end_slow_sync(*takes),
        FaultKind::Fin { .. }
        | FaultKind::DropConnections { .. }
        | FaultKind::ExpireSession { .. }
        | FaultKind::BitRot { .. } => {}
    }
    tell(sim, kind, false);
}

fn tell(sim: &Sim, kind: &FaultKind, begins: bool) {
    let what = kind.to_string();
    let what = &what;
    sim.tell(&Observation::Fault { what, begins });
}

fn rot(sim: &Sim, host: &str) {
    if let Some(rotten) = sim.host(host).rot() {
        let (bit, offset, path) = (rotten.bit, rotten.offset, rotten.path.display());
        sim.tell(&Observation::Note {
            host,
            what: format_args!("bit {bit} of byte {offset} of {path} is flipped"),
        });
    }
}
