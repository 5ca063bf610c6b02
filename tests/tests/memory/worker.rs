//! A client at work: pipelined writes and reads of a znode of its own, and a
//! watch on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use zk_client::{Client, Error, EventType, Outcome, SessionState, Stat, Watcher};
use zk_env::sleep_until;

use crate::scenario::Journal;

/// Writes under way at once.
const PIPELINE: usize = 8;
const LONGEST_PAUSE_MS: u64 = 100;
/// A worker writes at least this often, faults or not.
const LEAST_ROUNDS: usize = 50;

/// What a worker was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) applied: usize,
    pub(crate) unknown: usize,
    pub(crate) reconnects: usize,
    events: usize,
    /// The version that the last answered write gave.
    version: i32,
}

pub(crate) struct Worker {
    should_stop: Arc<AtomicBool>,
    tally: oneshot::Receiver<Tally>,
}

pub(crate) fn start(client: &Client, name: &'static str, journal: &Journal) -> Worker {
    let should_stop = Arc::new(AtomicBool::new(false));
    let (done, tally) = oneshot::channel();
    let work = work(
        client.clone(),
        name,
        journal.clone(),
        Arc::clone(&should_stop),
    );
    client.env().spawn(
        "worker",
        Box::pin(async move {
            let _ = done.send(work.await);
        }),
    );
    Worker { should_stop, tally }
}

impl Worker {
    pub(crate) async fn finish(self) -> Tally {
        self.should_stop.store(true, Ordering::Relaxed);
        self.tally.await.expect("the worker did not panic")
    }
}

async fn work(
    client: Client,
    name: &'static str,
    journal: Journal,
    should_stop: Arc<AtomicBool>,
) -> Tally {
    let path = format!("/{name}");
    let changes = Watcher::new();
    let mut tally = Tally::default();
    let mut states = client.state();
    let (env, mut round) = (Arc::clone(client.env()), 0);
    let mut rng = env.rng("worker");
    while round < LEAST_ROUNDS || !should_stop.load(Ordering::Relaxed) {
        round += 1;
        let watched = client.exists(&path, &changes);
        let writes: Vec<_> = (0..PIPELINE)
            .map(|_| client.set_data(&path, b"x", None))
            .collect();
        match watched.await {
            Ok(stat) => journal.note(name, format_args!("found {:?}", stat.map(|s| s.mzxid))),
            Err(error) => journal.note(name, error),
        }
        let answers = join_all(writes).await;
        for answer in &answers {
            tally.count(answer);
        }
        assert_prefix(&answers);
        journal.note(name, summary(&answers));
        while let Some(event) = changes.try_next() {
            assert_eq!(event.event_type, EventType::NodeDataChanged);
            tally.events += 1;
        }
        if states.has_changed().expect("the client is open") {
            tally.reconnects += 1;
            journal.note(name, format_args!("{:?}", *states.borrow_and_update()));
            let connected = states.wait_for(SessionState::is_connected).await;
            journal.note(
                name,
                format_args!("{:?}", *connected.expect("the client is open")),
            );
        }
        let pause = Duration::from_millis(rng.below(LONGEST_PAUSE_MS));
        sleep_until(&mut *env.timer(), env.now() + pause).await;
    }
    tally
}

/// Nothing else travelled on the connection, so the good answers come first.
fn assert_prefix(answers: &[Result<Stat, Error>]) {
    let is_bad_before_good = answers
        .windows(2)
        .any(|pair| pair[0].is_err() && pair[1].is_ok());
    assert!(!is_bad_before_good, "{answers:?}");
}

fn summary(answers: &[Result<Stat, Error>]) -> String {
    let answer = |answer: &Result<Stat, Error>| match answer {
        Ok(stat) => format!("{} {}", stat.version, stat.mzxid),
        Err(error) => error.to_string(),
    };
    answers.iter().map(answer).collect::<Vec<_>>().join(", ")
}

impl Tally {
    fn count(&mut self, answer: &Result<Stat, Error>) {
        match answer {
            Ok(stat) => {
                self.applied += 1;
                assert!(
                    stat.version > self.version,
                    "{stat:?} after {}",
                    self.version
                );
                self.version = stat.version;
            }
            Err(error) => match error.outcome() {
                Outcome::Unknown => self.unknown += 1,
                Outcome::NotApplied => {}
                Outcome::Applied => panic!("{error}"),
            },
        }
    }

    /// The znode was written as often as its client was told, give or take what it
    /// could not be told; and the session is still the first.
    pub(crate) async fn assert_true_of(&self, client: &Client, path: &str) {
        let stat = client
            .exists(path, None)
            .await
            .expect("the network is sound");
        let written = usize::try_from(stat.expect("nobody deletes it").version);
        let possible = self.applied..=self.applied + self.unknown;
        assert!(
            possible.contains(&written.expect("far from overflow")),
            "{path}: {stat:?}, {self:?}"
        );
        assert_eq!(client.epoch().number(), 1, "the session survived");
    }
}
