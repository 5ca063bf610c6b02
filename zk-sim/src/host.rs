//! Hosts: what each of them is, and what a test may do to it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use zk_env::{Env, EnvRng, Probe};

use crate::Sim;
use crate::clock::{Clock, TrueTime};
use crate::disk::{Rotten, SimDisk};
use crate::faults::DiskFault;
use crate::gate::{Gate, Task, Yields};
use crate::probe::{HostProbe, Probes};
use crate::sim_env::SimEnv;
use crate::trace::derive;
use crate::world::HostId;

/// Above this tasks would hardly come to run.
const MOST_YIELDS: u32 = 500;

/// What makes a host, apart from its part of the network.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: HostId,
    pub(crate) name: String,
    seed: u64,
    pub(crate) clock: Arc<Clock>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) probe: Probe,
    /// How often a generator of each name was asked for.
    generators: Mutex<BTreeMap<String, u64>>,
}

impl Machine {
    /// The next generator called `name`. The first of a name depends on seed, host
    /// and name; those after it also on their number, as no two components may get
    /// the same secrets.
    pub(crate) fn rng(&self, name: &str) -> EnvRng {
        let mut asked = self
            .generators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let times = asked.entry(name.to_owned()).or_default();
        let number = *times;
        *times += 1;
        drop(asked);
        let seed = match number {
            0 => derive(self.seed, &["host", &self.name, name]),
            _ => derive(self.seed, &["host", &self.name, name, &number.to_string()]),
        };
        EnvRng::from_seed(seed)
    }
}

/// All machines of a simulation, and what they share.
#[derive(Debug)]
pub(crate) struct Machines {
    seed: u64,
    pub(crate) time: Arc<TrueTime>,
    yields: Yields,
    pub(crate) probes: Arc<Probes>,
    by_name: Mutex<BTreeMap<String, Arc<Machine>>>,
}

impl Machines {
    pub(crate) fn new(seed: u64, origin: Instant) -> Self {
        Self {
            seed,
            time: Arc::new(TrueTime::new(origin)),
            yields: Arc::default(),
            probes: Arc::default(),
            by_name: Mutex::default(),
        }
    }

    fn by_name(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Machine>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, id: HostId, name: &str) -> Machine {
        let time = Arc::clone(&self.time);
        let rng = |what| EnvRng::from_seed(derive(self.seed, &[what, name]));
        Machine {
            id,
            name: name.to_owned(),
            seed: self.seed,
            clock: Arc::new(Clock::new(Arc::clone(&time))),
            gate: Arc::new(Gate::new(time, Arc::clone(&self.yields), rng("yields"))),
            disk: Arc::new(SimDisk::new(Arc::clone(&self.time), rng("disk"))),
            probe: HostProbe::probe(self.seed, name, Arc::clone(&self.probes)),
            generators: Mutex::default(),
        }
    }
}

/// A host of the simulation, named at its first mention; clones are the same one.
///
/// What begins and ends is counted: two pauses need two resumes, and a host that was
/// paused and suspended runs when both are over. An end without a begin does nothing.
#[derive(Clone)]
pub struct Host {
    sim: Sim,
    machine: Arc<Machine>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.machine.name).finish()
    }
}

impl Sim {
    /// The host called `name`.
    pub fn host(&self, name: &str) -> Host {
        Host {
            sim: self.clone(),
            machine: self.machine(name),
        }
    }

    pub(crate) fn machine(&self, name: &str) -> Arc<Machine> {
        let machines = self.machines();
        if let Some(machine) = machines.by_name().get(name) {
            return Arc::clone(machine);
        }
        let id = self.with(|world| world.host(name));
        let machine = Arc::new(machines.build(id, name));
        let mut by_name = machines.by_name();
        Arc::clone(by_name.entry(name.to_owned()).or_insert(machine))
    }

    /// A census: the tasks on every host that has any, by its name.
    pub fn tasks(&self) -> BTreeMap<String, Vec<Task>> {
        let by_name = self.machines().by_name();
        let census = by_name
            .iter()
            .map(|(name, machine)| (name.clone(), machine.gate.tasks()));
        census.filter(|(_, tasks)| !tasks.is_empty()).collect()
    }

    /// Lets tasks of all hosts be put off when they are polled, so many times in a
    /// thousand (at most 500; at first never): they are polled again after others had
    /// their turn. When that happens depends on the seed, so that seeds differ in the
    /// order in which tasks run.
    pub fn set_yields(&self, permille: u32) {
        let permille = permille.min(MOST_YIELDS);
        self.machines().yields.store(permille, Ordering::Relaxed);
    }
}

/// What runs.
impl Host {
    /// Its name, which resolves.
    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// Its environment.
    pub fn env(&self) -> Arc<dyn Env> {
        Arc::new(SimEnv::new(self.sim.clone(), Arc::clone(&self.machine)))
    }

    /// Stops what runs on the host, as `SIGSTOP` does: no task is polled, while the
    /// clocks go on and the network fills its buffers. Timers that came due meanwhile
    /// are found so afterwards.
    pub fn pause(&self) {
        self.machine.gate.stop();
    }

