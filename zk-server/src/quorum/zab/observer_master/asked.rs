//! Who waits for which answer of the leader's.

use std::collections::VecDeque;

use zk_proto::SessionId;

use crate::quorum::zab::learner_handler::LearnerId;

/// Who has asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A client of this server's own.
    Own,
    /// A client of an observer's, which may be gone by the time of the answer.
    Observer(LearnerId),
}

/// Questions on their way to the leader and back. It answers in the order of the questions,
/// and does not know whose they are.
#[derive(Debug, Default)]
pub(super) struct Asked {
    syncs: VecDeque<Asker>,
    revalidations: VecDeque<(Asker, SessionId)>,
}

impl Asked {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.syncs.len() + self.revalidations.len()
    }

    /// A `sync` goes to the leader.
    pub(super) fn sync(&mut self, asker: Asker) {
        self.syncs.push_back(asker);
    }

    /// Whose the oldest `sync` is, which is done; our own, if nobody is known to have asked.
    pub(super) fn synced(&mut self) -> Asker {
        self.syncs.pop_front().unwrap_or(Asker::Own)
    }

    /// A question for a session goes to the leader.
    pub(super) fn revalidation(&mut self, asker: Asker, session: SessionId) {
        self.revalidations.push_back((asker, session));
    }

    /// Who has asked for the session first.
    pub(super) fn revalidated(&mut self, session: SessionId) -> Asker {
        let of_it = |(_, asked): &(Asker, SessionId)| *asked == session;
        let position = self.revalidations.iter().position(of_it);
        let answered = position.and_then(|position| self.revalidations.remove(position));
        answered.map_or(Asker::Own, |(asker, _)| asker)
    }
}
