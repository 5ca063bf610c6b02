//! A member of an ensemble (Apache's `QuorumPeer`): looks for a leader, then leads, follows
//! or observes until that ends, and begins anew.
//!
//! This is what carries the machines of [`election`](super::election) and
//! [`zab`](super::zab) and joins them to the [`ZooKeeperServer`](crate::zookeeper_server)
//! that clients speak with. One task does it all but for the disk, which has a
//! task of its own, and the connections, which have one for each direction.
//!
//! Between two roles nothing is under way: clients' connections are closed, the disk has
//! done what it was asked for, and what is in the log is in the tree. Whatever a peer
//! votes with is durable.

mod disk;
mod leading;
mod learning;
mod link;
mod membership;
mod observer_master;
mod read_only;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zk_env::sleep_until;
use zk_proto::Zxid;

use self::disk::{Disk, DiskDone, DiskOp};
use self::leading::{Leading, RoleTasks};
use self::learning::Learning;
use super::election::{Decision, ElectionPort, InitialVote, Notice, PeerState};
use super::zab::{
    CommittedLog, DEFAULT_COMMITTED_LOG_COUNT, EpochFile, History, LeaderConfig, LeaderShutdown,
    LearnerShutdown, Proposal, ZabTiming,
};
use super::{HostPort, LearnerId, LearnerType, ServerId, ZabState};
use crate::config::EnsembleConfig;
use crate::net::storage::Storage;
use crate::net::{Shell, Spawner, Vital};
use crate::quorum_peer::PeerStatus;
use crate::storage::{NO_HISTORY, Recovered, StorageError};
use crate::tree::SeededState;
use crate::txn::{Txn, decode_txn};

/// An observer waits up to this long before it looks for a leader again, so that many do
/// not come at the same moment; `observer.election.DelayMs`.
const OBSERVER_DELAY: Duration = Duration::from_millis(200);

/// After a role that could not even begin.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a role is over.
#[derive(Debug)]
enum RoleEnd {
    /// The server stops, or has failed.
    Stopped,
    Led(LeaderShutdown),
    Learned(LearnerShutdown),
    /// What was learned is not what the leader has, found at this transaction.
    TreeDiffers(Zxid),
    /// The quorum port could not be had.
    NoPort,
    /// The leader's quorum port could not be reached in time.
    Unreachable,
    /// Something that cannot be went wrong; the log says what.
    Broken,
}

/// A member of an ensemble at work.
pub(crate) struct Peer {
    shell: Arc<Shell>,
    config: EnsembleConfig,
    timing: ZabTiming,
    hashing: SeededState,
    election: ElectionPort,
    history: History,
    /// The newest transactions, all of them in the tree.
    committed: CommittedLog,
    /// What is in the log, or on its way there, and not in the tree, in order. Bounded as
    /// what the roles have under way.
    logged: VecDeque<Logged>,
    disk: Disk,
    /// The role before could not truncate its log.
    wants_snapshot: bool,
    /// The configurations, in force and seen.
    membership: LeaderConfig,
    /// The election does not know of it yet.
    is_membership_untold: bool,
    next_learner: u64,
    /// Whom this peer has learned from last.
    last_master: Option<ServerId>,
    /// An epoch that voters have to hear of.
    epoch_to_tell: Option<i64>,
    status: watch::Sender<PeerStatus>,
    spawner: Spawner,
    stopped: CancellationToken,
}

/// A transaction in the log.
struct Logged {
    proposal: Proposal,
    /// Read, if it came from a leader.
    txn: Option<Txn>,
}

/// What a peer begins with.
pub(crate) struct Stored {
    pub(crate) storage: Storage,
    /// Of the tree, which the shell has already.
    pub(crate) last_zxid: Zxid,
    pub(crate) committed: VecDeque<(Zxid, bytes::Bytes)>,
    pub(crate) hashing: SeededState,
}

