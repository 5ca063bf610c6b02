//! The table of `sync`, as text, and against a learner that does what it is sent.

use proptest::prelude::*;
use zk_proto::Zxid;

use crate::quorum::zab::sync::{DiskLog, SyncDecision, SyncOp, SyncPlan, SyncState, decide};
use crate::quorum::zab::{CommittedLog, Proposal};

const TABLE: &str = include_str!("../../../../testdata/zab/sync.txt");

/// `1.1-3 2.1`: zxids as epoch and counter, or a range of counters.
fn zxids(text: &str) -> Vec<Zxid> {
    let mut zxids = Vec::new();
    for word in text.split_whitespace() {
        if word == "-" {
            continue;
        }
        let (epoch, counters) = word.split_once('.').unwrap();
        let (first, last) = counters.split_once('-').unwrap_or((counters, counters));
        let epoch: i64 = epoch.parse().unwrap();
        for counter in first.parse::<i64>().unwrap()..=last.parse().unwrap() {
            zxids.push(Zxid(epoch << 32 | counter));
        }
    }
    zxids
}

fn proposals(zxids: &[Zxid]) -> Vec<Proposal> {
    zxids
        .iter()
        .map(|zxid| Proposal::new(*zxid, zxid.to_string()))
        .collect()
}

fn committed(zxids: &[Zxid], limit: usize) -> CommittedLog {
    let mut log = CommittedLog::new(limit);
    proposals(zxids)
        .into_iter()
        .for_each(|proposal| log.push(proposal));
    log
}

fn show(zxid: Zxid) -> String {
    format!("{}.{}", zxid.epoch(), zxid.counter())
}

fn show_decision(decision: &SyncDecision) -> String {
    match decision {
        SyncDecision::ReadLog { from, through } => {
            format!("READ {} {}", show(*from), show(*through))
        }
        SyncDecision::Send(plan) => {
            let op = match plan.op {
                SyncOp::Diff(zxid) => format!("DIFF {}", show(zxid)),
                SyncOp::Trunc(zxid) => format!("TRUNC {}", show(zxid)),
                SyncOp::Snap => "SNAP".to_owned(),
            };
            let txns = plan.proposals.iter().map(|p| format!(" {}", show(p.zxid)));
            op + &txns.collect::<String>()
        }
    }
}

/// What the lines of the table have set so far.
#[derive(Debug)]
struct Leader {
    committed: CommittedLog,
    processed: Zxid,
    disk: DiskLog,
}

impl Leader {
    fn set(&mut self, key: &str, value: &str) {
        match (key, value.trim()) {
            ("committed", value) => {
                self.committed = committed(&zxids(value), usize::MAX);
                self.processed = self.committed.max().unwrap_or_default();
            }
            ("processed", value) => self.processed = zxids(value)[0],
            ("disk", "disabled") => self.disk = DiskLog::Disabled,
            ("disk", "unread") => self.disk = DiskLog::NotRead,
            ("disk", "unavailable") => self.disk = DiskLog::Unavailable,
            ("disk", value) => self.disk = DiskLog::Read(proposals(&zxids(value))),
            (key, _) => panic!("{key}?"),
        }
    }

    fn decide(&self, peer_last: Zxid) -> SyncDecision {
        decide(&SyncState {
            peer_last,
            last_processed: self.processed,
            committed: &self.committed,
            disk: self.disk.clone(),
        })
    }
}

#[test]
fn learners_get_what_the_table_says() {
    let mut leader = Leader {
        committed: CommittedLog::new(1),
        processed: Zxid(0),
        disk: DiskLog::NotRead,
    };
    let mut checked = 0;
    for (n, line) in TABLE.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((key, value)) = line.split_once(' ') else {
            continue;
        };
        if key != "peer" {
            leader.set(key, value);
            continue;
        }
        let (peer, expected) = value.split_once("->").unwrap();
        let decision = leader.decide(zxids(peer)[0]);
        assert_eq!(
            show_decision(&decision),
            expected.trim(),
            "line {}: {line}",
            n + 1
        );
        checked += 1;
    }
    assert!(checked >= 25, "{checked} lines");
}

