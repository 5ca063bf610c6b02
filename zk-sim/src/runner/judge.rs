//! After the last phase: what was seen, and what the checkers say of it.

use std::collections::BTreeMap;

use crate::catalogue;
use crate::checkers::invariants;
use crate::checkers::replay::Replay;
use crate::history::{Call, Frame, History, Outcome, Wire, WireConnection};
use crate::trace::Hash;

use super::cpu::Cpu;
use super::script::Script;
use super::server::Log;
use super::servers::Servers;
use super::{CLIENT_PORT, Doubts, Run, Verdict, Violation};

/// Who was there to see the run.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    pub(super) wire: Wire,
    pub(super) log: Log,
    /// Faults that struck, by kind.
    pub(super) struck: BTreeMap<&'static str, u64>,
}

/// Everything that was seen of the run.
pub(super) fn history(script: &Script, witnesses: &Witnesses) -> History {
    let (mut transactions, server_restarts) = witnesses.log.seen();
    let (mut peers, mut trees) = (Vec::new(), Vec::new());
    if let Servers::Ensemble(ensemble) = &script.servers {
        transactions = ensemble.records().committed();
        (peers, trees) = ensemble.records().peers();
    }
    let recorder = &script.recorder;
    History {
        calls: recorder.calls(),
        connections: witnesses.wire.connections(),
        transactions,
        states: recorder.states(),
        sessions: recorder.sessions(),
        heard: recorder.heard(),
        server_restarts,
        faults: witnesses.wire.faults(),
        peers,
        trees,
    }
}

/// The verdict on a run that has ended, well or not.
pub(super) fn judge(
    run: &Run,
    script: &Script,
    witnesses: Witnesses,
    began: Cpu,
) -> (Verdict, History) {
    let history = history(script, &witnesses);
    let sim = &script.sim;
    let at = sim.elapsed();
    let checking = Cpu::start();
    let mut verdict = Verdict {
        violation: script.violation(),
        trace: trace(sim.trace(), &history.calls),
        simulated: at,
        operations: history.calls.len() as u64,
        requests: history.connections.iter().map(requests).sum(),
        faults: witnesses.struck,
        places: sim.places(),
        failpoints: sim.failpoints(),
        ..Verdict::new(run)
    };
    verdict.catalogue = catalogue::reached(run.catalogue, &verdict.places, &verdict.faults);
    // What was found on the way is not explained any better by the rest.
    if verdict.violation.is_none() {
        verdict.violation = check(run, &history, &mut verdict.doubts)
            .err()
            .map(|(found_by, what)| Violation { found_by, at, what });
    }
    verdict.in_checkers = checking.taken();
    verdict.took = began.taken();
    (verdict, history)
}

/// Who objects, and to what.
type Objection = (String, String);

fn check(run: &Run, history: &History, doubts: &mut Doubts) -> Result<(), Objection> {
    if let Some(model) = &run.model {
        let replay = Replay::new(model.clone());
        let replay = match &run.ensemble {
            None => replay,
            Some(ensemble) => replay.ensemble(ensemble.hosts(), CLIENT_PORT),
        };
        let replayed = replay.check(history);
        let replayed = replayed.map_err(|what| ("replay".to_owned(), what))?;
        *doubts = Doubts {
            applied: replayed.applied,
            not_applied: replayed.not_applied,
        };
    }
    let own = run.invariants.iter().map(|make| make());
    invariants::of(run.ensemble.is_some())
        .into_iter()
        .chain(own)
        .try_for_each(|mut invariant| {
            let checked = invariant.check(history);
            checked.map_err(|what| (invariant.name().to_owned(), what))
        })
}

/// The requests with a number of their own that were written: neither handshake, ping,
/// credentials nor watches left again.
fn requests(connection: &WireConnection) -> u64 {
    let frames = connection.requests.written.iter().skip(1);
    // A number begins with the sign.
    let is_numbered = |frame: &&Frame| frame.payload.first().is_some_and(|first| *first < 0x80);
    frames.filter(is_numbered).count() as u64
}

/// A hash over what the network delivered and what callers were told.
fn trace(deliveries: u64, calls: &[Call]) -> u64 {
    let mut hash = Hash::new();
    hash.number(deliveries);
    for call in calls {
        hash.time(call.called);
        hash.number(u64::from(call.client.0));
        hash.bytes(call.path.as_bytes());
        if let Some((at, outcome)) = &call.ended {
            hash.time(*at);
            hash_outcome(&mut hash, outcome);
        }
    }
    hash.value()
}

fn hash_outcome(hash: &mut Hash, outcome: &Outcome) {
    match outcome {
        Outcome::Answer(record) => hash.bytes(record),
        Outcome::Refused(code) => hash.bytes(code.to_string().as_bytes()),
        Outcome::NotApplied(why) | Outcome::Unknown(why) | Outcome::Applied(why) => {
            hash.bytes(why.as_bytes());
        }
        Outcome::Dropped => hash.number(0),
    }
}
