//! What the simulator sees and disturbs inside client and server: rare places,
//! failpoints, planted bugs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use zk_env::{EnvRng, Probe, Probed};

use crate::Sim;
use crate::trace::derive;

/// How often failpoints act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failpoints {
    /// Never.
    #[default]
    Off,
    /// One in four failpoints is active on a host, and acts once in fifty times.
    Rare,
    /// Half of the failpoints are active on a host, and act once in five times.
    Often,
    /// The one of this name acts whenever code asks, and no other: to see what comes of it alone.
    Only(&'static str),
}

impl Failpoints {
    /// How many failpoints of a hundred are active on a host, and of a hundred times
    /// that an active one is asked, how often it acts.
    const fn percent(self) -> (u64, u64) {
        match self {
            Self::Off | Self::Only(_) => (0, 0),
            Self::Rare => (25, 2),
            Self::Often => (50, 20),
        }
    }
}

/// How often a failpoint was come to, and how often it acted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
pub struct FailpointCount {
    /// Times that code asked whether to act.
    pub asked: u64,
    /// Times that it was told to.
    pub fired: u64,
}

/// What all hosts of a simulation report to.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    counts: Mutex<Counts>,
    /// Somebody has come to where we lay in wait.
    catches: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    setting: Failpoints,
    planted: Option<&'static str>,
    /// Places at which whoever comes next is to be killed.
    waits: Vec<&'static str>,
    /// Who came there.
    caught: Vec<(String, &'static str)>,
    places: BTreeMap<&'static str, u64>,
    failpoints: BTreeMap<&'static str, FailpointCount>,
}

impl Probes {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The probe of one host, with generators of its own, so that no other host and no
/// other failpoint shifts what it does.
pub(crate) struct HostProbe {
    seed: u64,
    host: String,
    probes: Arc<Probes>,
    chances: Mutex<BTreeMap<&'static str, Chance>>,
}

/// The luck of one failpoint on one host.
struct Chance {
    /// Which of a hundred it is, as to whether it is active.
    rank: u64,
    rng: EnvRng,
}

impl fmt::Debug for HostProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostProbe").field(&self.host).finish()
    }
}

impl HostProbe {
    pub(crate) fn probe(seed: u64, host: &str, probes: Arc<Probes>) -> Probe {
        Probe::new(Arc::new(Self {
            seed,
            host: host.to_owned(),
            probes,
            chances: Mutex::default(),
        }))
    }

    fn draw(&self, point: &'static str, setting: Failpoints) -> bool {
        if let Failpoints::Only(name) = setting {
            return name == point;
        }
        let (active, acts) = setting.percent();
        if active == 0 {
            return false;
        }
        let mut chances = self.chances.lock().unwrap_or_else(PoisonError::into_inner);
        let chance = chances.entry(point).or_insert_with(|| {
            let seed = derive(self.seed, &["failpoint", &self.host, point]);
            let mut rng = EnvRng::from_seed(seed);
            Chance {
                rank: rng.below(100),
                rng,
            }
        });
        chance.rank < active && chance.rng.below(100) < acts
    }
}

impl Probed for HostProbe {
    fn reached(&self, place: &'static str) {
        let mut counts = self.probes.lock();
        *counts.places.entry(place).or_default() += 1;
        if let Some(index) = counts.waits.iter().position(|wait| *wait == place) {
            counts.waits.remove(index);
            counts.caught.push((self.host.clone(), place));
            drop(counts);
            self.probes.catches.notify_one();
        }
    }

    fn fires(&self, point: &'static str) -> bool {
        let setting = self.probes.lock().setting;
        let fires = self.draw(point, setting);
        let mut counts = self.probes.lock();
        let count = counts.failpoints.entry(point).or_default();
        count.asked += 1;
        count.fired += u64::from(fires);
        fires
    }

    fn planted(&self) -> Option<&'static str> {
        self.probes.lock().planted
    }
}

impl Sim {
    /// How often failpoints act from now on, on every host. At first they are off.
    ///
    /// Which of them are active on a host, and when they act, depends on the seed, the
    /// host and the failpoint alone.
    pub fn set_failpoints(&self, setting: Failpoints) {
        self.probes().lock().setting = setting;
    }

