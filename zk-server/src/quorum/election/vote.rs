//! Votes: what makes one better than another, and when two are the same.

use std::fmt;

use crate::quorum::ServerId;

/// What a peer is doing, `ServerState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// In an election.
    Looking,
    /// Follows the leader it has elected.
    Following,
    /// Leads.
    Leading,
    /// Follows without a vote.
    Observing,
}

impl PeerState {
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Looking => 0,
            Self::Following => 1,
            Self::Leading => 2,
            Self::Observing => 3,
        }
    }

    pub(super) fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Looking),
            1 => Some(Self::Following),
            2 => Some(Self::Leading),
            3 => Some(Self::Observing),
            _ => None,
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Looking => "LOOKING",
            Self::Following => "FOLLOWING",
            Self::Leading => "LEADING",
            Self::Observing => "OBSERVING",
        })
    }
}

/// Whom a peer wants or has as its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    /// Of the notification it came with; 0 where Apache forgets it.
    pub(crate) version: i32,
    /// The leader.
    pub(crate) leader: ServerId,
    /// The leader's last logged zxid when it was elected.
    pub(crate) zxid: i64,
    /// The round of the voter, `electionEpoch`: in memory only, and no epoch of ZAB.
    pub(crate) round: i64,
    /// The leader's `currentEpoch`.
    pub(crate) peer_epoch: i64,
    /// The voter's state.
    pub(crate) state: PeerState,
}

/// The leader of a vote, with what makes it worth electing. Ordered by epoch, then
/// zxid, then sid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) peer_epoch: i64,
    pub(crate) zxid: i64,
    pub(crate) leader: ServerId,
}

impl Candidate {
    /// What an observer votes for: worse than anybody.
    pub(crate) const NOBODY: Self = Self {
        peer_epoch: i64::MIN,
        zxid: i64::MIN,
        leader: ServerId(i64::MIN),
    };
}

impl Vote {
    /// A vote of a peer that is looking.
    pub(crate) fn looking(candidate: Candidate, round: i64) -> Self {
        Self {
            version: 0,
            leader: candidate.leader,
            zxid: candidate.zxid,
            round,
            peer_epoch: candidate.peer_epoch,
            state: PeerState::Looking,
        }
    }

    /// Whom it is for.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            peer_epoch: self.peer_epoch,
            zxid: self.zxid,
            leader: self.leader,
        }
    }

    /// The vote without the version it came with, as Apache keeps those of the
    /// current round.
    pub(super) fn forget_version(self) -> Self {
        Self { version: 0, ..self }
    }

    /// Whether both count for the same leader. Votes of an election have to agree in
    /// everything. Peers that have settled are compared by leader and epoch, since
    /// zxid and round of their votes are those of the election they took part in
    /// (ZOOKEEPER-1732, ZOOKEEPER-1805), and where only one side has a version, by leader alone.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        if self.state == PeerState::Looking || other.state == PeerState::Looking {
            return self.candidate() == other.candidate() && self.round == other.round;
        }
        let same_leader = self.leader == other.leader;
        if (self.version > 0) != (other.version > 0) {
            return same_leader;
        }
        same_leader && self.peer_epoch == other.peer_epoch
    }
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            leader,
            zxid,
            round,
            peer_epoch,
            state,
            ..
        } = self;
        write!(
            f,
            "{state} leader={leader} epoch={peer_epoch} zxid={zxid:#x} round={round}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(state: PeerState, version: i32) -> Vote {
        Vote {
            version,
            leader: ServerId(1),
            zxid: 2,
            round: 3,
            peer_epoch: 4,
            state,
        }
    }

    #[test]
    fn epoch_then_zxid_then_sid_decide() {
        let candidate = |peer_epoch, zxid, leader| Candidate {
            peer_epoch,
            zxid,
            leader: ServerId(leader),
        };
        let ascending = [
            Candidate::NOBODY,
            candidate(-1, 9, 9),
            candidate(0, -5, 9),
            candidate(0, 9, 9),
            candidate(1, 0, 9),
            candidate(1, 5, -2),
            candidate(1, 5, 1),
            candidate(1, 5, 2),
            candidate(1, 6, 1),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_looking_vote_has_to_agree_in_everything() {
        let mine = vote(PeerState::Looking, 2);
        for (other, expected) in [
            (vote(PeerState::Looking, 0), true),
            (vote(PeerState::Following, 2), true),
            (Vote { round: 9, ..mine }, false),
            (Vote { zxid: 9, ..mine }, false),
            (
                Vote {
                    peer_epoch: 9,
                    ..mine
                },
                false,
            ),
        ] {
            assert_eq!(mine.agrees_with(&other), expected, "{other}");
            assert_eq!(other.agrees_with(&mine), expected, "{other}");
        }
    }

    #[test]
    fn settled_votes_agree_by_leader_and_epoch_or_by_leader() {
        let mine = vote(PeerState::Following, 2);
        let later = Vote {
            round: 9,
            zxid: 9,
            ..mine
        };
        assert!(mine.agrees_with(&later));
        assert!(!mine.agrees_with(&Vote {
            peer_epoch: 9,
            ..mine
        }));
        assert!(mine.agrees_with(&Vote {
            peer_epoch: 9,
            version: 0,
            ..mine
        }));
        assert!(!mine.agrees_with(&Vote {
            leader: ServerId(2),
            version: 0,
            ..mine
        }));
    }
}