impl Peer {
    /// Starts the disk's task; everything else begins with [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// The epochs cannot be read or written.
    pub(crate) async fn new(
        shell: Arc<Shell>,
        config: EnsembleConfig,
        stored: Stored,
        election: ElectionPort,
        status: watch::Sender<PeerStatus>,
        (spawner, stopped): (Spawner, CancellationToken),
    ) -> Result<Self, StorageError> {
        let history = read_history(&stored.storage, stored.last_zxid).await?;
        let settings = &config.settings;
        let timing = ZabTiming {
            tick_time: settings.tick_time,
            init_limit: settings.init_limit,
            sync_limit: settings.sync_limit,
        };
        let mut committed = CommittedLog::new(DEFAULT_COMMITTED_LOG_COUNT);
        for (zxid, payload) in stored.committed {
            committed.push(Proposal { zxid, payload });
        }
        let membership = LeaderConfig {
            committed: config.verifier.clone(),
            last_seen: config.last_seen.clone(),
        };
        let hashing = stored.hashing;
        let files = (stored.storage, config.zoo_cfg.clone());
        let disk = Disk::start(&shell, files, hashing, &spawner, &stopped);
        let peer = Self {
            shell,
            config,
            timing,
            hashing,
            election,
            history,
            committed,
            logged: VecDeque::new(),
            disk,
            wants_snapshot: false,
            is_membership_untold: membership.last_seen.is_some(),
            membership,
            next_learner: 0,
            last_master: None,
            epoch_to_tell: None,
            status,
            spawner,
            stopped,
        };
        peer.tell(PeerState::Looking, None);
        Ok(peer)
    }

    /// Takes part until stopped.
    pub(crate) async fn run(mut self) {
        let _vital = Vital {
            shell: Arc::clone(&self.shell),
            stage: "taking part in the ensemble",
        };
        self.see_history();
        self.show_config();
        let mut designated = None;
        loop {
            self.tell(PeerState::Looking, None);
            if let Some(leader) = designated.take()
                && let Some(decision) = self.designated(leader).await
            {
                match self.take_role(decision).await {
                    Some(next) => designated = next,
                    None => break,
                }
                continue;
            }
            self.tell_membership().await;
            let initial = InitialVote {
                zxid: self.history.last_zxid.0,
                peer_epoch: self.history.current_epoch,
            };
            tracing::info!(id = %self.config.id, zxid = %self.history.last_zxid, epoch = self.history.current_epoch, "looking for a leader");
            let Some(decision) = self.look_for_leader(initial).await else {
                break;
            };
            match self.take_role(decision).await {
                Some(next) => designated = next,
                None => break,
            }
        }
        self.election.stop().await;
    }

    /// Does what the election has decided until that is over. Then there may be a leader
    /// without another; nothing, if the peer has to stop.
    async fn take_role(&mut self, decision: Decision) -> Option<Option<ServerId>> {
        // A newer configuration may have come with a vote, and the leader be one of its.
        while let Some(notice) = self.election.try_next_notice() {
            self.handle_notice(Some(notice));
        }
        tracing::info!(id = %self.config.id, leader = %decision.leader, role = ?decision.role, "there is a leader");
        self.tell(decision.role, Some(decision.leader));
        let tasks = RoleTasks {
            spawner: self.spawner.clone(),
            ended: self.stopped.child_token(),
        };
        let end = self.play(decision, &tasks).await;
        tracing::info!(id = %self.config.id, reason = %end, "the role is over");
        tasks.ended.cancel();
        self.shell.end_serving();
        self.shell
            .act("ending a role", |zks, now, _| zks.end_role(now));
        let has_settled = self.settle().await;
        if matches!(end, RoleEnd::Stopped) || !has_settled || self.stopped.is_cancelled() {
            return None;
        }
        self.pause(&end, decision.role).await;
        Some(end.designated_leader())
    }

    async fn play(&mut self, decision: Decision, tasks: &RoleTasks) -> RoleEnd {
        let learner_type = match decision.role {
            PeerState::Leading => {
                return match Leading::begin(self, tasks.clone()).await {
                    Ok(leading) => leading.run().await,
                    Err(error) => {
                        tracing::error!(%error, "cannot listen on the quorum port");
                        RoleEnd::NoPort
                    }
                };
            }
            PeerState::Observing => LearnerType::Observer,
            PeerState::Following | PeerState::Looking => LearnerType::Participant,
        };
        match Learning::begin(self, decision.leader, learner_type, tasks).await {
            Ok(learning) => learning.run().await,
            Err(end) => end,
        }
    }

    /// Waits for the disk and brings the tree to the end of the log: that is what this peer
    /// votes with. False if the disk has failed.
    async fn settle(&mut self) -> bool {
        if !self.disk.settled().await {
            return false;
        }
        while let Some(done) = self.disk.reported() {
            match done {
                DiskDone::Truncated(Some(recovered)) | DiskDone::Installed(recovered) => {
                    self.replace(*recovered);
                }
                DiskDone::Appended(_)
                | DiskDone::EpochPersisted(_)
                | DiskDone::LogRead { .. }
                | DiskDone::Truncated(None) => {}
            }
        }
        let is_caught_up = self.catch_up() && self.note_last_zxid();
        self.see_history();
        is_caught_up
    }

