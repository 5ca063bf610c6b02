//! What can happen to peers that run, and to their links.

use std::time::Duration;

use zk_proto::SessionId;

use super::Ensemble;
use super::links::Cut;

impl Ensemble {
    /// Cuts every link between the peers of one side and those of the other, in silence:
    /// what is sent is held and arrives when it is [healed](Self::heal), and dials hang.
    /// Peers on neither side still reach everybody. Partitions add up.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn partition(&self, one: &[i64], other: &[i64]) {
        self.partition_with(Cut::Silence, one, other);
    }

    /// As [`partition`](Self::partition), and says what becomes of the connections.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn partition_with(&self, cut: Cut, one: &[i64], other: &[i64]) {
        let (one, other) = (self.check(one), self.check(other));
        self.plan.links.cut(&one, &other, cut);
        self.plan.links.cut(&other, &one, cut);
    }

    /// Cuts the links in one direction: what `from` sends is held, what `to` sends arrives.
    /// Dials between them hang in both directions.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn partition_one_way(&self, from: &[i64], to: &[i64]) {
        let (from, to) = (self.check(from), self.check(to));
        self.plan.links.cut(&from, &to, Cut::Silence);
    }

    /// Cuts a peer off from all others, in silence.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn isolate(&self, id: i64) {
        self.partition(&[id], &self.peer_ids());
    }

    /// Ends all partitions. What was held arrives. Delays stay.
    pub fn heal(&self) {
        self.plan.links.heal();
    }

    /// What peers of the one side and of the other send to each other from now on arrives
    /// this much later, in the same order; a dial takes twice as long. Zero ends it.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn delay(&self, one: &[i64], other: &[i64], delay: Duration) {
        let (one, other) = (self.check(one), self.check(other));
        self.plan.links.delay(&one, &other, delay);
        self.plan.links.delay(&other, &one, delay);
    }

    /// A peer does nothing at all any more, as after SIGSTOP: it reads and writes nothing, to
    /// clients neither, and its time stands still for its tasks while it goes on for others. The system
    /// still takes connections for it.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn freeze(&self, id: i64) {
        self.member(id).env.gate().shut();
    }

    /// Ends a freeze. What came in meanwhile is read, and what timed out is noticed.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn thaw(&self, id: i64) {
        self.member(id).env.gate().open();
    }

    /// Ends a session as if it had timed out: its ephemerals go and its connection is
    /// closed. False if there is no such session, or no leader at the moment.
    pub fn expire_session(&self, session: SessionId) -> bool {
        let leader = self.leader();
        leader.is_some_and(|leader| self.peer(leader).expire_session(session))
    }
}
