//! Epochs on a server's disk never decrease, whatever becomes of the server as long as it has
//! that disk, and the one it is in is never later than the one it has accepted. Whoever follows
//! and serves has accepted no later one: what was accepted once binds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::{History, PeerSeen, PeerState, Step};
use crate::runner::Invariant;

/// `acceptedEpoch` and `currentEpoch` of each server only rise.
#[derive(Debug, Default)]
pub struct PeerEpochs(BTreeMap<Arc<str>, (i64, i64)>);

impl Invariant for PeerEpochs {
    fn name(&self) -> &'static str {
        "peer epochs"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Peer(seen) => self.go_on(seen),
            _ => Ok(()),
        }
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        history.peers.iter().try_for_each(|seen| self.go_on(seen))
    }
}

impl PeerEpochs {
    fn go_on(&mut self, seen: &PeerSeen) -> Result<(), String> {
        match seen.state {
            PeerState::Down => return Ok(()),
            PeerState::Emptied => {
                self.0.remove(&seen.peer);
                return Ok(());
            }
            PeerState::Looking
            | PeerState::Following
            | PeerState::Leading
            | PeerState::Observing => {}
        }
        let PeerSeen {
            peer,
            epoch,
            accepted_epoch,
            state,
            is_serving,
            ..
        } = seen;
        if *state == PeerState::Following && *is_serving && epoch != accepted_epoch {
            return Err(format!(
                "{peer} follows in epoch {epoch} and has accepted {accepted_epoch}"
            ));
        }
        if epoch > accepted_epoch {
            return Err(format!(
                "{peer} is in epoch {epoch} and has accepted {accepted_epoch}"
            ));
        }
        let now = (*epoch, *accepted_epoch);
        let before = self.0.insert(Arc::clone(peer), now).unwrap_or(now);
        if now.0 < before.0 || now.1 < before.1 {
            return Err(format!(
                "{peer} was in epoch {} and had accepted {}, now it is in {epoch} and has accepted {accepted_epoch}",
                before.0, before.1
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zk_proto::Zxid;

    use super::*;

    fn checked(epochs: &[(PeerState, i64, i64)]) -> Result<(), String> {
        let mut invariant = PeerEpochs::default();
        epochs
            .iter()
            .try_for_each(|(state, epoch, accepted_epoch)| {
                invariant.go_on(&PeerSeen {
                    at: Duration::ZERO,
                    peer: "a".into(),
                    state: *state,
                    is_serving: *state == PeerState::Following,
                    epoch: *epoch,
                    accepted_epoch: *accepted_epoch,
                    last_zxid: Zxid::ZERO,
                })
            })
    }

    #[test]
    fn epochs_only_rise_over_crashes_too() {
        use PeerState::{Down, Following, Looking};
        assert_eq!(
            checked(&[
                (Looking, 1, 1),
                (Down, -1, -1),
                (Looking, 1, 2),
                (Looking, 2, 2)
            ]),
            Ok(())
        );
        assert!(checked(&[(Looking, 1, 2), (Down, -1, -1), (Looking, 1, 1)]).is_err());
        assert!(checked(&[(Looking, 2, 2), (Looking, 1, 2)]).is_err());
        assert!(checked(&[(Looking, 2, 1)]).is_err());
        assert_eq!(checked(&[(Looking, 1, 2), (Following, 2, 2)]), Ok(()));
        assert!(checked(&[(Looking, 1, 2), (Following, 1, 2)]).is_err());
    }
}
