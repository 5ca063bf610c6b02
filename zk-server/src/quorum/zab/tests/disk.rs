//! A disk on which writes take their time, one after the other, and of which a crash
//! leaves what was durable and any beginning of the rest.

use std::collections::VecDeque;

use zk_env::EnvRng;
use zk_proto::Zxid;

use crate::quorum::QuorumVerifier;
use crate::quorum::zab::{
    EpochFile, History, LeaderConfig as Config, Proposal, SnapshotOutcome, TruncateOutcome,
};
use crate::txn::reconfigured;

/// What is on it.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// The state in the snapshot, as the transactions that it is made of.
    snapshot: Vec<Proposal>,
    snapshot_zxid: Zxid,
    /// May begin before the snapshot.
    log: Vec<Proposal>,
    pub(super) accepted_epoch: i64,
    pub(super) current_epoch: i64,
    /// The configuration in force.
    committed: QuorumVerifier,
    /// The file beside it.
    last_seen: Option<QuorumVerifier>,
}

impl Image {
    fn new(committed: QuorumVerifier) -> Self {
        Self {
            committed,
            last_seen: None,
            snapshot: Vec::new(),
            snapshot_zxid: Zxid(0),
            log: Vec::new(),
            accepted_epoch: 0,
            current_epoch: 0,
        }
    }

    /// Every transaction, as a recovery would find them.
    pub(super) fn txns(&self) -> Vec<Proposal> {
        let newer = self.log.iter().filter(|p| p.zxid > self.snapshot_zxid);
        self.snapshot.iter().chain(newer).cloned().collect()
    }

    pub(super) fn has(&self, zxid: Zxid) -> bool {
        let find = |txns: &[Proposal]| txns.binary_search_by_key(&zxid, |p| p.zxid).is_ok();
        find(&self.snapshot) || find(&self.log)
    }

    pub(super) fn last_zxid(&self) -> Zxid {
        let last = self.log.last().map_or(Zxid(0), |p| p.zxid);
        last.max(self.snapshot_zxid)
    }

    pub(super) fn history(&self) -> History {
        History {
            accepted_epoch: self.accepted_epoch,
            current_epoch: self.current_epoch,
            last_zxid: self.last_zxid(),
        }
    }

    /// The configurations a server starts with. One that only the history knows, because
    /// a snapshot brought it, is the last seen.
    pub(super) fn config(&self) -> Config {
        let proposed = self.txns().into_iter().rev();
        let mut proposed = proposed.filter_map(|txn| reconfigured(&txn.payload).unwrap());
        let proposed = proposed
            .next()
            .map(|text| QuorumVerifier::parse(&text).unwrap());
        let last_seen = self.last_seen.clone().into_iter().chain(proposed);
        Config {
            committed: self.committed.clone(),
            last_seen: last_seen.max_by_key(QuorumVerifier::version),
        }
    }

    /// Takes over a configuration that is in force elsewhere, if it is newer.
    pub(super) fn commit_config(&mut self, config: QuorumVerifier) {
        if config.version() > self.committed.version() {
            self.committed = config;
        }
    }

    fn truncate(&mut self, zxid: Zxid) -> TruncateOutcome {
        if zxid == Zxid(0) {
            (self.snapshot, self.snapshot_zxid, self.log) = (Vec::new(), zxid, Vec::new());
        } else if zxid < self.snapshot_zxid
            || zxid != self.snapshot_zxid && !self.log.iter().any(|p| p.zxid == zxid)
        {
            return TruncateOutcome::NoSuchTransaction;
        } else {
            self.log.retain(|p| p.zxid <= zxid);
        }
        TruncateOutcome::Truncated
    }

    fn set_epoch(&mut self, file: EpochFile, epoch: i64) {
        match file {
            EpochFile::Accepted => self.accepted_epoch = epoch,
            EpochFile::Current => self.current_epoch = epoch,
        }
    }
}

/// One write.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Append(Proposal),
    Epoch(EpochFile, i64),
    Truncate(Zxid),
    Install { state: Vec<Proposal>, zxid: Zxid },
    LastSeen(QuorumVerifier),
    InForce(QuorumVerifier),
}

/// It is durable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Done {
    Appended(Zxid),
    Epoch(EpochFile),
    Truncated(TruncateOutcome),
    Installed(SnapshotOutcome),
    Configured,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) durable: Image,
    writes: VecDeque<Write>,
}

impl Disk {
    pub(super) fn new(config: QuorumVerifier) -> Self {
        Self {
            durable: Image::new(config),
            writes: VecDeque::new(),
        }
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writes.push_back(write);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.writes.is_empty()
    }

    /// The next write becomes durable. Appends that follow one another do so together.
    pub(super) fn complete(&mut self) -> Option<Done> {
        let done = self.perform()?;
        let Done::Appended(mut last) = done else {
            return Some(done);
        };
        while let Some(Write::Append(_)) = self.writes.front() {
            if let Some(Done::Appended(zxid)) = self.perform() {
                last = zxid;
            }
        }
        Some(Done::Appended(last))
    }

    fn perform(&mut self) -> Option<Done> {
        Some(match self.writes.pop_front()? {
            Write::Append(proposal) => {
                let zxid = proposal.zxid;
                assert!(
                    zxid > self.durable.last_zxid(),
                    "{zxid} is appended out of order"
                );
                self.durable.log.push(proposal);
                Done::Appended(zxid)
            }
            Write::Epoch(file, epoch) => {
                self.durable.set_epoch(file, epoch);
                Done::Epoch(file)
            }
            Write::Truncate(zxid) => Done::Truncated(self.durable.truncate(zxid)),
            Write::Install { state, zxid } => {
                let image = &mut self.durable;
                (image.snapshot, image.snapshot_zxid, image.log) = (state, zxid, Vec::new());
                Done::Installed(SnapshotOutcome::Installed)
            }
            Write::LastSeen(config) => {
                self.durable.last_seen = Some(config);
                Done::Configured
            }
            Write::InForce(config) => {
                self.durable.commit_config(config);
                Done::Configured
            }
        })
    }

    /// The power fails: some of what was being written is there, some is not.
    pub(super) fn crash(&mut self, rng: &mut EnvRng) {
        let survivors = rng.below(self.writes.len() as u64 + 1);
        for _ in 0..survivors {
            self.perform();
        }
        self.writes.clear();
    }

    /// A snapshot is written, and logs before it are purged now and then.
    pub(super) fn snapshot(&mut self, state: &[Proposal], rng: &mut EnvRng) {
        let Some(last) = state.last().map(|p| p.zxid) else {
            return;
        };
        if !self.is_idle() || !self.durable.has(last) || last < self.durable.snapshot_zxid {
            return;
        }
        self.durable.snapshot = state.to_vec();
        self.durable.snapshot_zxid = last;
        let older = self.durable.log.partition_point(|p| p.zxid <= last) as u64;
        let purged = rng.below(older + 1) as usize;
        self.durable.log.drain(..purged);
    }

    /// What `ReadLog` asks for.
    pub(super) fn read_log(&self, from: Zxid, through: Zxid) -> Option<Vec<Proposal>> {
        let log = &self.durable.log;
        let start = log.partition_point(|p| p.zxid <= from).checked_sub(1)?;
        let end = log.partition_point(|p| p.zxid <= through);
        Some(log[start..end.max(start)].to_vec())
    }
}