/// A learner's log after it has done what it was sent; `None` if it has to ask for a
/// snapshot.
fn follow(plan: &SyncPlan, mut log: Vec<Zxid>, leader: &[Zxid]) -> Option<Vec<Zxid>> {
    match plan.op {
        SyncOp::Diff(_) => {}
        SyncOp::Trunc(zxid) => {
            if zxid != Zxid(0) && !log.contains(&zxid) {
                return None;
            }
            log.retain(|known| *known <= zxid);
        }
        SyncOp::Snap => log = leader.to_vec(),
    }
    for proposal in &plan.proposals {
        let last = log.last().copied().unwrap_or_default();
        assert!(proposal.zxid > last, "{} after {last}", proposal.zxid);
        log.push(proposal.zxid);
    }
    Some(log)
}

/// A leader's history, where a learner's leaves it, and what the learner has beyond.
fn histories() -> impl Strategy<Value = (Vec<Zxid>, Vec<Zxid>)> {
    let leader = proptest::collection::vec(0..5_i64, 1..6);
    (leader, any::<prop::sample::Index>(), 0..3_i64, 0..3_i64).prop_map(
        |(epochs, common, more, alone)| {
            let epochs = (1..).zip(epochs);
            let leader: Vec<_> = epochs
                .flat_map(|(epoch, txns)| (1..=txns).map(move |n| Zxid(epoch << 32 | n)))
                .collect();
            let mut learner = leader[..common.index(leader.len() + 1)].to_vec();
            // More of the epoch where they part, if the leader has all of its own of it.
            let last = learner.last().copied().unwrap_or_default();
            let next = leader.get(learner.len()).copied().unwrap_or_default();
            if last != Zxid(0) && next.epoch() != last.epoch() {
                learner.extend((1..=more).map(|n| Zxid(last.0 + n)));
            }
            // An epoch that came to nothing: odd ones are the leader's, here.
            let epoch = learner.last().copied().unwrap_or_default().epoch() + 7;
            if next == Zxid(0) {
                learner.extend((1..=alone).map(|n| Zxid(epoch << 32 | n)));
            }
            (leader, learner)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Whatever the leader has in memory and on disk, the learner ends with its history
    /// or asks for a snapshot; that only where the leader cannot know what it lacks.
    #[test]
    fn any_learner_ends_with_the_leaders_history(
        (leader, learner) in histories(),
        cached in 1..9_usize,
        logged in 0..9_usize,
        epoch_begun in any::<bool>(),
    ) {
        let last = leader.last().copied().unwrap_or_default();
        let peer_last = learner.last().copied().unwrap_or_default();
        let processed = if epoch_begun { Zxid((last.epoch() + 1) << 32) } else { last };
        let committed = committed(&leader, cached);
        let state = |disk| SyncState { peer_last, last_processed: processed, committed: &committed, disk };
        let decision = match decide(&state(DiskLog::NotRead)) {
            SyncDecision::ReadLog { from, through } => {
                prop_assert_eq!(from, peer_last);
                prop_assert!(through == last || leader.is_empty());
                let on_disk = &leader[leader.len().saturating_sub(cached + logged)..];
                let start = on_disk.partition_point(|zxid| *zxid <= from);
                let read = start.checked_sub(1).map(|start| proposals(&on_disk[start..]));
                decide(&state(read.map_or(DiskLog::Unavailable, DiskLog::Read)))
            }
            decision => decision,
        };
        let SyncDecision::Send(plan) = decision else {
            panic!("the log is read once: {decision:?}");
        };
        match follow(&plan, learner.clone(), &leader) {
            Some(log) => prop_assert_eq!(log, leader),
            None => prop_assert!(!learner.iter().all(|zxid| leader.contains(zxid))),
        }
    }
}
