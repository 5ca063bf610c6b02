//! The end of a run: whether every server has the same, and what it should.

use std::fmt;

use super::{Counts, Ledger, Load, connect};
use crate::processes::{Failure, Processes, words};
use crate::tree::{Tree, differences, read_tree};

/// Whose digests are compared by the servers themselves.
const LAST_WRITES: usize = 100;

/// What was found, if nothing is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    counts: Counts,
    /// In the tree that all servers have.
    znodes: usize,
    servers: usize,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            acknowledged,
            refused,
            unknown,
        } = self.counts;
        let Self {
            znodes, servers, ..
        } = self;
        write!(
            f,
            "{acknowledged} writes acknowledged, all there; {refused} refused, none there; \
             {unknown} in doubt; {servers} servers have the same {znodes} znodes"
        )
    }
}

/// Ends the load and looks, on every server: all have the same tree, data, ACLs and metadata;
/// what was acknowledged is there, what was refused is not; ephemerals go with their sessions;
/// no server finds its digest of the tree to be another than the leader's.
///
/// # Errors
///
/// Everything that is not so.
pub async fn verify(ensemble: &mut Processes, load: Load) -> Result<Verdict, Failure> {
    ensemble.wait_until_all_serve().await?;
    let mismatches = mismatches(ensemble).await?;
    load.until_more(LAST_WRITES).await?;
    let ended = load.end().await?;
    let tree = the_tree(ensemble).await?;
    none("the ledger does not agree", &ended.ledger.verify(&tree))?;
    let counts = ended.ledger.counts();
    ended.close().await?;
    let left = the_tree(ensemble).await?;
    let outlived = Ledger::verify_no_ephemerals(&left);
    none("sessions have ended", &outlived)?;
    verify_digests(ensemble, &mismatches).await?;
    none("logs", &ensemble.traces()?.alarms)?;
    Ok(Verdict {
        counts,
        znodes: tree.len(),
        servers: ensemble.len(),
    })
}

/// The tree of every server.
async fn the_tree(ensemble: &Processes) -> Result<Tree, Failure> {
    let first = tree_of(ensemble, 0).await?;
    for peer in 1..ensemble.len() {
        let other = tree_of(ensemble, peer).await?;
        let what = format!("{} and {} differ", ensemble.name(0), ensemble.name(peer));
        none(&what, &differences(&first, &other))?;
    }
    Ok(first)
}

async fn tree_of(ensemble: &Processes, peer: usize) -> Result<Tree, Failure> {
    let client = connect(ensemble.host(peer)).await?;
    client.sync("/").await?;
    let tree = read_tree(&client).await?;
    client.close().await?;
    Ok(tree)
}

/// How often each server has found its digest of the tree to be another than the one that a
/// transaction brought.
///
/// That alone is no fault: a learner that gets a snapshot while the leader goes on applies
/// some transactions again. But the digest is one of the whole tree, so that a server whose
/// tree differs finds it with every transaction from then on.
async fn mismatches(ensemble: &Processes) -> Result<Vec<usize>, Failure> {
    let mut mismatches = ensemble.traces()?.mismatches;
    for (peer, mismatches) in mismatches.iter_mut().enumerate() {
        if ensemble.kind(peer).is_java() {
            // Its log leaves most of them out.
            let name = "zk_digest_mismatches_count";
            let counted = words::monitored(ensemble.host(peer), name).await;
            *mismatches = counted.ok_or_else(|| format!("{}: no {name}", ensemble.name(peer)))?;
        }
    }
    Ok(mismatches)
}

/// Every server has applied the last writes.
async fn verify_digests(ensemble: &Processes, before: &[usize]) -> Result<(), Failure> {
    let after = mismatches(ensemble).await?;
    if after == before {
        return Ok(());
    }
    Err(format!(
        "digests of the tree differ: {before:?} times before the last writes, {after:?} after"
    )
    .into())
}

fn none(what: &str, wrong: &[String]) -> Result<(), Failure> {
    if wrong.is_empty() {
        return Ok(());
    }
    const ENOUGH: usize = 20;
    let told = &wrong[..wrong.len().min(ENOUGH)];
    let number = wrong.len();
    Err(format!("{what}, {number} findings:\n{}", told.join("\n")).into())
}
