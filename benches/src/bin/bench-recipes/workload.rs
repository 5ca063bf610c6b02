//! What is measured.

/// Each is an order to a contestant, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// One client takes and releases a lock that nobody else wants.
    Uncontended,
    /// From the call that releases a lock to the end of the call of the one that waits for it,
    /// in another session.
    Handoff,
    /// From the call that closes the leader's session to the leadership of the next.
    Failover,
}

impl Workload {
    pub(crate) const ALL: [Self; 3] = [Self::Uncontended, Self::Handoff, Self::Failover];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Uncontended => "uncontended",
            Self::Handoff => "handoff",
            Self::Failover => "failover",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Uncontended => "uncontended: acquire and release, µs",
            Self::Handoff => "handoff: release to the next owner, µs",
            Self::Failover => "failover: the leader's session closes, to the next leader, µs",
        }
    }
}
