//! What must hold in every run, one file each. What one thing that happens can show by
//! itself, or together with what was before it, ends the run there; the rest is looked at when
//! all is known.
//!
//! The [replay](super::replay) compares every answer, event and outcome with the
//! server's log, which covers most of what is promised. Left to these files is what
//! needs no model, or what it does not look at:
//!
//! | promise | replay | left to |
//! |---|---|---|
//! | C1 outcomes are true | `NotApplied`, `Unknown`, `Applied` against the log | [`Outcomes`]: which operations may have which |
//! | C2 first in, first out | answers come in the order of requests | – |
//! | C3 zxids do not go back | answers fit the state at their zxid | [`Zxids`]: over all connections of a session |
//! | C4 no lost watch | events on the wire, and those handed out | workload `watches`: whoever waits is told |
//! | C5 session truth | – | [`SessionStates`], [`Epochs`], [`ProofOfLife`] |
//! | C6 bounded | – | [`CallsEnd`]; the runner's census of tasks |
//! | C7 no panic | – | the runner; workloads `raw`, `liars` and `garbled` |
//! | S5 ephemerals end with their session | in the order of the log | – |
//! | S25 expiry neither early nor late | – | [`Expiry`], [`Overdue`] |
//! | S26 nothing after the end of a session | – | [`AfterTheEnd`] |
//! | S32 nothing stays behind | – | the runner's census; [`AfterTheEnd`] |

mod after_the_end;
mod calls_end;
pub mod ensemble;
mod epochs;
mod expiry;
mod outcomes;
mod overdue;
mod proof_of_life;
mod session_states;
mod zxids;

pub use after_the_end::AfterTheEnd;
pub use calls_end::CallsEnd;
pub use epochs::Epochs;
pub use expiry::Expiry;
pub use outcomes::Outcomes;
pub use overdue::Overdue;
pub use proof_of_life::ProofOfLife;
pub use session_states::SessionStates;
pub use zxids::Zxids;

use crate::runner::Invariant;

/// Those of a run, which are others if there is an ensemble.
pub(crate) fn of(run_has_ensemble: bool) -> Vec<Box<dyn Invariant>> {
    if run_has_ensemble {
        ensemble::all()
    } else {
        all()
    }
}

/// All of them, for a run with a standalone server.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(Outcomes),
        Box::new(CallsEnd),
        Box::new(Zxids),
        Box::new(SessionStates::default()),
        Box::new(Epochs),
        Box::new(ProofOfLife),
        Box::new(Expiry),
        Box::new(Overdue),
        Box::new(AfterTheEnd::default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    #[test]
    fn nothing_is_wrong_with_nothing() {
        for mut invariant in all() {
            let name = invariant.name();
            assert_eq!(invariant.check(&History::default()), Ok(()), "{name}");
        }
    }
}
