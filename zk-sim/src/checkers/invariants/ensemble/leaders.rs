//! Leadership2, PrimaryIntegrity: an epoch has one established leader, and that has
//! everything that was committed before.

use std::collections::BTreeMap;
use std::sync::Arc;

use zk_proto::Zxid;

use crate::history::{History, PeerSeen, Step};
use crate::runner::Invariant;

/// At most one server is ever the established leader of an epoch.
#[derive(Debug, Default)]
pub struct Leaders {
    of_epoch: BTreeMap<i64, Arc<str>>,
    /// The last transaction of each epoch that anybody has applied.
    newest: BTreeMap<i64, Zxid>,
}

impl Invariant for Leaders {
    fn name(&self) -> &'static str {
        "leaders"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Applied(applied) => {
                let zxid = applied.transaction.zxid;
                let newest = self.newest.entry(zxid.epoch()).or_default();
                *newest = zxid.max(*newest);
                Ok(())
            }
            Step::Peer(seen) if seen.is_established_leader() => self.lead(seen),
            _ => Ok(()),
        }
    }

    fn check(&mut self, history: &History) -> Result<(), String> {
        let mut leaders = history.peers.iter().filter(|s| s.is_established_leader());
        leaders.try_for_each(|seen| self.lead(seen))
    }
}

impl Leaders {
    fn lead(&mut self, seen: &PeerSeen) -> Result<(), String> {
        let PeerSeen {
            peer,
            epoch,
            last_zxid,
            ..
        } = seen;
        let leader = self
            .of_epoch
            .entry(*epoch)
            .or_insert_with(|| Arc::clone(peer));
        if *leader != *peer {
            return Err(format!("both {leader} and {peer} lead epoch {epoch}"));
        }
        let before = self.newest.range(..*epoch).next_back();
        match before {
            Some((_, newest)) if newest > last_zxid => Err(format!(
                "{peer} leads epoch {epoch} from {last_zxid} on, though {newest} was committed"
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::PeerState;

    fn leads(peer: &str, epoch: i64, last_zxid: i64) -> PeerSeen {
        PeerSeen {
            at: Duration::ZERO,
            peer: peer.into(),
            state: PeerState::Leading,
            is_serving: true,
            epoch,
            accepted_epoch: epoch,
            last_zxid: Zxid(last_zxid),
        }
    }

    #[test]
    fn an_epoch_has_one_leader() {
        let mut leaders = Leaders::default();
        assert_eq!(leaders.lead(&leads("a", 1, 0)), Ok(()));
        assert_eq!(leaders.lead(&leads("a", 1, 0)), Ok(()));
        assert_eq!(leaders.lead(&leads("b", 2, 0)), Ok(()));
        assert!(leaders.lead(&leads("b", 1, 0)).is_err());
    }

    #[test]
    fn a_leader_has_what_was_committed() {
        let mut leaders = Leaders::default();
        leaders.newest.insert(1, Zxid(1 << 32 | 5));
        assert_eq!(leaders.lead(&leads("a", 2, 1 << 32 | 5)), Ok(()));
        assert!(leaders.lead(&leads("b", 3, 1 << 32 | 4)).is_err());
    }
}
