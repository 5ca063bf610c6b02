//! Pipelined writes by the hundred: they take effect in order, and what the caller is
//! told of them is true (C02, C03, C04).

use bytes::Bytes;
use zk_client::{Error, Stat};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{bears, builder, close, connect, establish, hosts, ms};
use super::ledger::Fate;
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Writers, each with a znode of its own.
const WORKERS: usize = 2;
/// Requests on the wire at once in some bursts, so that others have not left yet.
const NARROW: usize = 16;

/// Writers of numbers, one after the other, without waiting.
#[derive(Debug)]
pub(super) struct Bursts;

impl Workload for Bursts {
    fn name(&self) -> &'static str {
        "bursts"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("bursts", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move { work(&stage).await })
    }
}

async fn work(stage: &Stage) {
    let mut rng = stage.rng("bursts");
    let is_narrow = rng.below(2) == 0;
    let settings = || {
        let builder = builder(stage);
        if is_narrow {
            builder.max_in_flight(NARROW)
        } else {
            builder
        }
    };
    let Some(client) = connect(stage, settings).await else {
        return;
    };
    let path = format!("/bursts/{}", stage.host());
    if establish(stage, &client, &path).await {
        while stage.goes_on() {
            if let Some(before) = written(stage, &client, &path).await {
                burst(stage, &client, &path, before, &mut rng).await;
            }
            stage.pause(ms(500, 4_000)).await;
        }
    }
    close(client).await;
}

/// The number of writes so far. Nobody else writes, and what an old connection still
/// had under way arrived before this connection's first answer, or never.
async fn written(stage: &Stage, client: &RecordedClient, path: &str) -> Option<i32> {
    match client.exists(path, None).await {
        Ok(Some(stat)) => Some(stat.version),
        Ok(None) => {
            // Only a server that lost acknowledged writes has forgotten it.
            stage.fail(format!("{path} is gone"));
            None
        }
        Err(error) => {
            bears(stage, path, &error);
            None
        }
    }
}

async fn burst(stage: &Stage, client: &RecordedClient, path: &str, before: i32, rng: &mut EnvRng) {
    let length = 1 << rng.below(9);
    let writes: Vec<_> = (1..=length)
        .map(|n| client.set_data(path, n.to_string(), None))
        .collect();
    // What took a place in line, and what was told of it.
    let mut told = Vec::with_capacity(length);
    for (n, write) in (1..).zip(writes) {
        match write.await {
            // It has taken no place in line.
            Err(Error::QueueFull { .. }) => {}
            answer => told.push((n, answer)),
        }
    }
    for error in told.iter().filter_map(|(_, answer)| answer.as_ref().err()) {
        bears(stage, path, error);
    }
    let left = match client.get_data(path, None).await {
        Ok((data, stat)) => (stat.version, data),
        Err(error) => {
            bears(stage, path, &error);
            return;
        }
    };
    if let Err(why) = check(&told, before, &left) {
        stage.fail(format!("{path}: {why}"));
    }
    stage.progress("burst");
}

/// Holds what was told against what is left: each answered write is one version further
/// than the one before, but for those between whose fate is open, and the last write that
/// took effect is the one that is there.
///
/// Behind a write whose fate is open others may be answered: a planned change of servers
/// spares what was not sent yet.
fn check(
    told: &[(u32, Result<Stat, Error>)],
    before: i32,
    (version, data): &(i32, Bytes),
) -> Result<(), String> {
    // The version if no open write took effect, and the numbers that may be there.
    let (mut sure, mut open, mut last) = (before, Vec::new(), None);
    for (n, answer) in told {
        match (Fate::of(answer), answer) {
            (_, Ok(stat)) => {
                let possible = sure + 1..=sure + 1 + count(&open);
                if !possible.contains(&stat.version) {
                    return Err(format!("version {} and not {possible:?}", stat.version));
                }
                (sure, last) = (stat.version, Some(*n));
                open.clear();
            }
            (Fate::Unknown, Err(_)) => open.push(*n),
            (Fate::Applied | Fate::NotApplied, Err(_)) => {}
        }
    }
    let further = version - sure;
    if !(0..=count(&open)).contains(&further) {
        return Err(format!(
            "version {version} after {sure} and {} open",
            open.len()
        ));
    }
    // Of the open ones as many took effect as there are versions more.
    let possible = match usize::try_from(further) {
        Ok(0) | Err(_) => last.as_slice(),
        Ok(further) => &open[further - 1..],
    };
    let is_possible = possible.iter().any(|n| *data == n.to_string());
    if *version != before && !is_possible {
        return Err(format!("{data:?} and none of {possible:?}"));
    }
    Ok(())
}

fn count(open: &[u32]) -> i32 {
    i32::try_from(open.len()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use zk_client::Outcome;

    use super::*;

    fn told(version: i32) -> Result<Stat, Error> {
        Ok(Stat {
            version,
            ..Stat::default()
        })
    }

    fn lost(outcome: Outcome) -> Result<Stat, Error> {
        Err(Error::ConnectionLost { outcome })
    }

    /// Three writes after version 7.
    fn checked(answers: [Result<Stat, Error>; 3], version: i32, data: &'static str) -> bool {
        let told: Vec<_> = (1..).zip(answers).collect();
        check(&told, 7, &(version, data.into())).is_ok()
    }

    #[test]
    fn what_is_open_took_effect_or_not() {
        let answers = || [told(8), lost(Outcome::Unknown), lost(Outcome::NotApplied)];
        assert!(checked(answers(), 8, "1"));
        assert!(checked(answers(), 9, "2"));
        assert!(!checked(answers(), 9, "1"));
        assert!(!checked(answers(), 9, "3"));
        assert!(!checked(answers(), 10, "3"));
    }

    #[test]
    fn answers_count_on() {
        assert!(checked([told(8), told(9), told(10)], 10, "3"));
        assert!(!checked([told(8), told(10), told(11)], 11, "3"));
        assert!(!checked([told(8), told(9), told(10)], 9, "2"));
        assert!(checked(
            [lost(Outcome::Unknown), told(9), told(10)],
            10,
            "3"
        ));
        assert!(checked([lost(Outcome::Unknown), told(8), told(9)], 9, "3"));
        assert!(!checked(
            [lost(Outcome::NotApplied), told(9), told(10)],
            10,
            "3"
        ));
    }
}
