//! A simulator's side of a [`Probe`](crate::Probe) for tests.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::probe::Probed;
use crate::rng::EnvRng;

/// Notes the places reached, plants a bug, and has failpoints act now and then.
#[derive(Debug)]
pub struct ScriptedProbe {
    bug: Option<&'static str>,
    /// How often a failpoint acts, from 0 to 1.
    chance: f64,
    /// The one that always acts.
    always: Option<&'static str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: EnvRng,
    reached: BTreeSet<&'static str>,
    fired: BTreeSet<&'static str>,
}

impl ScriptedProbe {
    /// Only looks.
    pub fn new() -> Self {
        Self::firing(0.0, 0)
    }

    /// Plants `bug`.
    pub fn planting(bug: &'static str) -> Self {
        Self {
            bug: Some(bug),
            ..Self::new()
        }
    }

    /// Has `point` act whenever it is come by.
    pub fn always(point: &'static str) -> Self {
        Self {
            always: Some(point),
            ..Self::new()
        }
    }

    /// Has failpoints act with this chance, as drawn from `seed`.
    pub fn firing(chance: f64, seed: u64) -> Self {
        let state = State {
            rng: EnvRng::from_seed(seed),
            reached: BTreeSet::new(),
            fired: BTreeSet::new(),
        };
        Self {
            bug: None,
            chance,
            always: None,
            state: Mutex::new(state),
        }
    }

    /// Whether `place` was reached.
    pub fn has_reached(&self, place: &str) -> bool {
        self.lock().reached.contains(place)
    }

    /// The failpoints that have acted.
    pub fn fired(&self) -> BTreeSet<&'static str> {
        self.lock().fired.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ScriptedProbe {
    fn default() -> Self {
        Self::new()
    }
}

impl Probed for ScriptedProbe {
    fn reached(&self, place: &'static str) {
        self.lock().reached.insert(place);
    }

    fn fires(&self, point: &'static str) -> bool {
        let mut state = self.lock();
        let is_drawn = self.chance > 0.0 && state.rng.fraction() < self.chance;
        let fires = is_drawn || self.always == Some(point);
        if fires {
            state.fired.insert(point);
        }
        fires
    }

    fn planted(&self) -> Option<&'static str> {
        self.bug
    }
}
