//! Connections: messages in order, each way, until they are cut somewhere.

use std::collections::VecDeque;

use zk_env::EnvRng;
use zk_proto::Zxid;

use crate::quorum::ServerId;
use crate::quorum::packet::QuorumPacket;
use crate::quorum::zab::{LearnerId, Proposal};

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Packet(QuorumPacket),
    /// A SNAP packet and what follows it.
    Snapshot {
        zxid: Zxid,
        state: Vec<Proposal>,
    },
    /// The other end is gone.
    Closed,
}

/// A connection from a learner to a leader.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LearnerId,
    pub(super) learner: ServerId,
    pub(super) leader: ServerId,
    pub(super) to_leader: VecDeque<Message>,
    pub(super) to_learner: VecDeque<Message>,
}

impl Link {
    pub(super) fn new(id: LearnerId, learner: ServerId, leader: ServerId) -> Self {
        Self {
            id,
            learner,
            leader,
            to_leader: VecDeque::new(),
            to_learner: VecDeque::new(),
        }
    }

    /// Some of what is under way still arrives, and then the end.
    pub(super) fn cut(&mut self, rng: &mut EnvRng) {
        for queue in [&mut self.to_leader, &mut self.to_learner] {
            let arrives = rng.below(queue.len() as u64 + 1) as usize;
            queue.truncate(arrives);
            queue.push_back(Message::Closed);
        }
    }
}
