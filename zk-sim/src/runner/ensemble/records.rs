//! What the servers of an ensemble were seen to apply and to be.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_proto::Zxid;
use zk_server::observe;

use super::super::server::{Log, seen};
use crate::Sim;
use crate::history::{Applied, At, PeerSeen, Step, Transaction, TreeSeen};

/// What all servers together have shown. Clones are the same one.
#[derive(Clone, Debug)]
pub(in crate::runner) struct Records {
    state: Arc<Mutex<State>>,
    /// Told of each transaction once, when the first server has applied it.
    log: Log,
    sim: Sim,
}

#[derive(Debug, Default)]
struct State {
    /// What was applied by anybody.
    applied: BTreeMap<Zxid, Transaction>,
    peers: Vec<PeerSeen>,
    /// The last of each of these, by host.
    latest: BTreeMap<Arc<str>, PeerSeen>,
    trees: Vec<TreeSeen>,
    latest_trees: BTreeMap<Arc<str>, TreeSeen>,
    /// What logs on disks were seen to hold, committed or not.
    logged: BTreeMap<Zxid, Transaction>,
    /// How many faults last.
    faults: u32,
}

impl Records {
    pub(super) fn new(sim: &Sim, log: Log) -> Self {
        Self {
            state: Arc::default(),
            log,
            sim: sim.clone(),
        }
    }

    /// A fault begins or ends.
    pub(super) fn fault(&self, begins: bool) {
        let mut state = self.lock();
        state.faults = match begins {
            true => state.faults.saturating_add(1),
            false => state.faults.saturating_sub(1),
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, step: &Step<'_>) {
        self.log.listener().tell(step);
    }

    /// The server on `peer` has applied this.
    pub(super) fn applied(&self, peer: &Arc<str>, transaction: &observe::Transaction, at: At) {
        let transaction = seen(transaction, at);
        let is_next = {
            let mut state = self.lock();
            let newest = state.applied.last_key_value().map(|(zxid, _)| *zxid);
            match state.applied.entry(transaction.zxid) {
                Entry::Vacant(entry) => {
                    entry.insert(transaction.clone());
                    newest.is_none_or(|newest| newest < transaction.zxid)
                }
                Entry::Occupied(mut entry) => {
                    // Whoever only heard of a refusal does not know what it was about.
                    let known = entry.get_mut();
                    known.path = known.path.take().or_else(|| transaction.path.clone());
                    false
                }
            }
        };
        self.tell(&Step::Applied(&Applied {
            peer: Arc::clone(peer),
            transaction: transaction.clone(),
        }));
        if is_next {
            self.note_config(peer, &transaction);
            self.log.append(transaction);
        }
    }

    /// Other members are in force, by what was committed first on `peer`.
    fn note_config(&self, peer: &str, transaction: &Transaction) {
        if transaction.config.is_none() {
            return;
        }
        let probe = self.sim.env(peer).probe();
        probe.reached("ensemble: members changed");
        if self.lock().faults > 0 {
            probe.reached("ensemble: members changed while a fault lasts");
        }
    }

    /// This is what a server does now.
    pub(super) fn peer(&self, seen: PeerSeen) {
        {
            let mut state = self.lock();
            let before = state.latest.insert(Arc::clone(&seen.peer), seen.clone());
            if before.is_some_and(|before| is_same(&before, &seen)) {
                return;
            }
            state.peers.push(seen.clone());
        }
        self.tell(&Step::Peer(&seen));
    }

    /// This is what a server has.
    pub(super) fn tree(&self, seen: TreeSeen) {
        {
            let mut state = self.lock();
            let before = state.latest_trees.get(&seen.peer);
            if before.is_some_and(|b| (b.zxid, b.digest) == (seen.zxid, seen.digest)) {
                return;
            }
            state
                .latest_trees
                .insert(Arc::clone(&seen.peer), seen.clone());
            state.trees.push(seen.clone());
        }
        self.tell(&Step::Tree(&seen));
    }

    /// This is what the log on a disk holds now.
    pub(super) fn logged(&self, log: &[observe::Transaction], at: At) {
        let logged = &mut self.lock().logged;
        for made in log {
            logged.entry(made.zxid).or_insert_with(|| seen(made, at));
        }
    }

    /// What was committed, in the order of zxids: what anybody was seen to apply, and what a
    /// leader found in its log when it was elected, which nobody need have been seen to apply.
    pub(in crate::runner) fn committed(&self) -> Vec<Transaction> {
        let state = self.lock();
        let mut committed = state.applied.clone();
        let ends = state.history_ends();
        for made in state.logged.values() {
            // What the next leader had, all had from then on.
            let next = ends.range(made.zxid.epoch() + 1..).next();
            let is_history = next.is_some_and(|(_, end)| made.zxid <= *end);
            if is_history && !state.applied.contains_key(&made.zxid) {
                let at = state.latest_time_of(made.zxid).min(made.at);
                let made = made.clone();
                committed.insert(made.zxid, Transaction { at, ..made });
            }
        }
        committed.into_values().collect()
    }

    /// The states of servers and their trees.
    pub(in crate::runner) fn peers(&self) -> (Vec<PeerSeen>, Vec<TreeSeen>) {
        let state = self.lock();
        (state.peers.clone(), state.trees.clone())
    }
}

impl State {
    /// With what each established leader's history ended when it was elected, by epoch.
    fn history_ends(&self) -> BTreeMap<i64, Zxid> {
        let mut ends = BTreeMap::new();
        let mut ended: BTreeMap<&str, Zxid> = BTreeMap::new();
        for seen in &self.peers {
            if seen.is_established_leader() {
                let end = ended.get(&*seen.peer).copied().unwrap_or_default();
                ends.entry(seen.epoch).or_insert(end);
            } else {
                ended.insert(&seen.peer, seen.last_zxid);
            }
        }
        ends
    }

    /// It was made no later than what is behind it.
    fn latest_time_of(&self, zxid: Zxid) -> At {
        let behind = self.applied.range(zxid..).next();
        behind.map_or(At::MAX, |(_, made)| made.at)
    }
}

/// Whether there is nothing new, but that time and transactions went on.
fn is_same(before: &PeerSeen, now: &PeerSeen) -> bool {
    let of = |seen: &PeerSeen| (seen.state, seen.is_serving, seen.epoch, seen.accepted_epoch);
    of(before) == of(now)
}