    /// Ends one [`Host::pause`].
    pub fn resume(&self) {
        self.machine.gate.release();
    }

    /// Lets the machine sleep: no task is polled and the monotonic clock stands still,
    /// and timers with it, while boot and wall clock go on.
    pub fn suspend(&self) {
        self.machine.gate.stop();
        self.machine.clock.suspend();
    }

    /// Ends one [`Host::suspend`].
    pub fn wake(&self) {
        self.machine.clock.wake();
        self.machine.gate.release();
    }

    /// Everything on the host is gone at once. Its connections and listeners vanish
    /// without a FIN; its tasks are dropped in the order in which they were spawned,
    /// without being polled again, and nothing that this does is seen by anyone; its
    /// disk keeps what was synced and any part of what was not. Clocks go on.
    ///
    /// While the host is down, tasks spawned on it are dropped at once, and so are
    /// those of an [`Env`] that was obtained before. What such an environment opened
    /// before stays dead after [`Host::restart`]: connections and open files.
    pub fn kill(&self) {
        let machine = &self.machine;
        if machine.gate.close() {
            self.sim.with(|world| world.kill(machine.id));
            machine.gate.drop_tasks();
            machine.disk.crash();
        }
    }

    /// Ends one [`Host::kill`]: whether the host is up now, with nothing running on it.
    pub fn restart(&self) -> bool {
        let was_up = self.is_up();
        let is_up = self.machine.gate.revive();
        if is_up && !was_up {
            self.sim.with(|world| world.restart(self.machine.id));
        }
        is_up
    }

    /// Whether the host is not killed.
    pub fn is_up(&self) -> bool {
        self.machine.gate.is_up()
    }

    /// Whether tasks on the host are polled: it is up, and neither paused nor suspended.
    pub fn is_running(&self) -> bool {
        self.machine.gate.is_open()
    }

    /// The tasks on the host that have not ended, in the order in which they were
    /// spawned.
    pub fn tasks(&self) -> Vec<Task> {
        self.machine.gate.tasks()
    }
}

/// Clocks.
impl Host {
    /// Lets all clocks of the host run at so many thousandths of the true rate (at
    /// least 1; at first 1000).
    pub fn set_rate(&self, permille: u32) {
        self.machine.clock.set_rate(permille);
    }

    /// Lets all clocks run at this rate until [`Host::end_rate`]. The youngest of
    /// several counts.
    pub fn rate(&self, permille: u32) {
        self.machine.clock.begin_rate(permille);
    }

    /// Ends one [`Host::rate`] of that value.
    pub fn end_rate(&self, permille: u32) {
        self.machine.clock.end_rate(permille);
    }

    /// Moves the wall clock by so many milliseconds.
    pub fn jump_wall(&self, ms: i64) {
        self.machine.clock.jump_wall(ms);
    }

    /// Moves boot and wall clock ahead, as a suspend does that is over in an instant.
    pub fn jump_boot(&self, by: Duration) {
        self.machine.clock.jump_boot(by);
    }

    /// Moves all clocks ahead, as if nothing had run for that long. Also what gives
    /// hosts clocks that began at different times.
    pub fn jump(&self, by: Duration) {
        self.machine.clock.jump(by);
    }
}

/// The disk.
impl Host {
    /// Lets calls of the disk fail until [`Host::end_disk_fault`].
    pub fn disk_fault(&self, how: DiskFault) {
        self.machine.disk.begin(how);
    }

    /// Ends one [`Host::disk_fault`] of that kind.
    pub fn end_disk_fault(&self, how: DiskFault) {
        self.machine.disk.end(how);
    }

    /// Lets any call of the disk fail with an input/output error, so many times in a
    /// thousand.
    pub fn set_disk_errors(&self, permille: u32) {
        self.machine.disk.set_errors(permille);
    }

    /// Lets every sync take this long more, and calls behind it wait, until
    /// [`Host::end_slow_sync`].
    pub fn slow_sync(&self, takes: Duration) {
        self.machine.disk.begin_slow_sync(takes);
    }

    /// Ends one [`Host::slow_sync`] of that length.
    pub fn end_slow_sync(&self, takes: Duration) {
        self.machine.disk.end_slow_sync(takes);
    }

    /// How long every call of the disk takes, and a sync (at first no time). Calls are
    /// served one after the other.
    pub fn set_disk_latency(&self, call: Duration, sync: Duration) {
        self.machine.disk.set_latency(call, sync);
    }

    /// How many bytes the disk holds (at first any number).
    pub fn set_disk_capacity(&self, bytes: u64) {
        self.machine.disk.set_capacity(bytes);
    }

    /// Puts an empty disk into the place of the host's. Call it while the host is down.
    pub fn replace_disk(&self) {
        self.machine.disk.replace();
    }

    /// Flips a bit of what the disk holds durably; which. `None` if it holds nothing.
    pub fn rot(&self) -> Option<Rotten> {
        self.machine.disk.rot()
    }
}

impl Sim {
    pub(crate) fn probes(&self) -> &Probes {
        &self.machines().probes
    }
}
