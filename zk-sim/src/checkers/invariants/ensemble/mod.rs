//! What must hold of the servers of an ensemble, one file each: each is looked at with every
//! step, and ends the run at the first that it objects to.
//!
//! | promise | by | and |
//! |---|---|---|
//! | committed prefixes agree, total order, integrity, no skipping | [`Prefixes`] | the replay: every answer of every server is of a state of the one log |
//! | one established leader an epoch, and it has all that was committed | [`Leaders`] | |
//! | whoever leads has a vote, by the configuration at its zxid | [`Members`] | |
//! | epochs on disk never decrease | [`PeerEpochs`] | |
//! | acknowledged is committed, and is kept | [`Acknowledged`], [`Digests`] | the replay of what is read in the end; the log on every disk |
//! | equal trees at equal zxids | [`Digests`] | |
//! | no session expired early, or by an election | [`PeerExpiry`] | |
//! | ephemerals vanish exactly once, a session ends once | [`AfterTheEnd`] | the replay |
//! | per-session order, zxids never go backwards | [`Zxids`] | the replay |
//! | writes linearizable | workloads `document`, `locks`, `queue` | the replay: calls in the log's order and between call and answer |

mod acknowledged;
mod digests;
mod leaders;
mod members;
mod peer_epochs;
mod peer_expiry;
mod prefixes;

pub use acknowledged::Acknowledged;
pub use digests::Digests;
pub use leaders::Leaders;
pub use members::Members;
pub use peer_epochs::PeerEpochs;
pub use peer_expiry::PeerExpiry;
pub use prefixes::Prefixes;

use super::{AfterTheEnd, CallsEnd, Epochs, Outcomes, ProofOfLife, SessionStates, Zxids};
use crate::runner::Invariant;

/// All of them, for a run with an ensemble: these, and those of clients.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(Prefixes::default()),
        Box::new(Leaders::default()),
        Box::new(Members::default()),
        Box::new(PeerEpochs::default()),
        Box::new(Digests::default()),
        Box::new(Acknowledged::default()),
        Box::new(PeerExpiry),
        Box::new(Outcomes),
        Box::new(CallsEnd),
        Box::new(Zxids),
        Box::new(SessionStates::default()),
        Box::new(Epochs),
        Box::new(ProofOfLife),
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