    /// Plants the bug called `bug` in client and server, in place of one planted
    /// before. Does nothing unless they were built with `zk-env`'s feature
    /// `planted-bugs`.
    pub fn plant(&self, bug: &'static str) {
        self.probes().lock().planted = Some(bug);
    }

    /// Lies in wait for the next host that comes to this place; see [`Sim::caught`].
    pub(crate) fn lie_in_wait(&self, place: &'static str) {
        self.probes().lock().waits.push(place);
    }

    /// Ends one [`Sim::lie_in_wait`] that nobody has come to.
    pub(crate) fn end_wait(&self, place: &'static str) {
        let mut counts = self.probes().lock();
        if let Some(index) = counts.waits.iter().position(|wait| *wait == place) {
            counts.waits.remove(index);
        }
    }

    /// Waits until a host comes to where [`Sim::lie_in_wait`] waits for one: which, and where.
    ///
    /// # Cancel safety
    ///
    /// Nobody is missed.
    pub(crate) async fn caught(&self) -> (String, &'static str) {
        loop {
            if let Some(caught) = self.probes().lock().caught.pop() {
                return caught;
            }
            self.probes().catches.notified().await;
        }
    }

    /// How often each rare place was reached so far, by name.
    pub fn places(&self) -> BTreeMap<&'static str, u64> {
        self.probes().lock().places.clone()
    }

    /// How often each failpoint was come to and acted so far, by name.
    pub fn failpoints(&self) -> BTreeMap<&'static str, FailpointCount> {
        self.probes().lock().failpoints.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    fn in_sim<T>(seed: u64, test: impl FnOnce(Sim) -> T) -> T {
        runtime(seed)
            .unwrap()
            .block_on(async { test(Sim::new(seed)) })
    }

    const POINTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

    /// Which of a hundred questions to each failpoint are answered with yes.
    fn answers(seed: u64, host: &str, setting: Failpoints) -> Vec<bool> {
        in_sim(seed, |sim| {
            sim.set_failpoints(setting);
            let probe = sim.env(host).probe();
            let hundred = POINTS.iter().flat_map(|point| [*point; 100]);
            hundred.map(|point| probe.buggify(point)).collect()
        })
    }

    #[test]
    fn failpoints_are_off_until_they_are_set() {
        in_sim(1, |sim| {
            let probe = sim.env("a").probe();
            assert!(!probe.buggify("somewhere"));
            let count = sim.failpoints()["somewhere"];
            assert_eq!((count.asked, count.fired), (1, 0));
        });
    }

    #[test]
    fn failpoints_depend_on_seed_host_and_setting() {
        let often = answers(1, "a", Failpoints::Often);
        assert_eq!(often, answers(1, "a", Failpoints::Often));
        assert_ne!(often, answers(2, "a", Failpoints::Often));
        assert_ne!(often, answers(1, "b", Failpoints::Often));
        let count = |answers: &[bool]| answers.iter().filter(|yes| **yes).count();
        let totals = [Failpoints::Off, Failpoints::Rare, Failpoints::Often].map(|setting| {
            let of_seed = |seed| count(&answers(seed, "a", setting));
            (0..20).map(of_seed).sum::<usize>()
        });
        assert_eq!(totals[0], 0);
        // 20 seeds, 800 questions each: about 80 and 1,600.
        assert!((20..200).contains(&totals[1]), "{totals:?}");
        assert!((800..2400).contains(&totals[2]), "{totals:?}");
    }

    #[test]
    fn one_alone_acts_whenever_it_is_asked() {
        let answers = answers(1, "a", Failpoints::Only(POINTS[1]));
        let acted = answers.chunks(100).map(|of_one| !of_one.contains(&false));
        assert_eq!(acted.filter(|always| *always).count(), 1);
        assert_eq!(answers.iter().filter(|acts| **acts).count(), 100);
    }

    #[test]
    fn some_failpoints_never_act_in_a_run() {
        let answers = answers(3, "a", Failpoints::Often);
        let silent = |of_one: &[bool]| !of_one.contains(&true);
        let silent = answers.chunks(100).filter(|chunk| silent(chunk)).count();
        assert!((1..POINTS.len()).contains(&silent));
    }

    #[test]
    fn places_are_counted_over_all_hosts() {
        in_sim(1, |sim| {
            for host in ["a", "b"] {
                sim.env(host).probe().reached("there");
            }
            assert_eq!(sim.places(), BTreeMap::from([("there", 2)]));
        });
    }
}