    fn catch_up(&mut self) -> bool {
        for logged in std::mem::take(&mut self.logged) {
            let txn = match logged
                .txn
                .map_or_else(|| decode_txn(&logged.proposal.payload), Ok)
            {
                Ok(txn) => txn,
                Err(error) => {
                    tracing::error!(%error, "a transaction of our own cannot be read");
                    return false;
                }
            };
            self.shell.act("catching up with the log", |zks, now, _| {
                zks.catch_up(txn, now);
            });
            self.committed.push(logged.proposal);
        }
        true
    }

    fn note_last_zxid(&mut self) -> bool {
        let last = self
            .shell
            .act("looking at the end of history", |zks, _, _| zks.last_zxid());
        if let Some(last) = last
            && self.history.last_zxid != NO_HISTORY
        {
            self.history.last_zxid = last;
        }
        last.is_some()
    }

    /// Before the next election, lest it come to the same at once.
    async fn pause(&self, end: &RoleEnd, role: PeerState) {
        let mut rng = self.shell.env.rng("zk-server election delay");
        let pause = if role == PeerState::Observing {
            OBSERVER_DELAY.mul_f64(rng.below(1000) as f64 / 1000.0)
        } else if matches!(end, RoleEnd::NoPort | RoleEnd::Broken) {
            PAUSE
        } else {
            return;
        };
        let mut timer = self.shell.env.timer();
        let until = self.shell.env.now() + pause;
        tokio::select! {
            biased;
            () = self.stopped.cancelled() => {}
            () = sleep_until(&mut *timer, until) => {}
        }
    }
}

/// What both roles do.
impl Peer {
    /// To the log. `txn` is what the payload says, if that is known.
    fn append(&mut self, proposal: Proposal, txn: Option<Txn>) {
        self.disk.ask(DiskOp::Append(proposal.clone()));
        self.logged.push_back(Logged { proposal, txn });
    }

    /// A transaction is committed, and will be in the tree before anybody looks: what was
    /// read of it, if it came from a leader.
    fn committed(&mut self, proposal: Proposal) -> Option<Txn> {
        let front = self.logged.front();
        let txn = match front {
            Some(front) if front.proposal.zxid == proposal.zxid => {
                self.logged.pop_front().and_then(|logged| logged.txn)
            }
            _ => {
                tracing::error!(zxid = %proposal.zxid, "committed what is not in the log");
                None
            }
        };
        self.committed.push(proposal);
        txn
    }

    fn persist_epoch(&mut self, file: EpochFile, epoch: i64) {
        // Roles end only once the disk has done this.
        match file {
            EpochFile::Accepted => self.history.accepted_epoch = epoch,
            EpochFile::Current => {
                self.history.current_epoch = epoch;
                self.shell
                    .with_view(|view| view.zab_state = ZabState::Synchronization);
            }
        }
        self.disk.ask(DiskOp::PersistEpoch { file, epoch });
    }

    /// History has been replaced.
    fn replace(&mut self, recovered: Recovered) {
        self.logged.clear();
        self.committed = CommittedLog::new(DEFAULT_COMMITTED_LOG_COUNT);
        for (zxid, payload) in &recovered.committed {
            self.committed.push(Proposal {
                zxid: *zxid,
                payload: payload.clone(),
            });
        }
        if self.history.last_zxid == NO_HISTORY {
            // As after a restart: nothing else tells of which epoch the leader's history is.
            let epoch = recovered.last_zxid.epoch();
            self.history.current_epoch = self.history.current_epoch.max(epoch);
        }
        self.history.last_zxid = recovered.last_zxid;
        self.shell.act("replacing the tree", |zks, now, _| {
            zks.replace(recovered, now);
        });
        self.see_history();
        self.show_config();
    }

    /// The committed log of a leader whose history ends with `last`; empty if it does not
    /// reach there, for then nobody can tell what is missing.
    fn committed_to(&self, last: Zxid) -> CommittedLog {
        let reaches = self.committed.max() == Some(last) || last.counter() == 0;
        if reaches {
            self.committed.clone()
        } else {
            CommittedLog::new(DEFAULT_COMMITTED_LOG_COUNT)
        }
    }

