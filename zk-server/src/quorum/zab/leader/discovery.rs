//! Choosing an epoch that a quorum follows into and no other leader can have.

use std::collections::BTreeSet;

use zk_env::Mono;
use zk_proto::Zxid;

use super::{Leader, LeaderShutdown, LearnerLoss, Output, Phase};
use crate::quorum::ServerId;
use crate::quorum::packet::{LEARNER_PROTOCOL_VERSION, PacketType, QuorumPacket, encode_epoch};
use crate::quorum::zab::learner_handler::{LearnerId, Stage};
use crate::quorum::zab::{EpochFile, LAST_EPOCH, first_zxid};
use crate::storage::NO_HISTORY;

impl Leader {
    /// A learner has introduced itself.
    pub(super) fn handle_info(
        &mut self,
        from: LearnerId,
        accepted_epoch: i64,
        config_version: i64,
        now: Mono,
    ) {
        if let Phase::Retiring { leader, .. } = self.phase {
            return self.drop_learner(from, LearnerLoss::Reconfigured(leader));
        }
        if config_version > self.config.committed.version() {
            return self.drop_learner(from, LearnerLoss::NewerConfig(config_version));
        }
        let Some(handler) = self.learners.get_mut(&from) else {
            return;
        };
        handler.stage = Stage::AwaitingEpoch;
        let server = handler.server;
        self.replace_older(from, server);
        let is_voter = server.is_some_and(|id| self.config.is_voter(id));
        if let Some(epoch) = self.epoch() {
            let blind = self
                .options
                .probe
                .has_planted("server: follows a leader of the past");
            if (epoch + 1..LAST_EPOCH).contains(&accepted_epoch) && is_voter && !blind {
                return self.make_way(accepted_epoch);
            }
            return self.tell_epoch(from, epoch, now);
        }
        if let Phase::Discovery { heard, epoch } = &mut self.phase {
            *epoch = (*epoch).max(accepted_epoch + 1);
            heard.extend(server.filter(|_| is_voter));
            self.choose_epoch();
        }
    }

    /// A voter has accepted a later epoch, of a leader that came to nothing. It can never
    /// follow into ours, and we would go on with one server less than there are, for ever
    /// (as Apache does). A new epoch, beyond that one, has room for everybody.
    fn make_way(&mut self, accepted_epoch: i64) {
        self.options
            .probe
            .reached("zab: leader made way for a later epoch");
        self.outputs.push_back(Output::PersistEpoch {
            file: EpochFile::Accepted,
            epoch: accepted_epoch,
        });
        self.shut_down(LeaderShutdown::LaterEpochAccepted {
            epoch: accepted_epoch,
        });
    }

    /// A server has one connection. Who comes anew has lost the one before, even if we
    /// have not noticed yet.
    fn replace_older(&mut self, newer: LearnerId, server: Option<ServerId>) {
        let same = |(id, learner): (&LearnerId, &_)| {
            let learner: &super::LearnerHandler = learner;
            (*id != newer && learner.server.is_some() && learner.server == server).then_some(*id)
        };
        let older: Vec<_> = self.learners.iter().filter_map(same).collect();
        for learner in older {
            self.drop_learner(learner, LearnerLoss::Replaced);
        }
    }

    /// Once a quorum of voters is heard, ourselves included, the epoch is the first that
    /// none of them has accepted. Of a configuration that was proposed a quorum is needed
    /// as well, here and for every step that follows (Apache asks it for NEWLEADER only):
    /// where it is in force already, its quorums may give the same epoch to another.
    pub(super) fn choose_epoch(&mut self) {
        let Phase::Discovery { heard, epoch } = &self.phase else {
            return;
        };
        if !self.config.contains_quorum(heard) {
            return;
        }
        let epoch = *epoch;
        if epoch > LAST_EPOCH {
            return self.shut_down(LeaderShutdown::EpochsUsedUp);
        }
        self.options.probe.reached("zab: leader chose an epoch");
        self.phase = Phase::AcceptingEpoch { epoch };
        self.outputs.push_back(Output::PersistEpoch {
            file: EpochFile::Accepted,
            epoch,
        });
    }

    /// Our own promise is durable: whoever waits is told.
    pub(super) fn announce_epoch(&mut self, epoch: i64, now: Mono) {
        self.options.probe.reached("zab: leader accepted its epoch");
        self.phase = Phase::AwaitingEpochAcks {
            epoch,
            acks: BTreeSet::from([self.options.id]),
        };
        let waiting = self
            .learners
            .iter()
            .filter(|(_, l)| l.stage == Stage::AwaitingEpoch);
        let waiting: Vec<_> = waiting.map(|(id, _)| *id).collect();
        for learner in waiting {
            self.tell_epoch(learner, epoch, now);
        }
        self.enter_epoch();
    }

    fn tell_epoch(&mut self, to: LearnerId, epoch: i64, now: Mono) {
        if let Some(handler) = self.learners.get_mut(&to) {
            handler.stage = Stage::AwaitingEpochAck;
            handler.deadline = now + self.options.timing.init_time();
            let version = encode_epoch(LEARNER_PROTOCOL_VERSION);
            let zxid = first_zxid(epoch);
            self.send(
                to,
                QuorumPacket::with_data(PacketType::LeaderInfo, zxid, version),
            );
        }
    }

    /// A learner accepts the epoch. `current_epoch` is missing if it had done so before:
    /// then it may have promised it to another leader, and does not count.
    pub(super) fn handle_epoch_ack(
        &mut self,
        from: LearnerId,
        current_epoch: Option<i64>,
        last_zxid: Zxid,
        now: Mono,
    ) {
        let Some(handler) = self.learners.get_mut(&from) else {
            return;
        };
        handler.stage = Stage::AwaitingSync { last_zxid };
        let server = handler.server;
        self.options
            .probe
            .reached("zab: leader heard an ack of its epoch");
        if let Phase::AwaitingEpochAcks { acks, .. } = &mut self.phase {
            if let Some(current_epoch) = current_epoch {
                let ours = (self.history.current_epoch, self.history.last_zxid);
                if (current_epoch, last_zxid) > ours {
                    self.options
                        .probe
                        .reached("zab: learner ahead of the leader");
                    let loss = LearnerLoss::Ahead {
                        current_epoch,
                        last_zxid,
                    };
                    return self.drop_learner(from, loss);
                }
                if last_zxid != NO_HISTORY {
                    acks.extend(server.filter(|id| self.config.is_voter(*id)));
                }
            }
            self.enter_epoch();
        }
        if self.synchronizing_epoch().is_some() {
            self.synchronize(from, last_zxid, now);
        }
    }

    /// Once a quorum has accepted the epoch no other leader can have it, and our history
    /// is its initial one.
    fn enter_epoch(&mut self) {
        let Phase::AwaitingEpochAcks { epoch, acks } = &self.phase else {
            return;
        };
        if self.config.contains_quorum(acks) {
            let epoch = *epoch;
            self.options.probe.reached("zab: leader enters its epoch");
            self.phase = Phase::EnteringEpoch { epoch };
            self.outputs.push_back(Output::PersistEpoch {
                file: EpochFile::Current,
                epoch,
            });
        }
    }
}
