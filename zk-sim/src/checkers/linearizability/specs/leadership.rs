//! Leader election: one leader at a time, in terms that rise.

use crate::checkers::linearizability::Spec;

/// An election, without a leader at first and with every term above 0 to come.
///
/// A leader that may be deposed without knowing when resigns with an operation that has
/// no answer.
#[derive(Clone, Copy, Debug)]
pub struct Leadership;

/// What is asked. Candidates are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadershipOp {
    /// This candidate wants to lead.
    Lead(u64),
    /// This candidate leads no more.
    Resign(u64),
    /// Who leads?
    Observe,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadershipRet {
    /// The candidate leads, in this term.
    Elected {
        /// The term: a fencing token, the election's epoch.
        term: u64,
    },
    /// Somebody leads already; or the candidate does not.
    Refused,
    /// The candidate resigned.
    Resigned,
    /// This candidate leads in this term.
    Leader {
        /// The candidate.
        who: u64,
        /// Its term.
        term: u64,
    },
    /// Nobody leads.
    Nobody,
}

/// Who leads, and what terms there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Reign {
    /// The leader.
    pub leader: Option<u64>,
    /// The highest term known to be over or running.
    pub term: u64,
    /// Whether the leader's term is not known, only that it is above `term`: its election
    /// had no answer.
    pub unknown: bool,
}

impl Spec for Leadership {
    type Op = LeadershipOp;
    type Ret = LeadershipRet;
    type State = Reign;
    type Next = Option<Reign>;

    fn initial(&self) -> Reign {
        Reign::default()
    }

    fn step(&self, reign: &Reign, op: &LeadershipOp, ret: Option<&LeadershipRet>) -> Option<Reign> {
        match op {
            LeadershipOp::Lead(who) => lead(reign, *who, ret),
            LeadershipOp::Resign(who) => resign(reign, *who, ret),
            LeadershipOp::Observe => observe(reign, ret),
        }
    }

    fn may_go_first(&self, _op: &LeadershipOp, ret: &LeadershipRet) -> bool {
        match ret {
            LeadershipRet::Refused | LeadershipRet::Nobody => true,
            // It may be what tells the term.
            LeadershipRet::Leader { .. } => false,
            LeadershipRet::Elected { .. } | LeadershipRet::Resigned => false,
        }
    }
}

fn lead(reign: &Reign, who: u64, ret: Option<&LeadershipRet>) -> Option<Reign> {
    let elected = |term, unknown| Reign {
        leader: Some(who),
        term,
        unknown,
    };
    match (ret, reign.leader) {
        (None, None) => Some(elected(reign.term, true)),
        (Some(LeadershipRet::Elected { term }), None) if *term > reign.term => {
            Some(elected(*term, false))
        }
        (Some(LeadershipRet::Refused), Some(_)) => Some(*reign),
        (_, _) => None,
    }
}

fn resign(reign: &Reign, who: u64, ret: Option<&LeadershipRet>) -> Option<Reign> {
    let leads = reign.leader == Some(who);
    match ret {
        Some(LeadershipRet::Resigned) | None if leads => Some(Reign {
            leader: None,
            term: reign.term,
            unknown: false,
        }),
        Some(LeadershipRet::Refused) if !leads => Some(*reign),
        _ => None,
    }
}

fn observe(reign: &Reign, ret: Option<&LeadershipRet>) -> Option<Reign> {
    match (ret, reign.leader) {
        (Some(LeadershipRet::Nobody), None) => Some(*reign),
        (Some(LeadershipRet::Leader { who, term }), Some(leader)) if *who == leader => {
            let right = if reign.unknown {
                *term > reign.term
            } else {
                *term == reign.term
            };
            right.then_some(Reign {
                leader: Some(leader),
                term: *term,
                unknown: false,
            })
        }
        (_, _) => None,
    }
}