    /// The role is established: clients are served from here on, unless by a leader that
    /// leaves them to the others.
    fn established(&mut self, epoch: i64) {
        tracing::info!(id = %self.config.id, epoch, "serving");
        let leads = self.status.borrow().state == PeerState::Leading;
        if !leads || self.config.settings.leader_serves {
            self.shell.begin_serving();
        }
        self.shell.with_view(|view| {
            view.zab_state = ZabState::Broadcast;
            view.current_epoch = epoch;
        });
        self.epoch_to_tell = Some(epoch);
        self.status.send_modify(|status| {
            status.is_serving = true;
            status.epoch = epoch;
            status.accepted_epoch = self.history.accepted_epoch;
        });
    }

    /// What voters have to hear of a new epoch or configuration.
    async fn tell_voters(&mut self) {
        self.tell_membership().await;
        if let Some(epoch) = self.epoch_to_tell.take() {
            self.election.set_peer_epoch(epoch).await;
        }
    }

    fn tell(&self, state: PeerState, leader: Option<ServerId>) {
        let now = self.shell.env.now();
        self.shell.with_view(|view| {
            view.enter(state, leader, now);
            view.current_epoch = self.history.current_epoch;
            view.accepted_epoch = self.history.accepted_epoch;
        });
        self.status.send_modify(|status| {
            status.state = state;
            status.leader = leader.map(|leader| leader.0);
            status.learner_master = None;
            status.is_serving = false;
            status.epoch = self.history.current_epoch;
            status.accepted_epoch = self.history.accepted_epoch;
        });
    }

    fn handle_notice(&mut self, notice: Option<Notice>) {
        match notice {
            Some(Notice::ConfigConflict { from, theirs }) => {
                tracing::error!(%from, theirs = theirs.to_text(), "a voter's list of servers and ours could elect a leader each");
            }
            Some(Notice::VoterIsLooking { from, vote }) => {
                tracing::debug!(%from, %vote, "a voter is looking for a leader");
            }
            Some(Notice::ConfigAdopted(config)) => {
                tracing::info!(
                    version = config.version(),
                    "a newer configuration was adopted"
                );
                self.adopt(config);
            }
            None => {}
        }
    }

    fn next_learner_id(&mut self) -> LearnerId {
        self.next_learner += 1;
        LearnerId(self.next_learner)
    }

    /// Where this peer listens when it leads.
    fn quorum_listen(&self) -> Vec<HostPort> {
        let everywhere = self.config.settings.quorum_listen_on_all_ips;
        let mut listen = self.quorum_addrs(self.config.id);
        if everywhere {
            for addr in &mut listen {
                "::".clone_into(&mut addr.host);
            }
            listen.dedup();
        }
        listen
    }

    fn quorum_addrs(&self, id: ServerId) -> Vec<HostPort> {
        let member = self.config.verifier.member(id).into_iter();
        member
            .flat_map(|member| member.addrs.iter().map(|addr| addr.quorum()))
            .collect()
    }

    /// For how long a learner dials its leader.
    fn connect_time(&self) -> Duration {
        let settings = &self.config.settings;
        match settings.connect_to_learner_master_limit {
            0 => self.timing.init_time(),
            ticks => settings.tick_time.saturating_mul(ticks),
        }
    }
}

/// The next notice; never, once the election port has stopped.
async fn wait_for_notice(election: &mut ElectionPort) -> Option<Notice> {
    match election.next_notice().await {
        Some(notice) => Some(notice),
        None => std::future::pending().await,
    }
}

/// The epochs of the files; where there are none yet, that of the last transaction.
async fn read_history(storage: &Storage, last_zxid: Zxid) -> Result<History, StorageError> {
    let dir = storage.dir();
    let current_epoch = match dir.current_epoch().await? {
        Some(epoch) => epoch,
        // Not written: once a leader has filled the directory, its last transaction tells.
        None if last_zxid == NO_HISTORY => 0,
        None => {
            dir.set_current_epoch(last_zxid.epoch()).await?;
            last_zxid.epoch()
        }
    };
    let accepted_epoch = match dir.accepted_epoch().await? {
        Some(epoch) => epoch,
        None => {
            dir.set_accepted_epoch(current_epoch).await?;
            current_epoch
        }
    };
    if accepted_epoch < current_epoch {
        return Err(StorageError::Epochs {
            accepted: accepted_epoch,
            current: current_epoch,
        });
    }
    Ok(History {
        accepted_epoch,
        current_epoch,
        last_zxid,
    })
}
