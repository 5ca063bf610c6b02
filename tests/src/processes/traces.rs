//! What the logs of peers tell: who synchronised whom and how, and what must never be there.

use std::collections::BTreeMap;

use super::Kind;

/// How a leader brought a learner in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncOp {
    /// It sent what the learner lacked.
    Diff,
    /// It had the learner cut off the end of its log.
    Trunc,
    /// It sent everything.
    Snap,
}

/// One synchronisation, as the leader tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Synchronisation {
    /// The id of the leader.
    pub leader: usize,
    /// The id of the learner.
    pub learner: usize,
    /// How.
    pub op: SyncOp,
}

/// What was found in all logs.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// Every synchronisation, those of one leader in order.
    pub synchronisations: Vec<Synchronisation>,
    /// By peer, how often one of ours tells that its tree has another digest than a
    /// transaction says.
    pub mismatches: Vec<usize>,
    /// Lines that tell of a state that nobody may be in.
    pub alarms: Vec<String>,
}

const MISMATCH: &str = "the tree is not what it was";

/// Code that was not meant to be reached.
const ALARMS: &[&str] = &["panicked at", "java.lang.AssertionError"];

/// Adds what the log of the peer `id` tells.
pub(super) fn read(log: &str, id: usize, kind: &Kind, traces: &mut Traces) {
    let mut java = JavaLeader::default();
    let mismatches = log.lines().filter(|line| line.contains(MISMATCH));
    traces.mismatches.push(mismatches.count());
    for line in log.lines() {
        let found = match kind {
            Kind::Java(_) => java.synchronisation(line),
            Kind::Rust => rust_synchronisation(line),
        };
        let found = found.map(|(learner, op)| Synchronisation {
            leader: id,
            learner,
            op,
        });
        traces.synchronisations.extend(found);
        if ALARMS.iter().any(|alarm| line.contains(alarm)) {
            traces.alarms.push(format!("{kind} {id}: {line}"));
        }
    }
}

/// Apache's leader has a thread for each learner, and not every line names the learner.
#[derive(Debug, Default)]
struct JavaLeader<'a> {
    learners: BTreeMap<&'a str, usize>,
}

impl<'a> JavaLeader<'a> {
    fn synchronisation(&mut self, line: &'a str) -> Option<(usize, SyncOp)> {
        let (thread, text) = line.split_once("] ")?;
        if let Some((_, sid)) = text.split_once("Synchronizing with Learner sid: ") {
            self.learners
                .insert(thread_name(thread), leading_number(sid)?);
        }
        let op = if text.contains("Sending DIFF zxid=") {
            SyncOp::Diff
        } else if text.contains("Sending TRUNC ") {
            SyncOp::Trunc
        } else if text.contains("Sending snapshot last zxid") {
            SyncOp::Snap
        } else {
            return None;
        };
        let learner = *self.learners.get(thread_name(thread))?;
        Some((learner, op))
    }
}

/// Behind the time.
fn thread_name(text: &str) -> &str {
    text.split_once('[').map_or(text, |(_, name)| name)
}

/// Ours says it in one line: `synchronising server=Some(ServerId(2)) op=Snap txns=0`.
fn rust_synchronisation(line: &str) -> Option<(usize, SyncOp)> {
    let (_, fields) = line.split_once(": synchronising ")?;
    let (_, server) = fields.split_once("server=")?;
    let (_, op) = fields.split_once(" op=")?;
    let learner = leading_number(server.trim_start_matches(|c: char| !c.is_ascii_digit()))?;
    let op = match op {
        op if op.starts_with("Diff") => SyncOp::Diff,
        op if op.starts_with("Trunc") => SyncOp::Trunc,
        op if op.starts_with("Snap") => SyncOp::Snap,
        _ => return None,
    };
    Some((learner, op))
}

fn leading_number(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str, kind: &Kind) -> Vec<(usize, SyncOp)> {
        let mut traces = Traces::default();
        read(log, 1, kind, &mut traces);
        assert_eq!(traces.alarms, Vec::<String>::new());
        let told = traces.synchronisations.iter();
        told.map(|found| (found.learner, found.op)).collect()
    }

    #[test]
    fn synchronisations_are_found_in_apaches_log() {
        let log = "\
            12:00:00.001 [LearnerHandler-/127.0.0.1:4] INFO org.LearnerHandler - Synchronizing with Learner sid: 3 maxCommittedLog=0x0\n\
            12:00:00.001 [LearnerHandler-/127.0.0.1:5] INFO org.LearnerHandler - Synchronizing with Learner sid: 2 maxCommittedLog=0x0\n\
            12:00:00.002 [LearnerHandler-/127.0.0.1:4] INFO org.LearnerHandler - Sending snapshot last zxid of peer is 0x0, zxid\n\
            12:00:00.002 [LearnerHandler-/127.0.0.1:5] INFO org.LearnerHandler - Sending DIFF zxid=0x100000001  for peer sid: 2\n\
            12:00:00.009 [LearnerHandler-/127.0.0.1:5] INFO org.LearnerHandler - Synchronizing with Learner sid: 3 maxCommittedLog=0x0\n\
            12:00:00.009 [LearnerHandler-/127.0.0.1:5] DEBUG org.LearnerHandler - Sending TRUNC to follower zxidToSend=0x1 for peer sid:3\n";
        assert_eq!(
            told(log, &Kind::Java("3.9.5".into())),
            [(3, SyncOp::Snap), (2, SyncOp::Diff), (3, SyncOp::Trunc)]
        );
    }

    #[test]
    fn synchronisations_are_found_in_our_log() {
        let log = "\
            2026-01-01T00:00:00.000000Z  INFO zk_server::quorum: synchronising server=Some(ServerId(2)) op=Diff(Zxid(5)) txns=3\n\
            2026-01-01T00:00:00.000000Z  INFO zk_server::quorum: synchronising server=3 op=Snap txns=0\n\
            2026-01-01T00:00:00.000000Z  INFO zk_server::quorum: something else\n";
        assert_eq!(
            told(log, &Kind::Rust),
            [(2, SyncOp::Diff), (3, SyncOp::Snap)]
        );
    }
}
