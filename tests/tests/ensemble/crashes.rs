//! Servers that crash, one after the other, while recipes are at work.

use std::time::Duration;

use zk_client::{Client, CreateMode, RetryPolicy};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, within};

use crate::counter::Counter;
use crate::latch::Elections;
use crate::peers::Peers;
use crate::queue::Jobs;
use crate::say;
use crate::stage::Stage;
use crate::watching::Watching;

const PROBE: &str = "/probe";

/// Everything that is going on.
struct Loads {
    counter: Counter,
    elections: Elections,
    jobs: Jobs,
    watching: Watching,
}

impl Loads {
    async fn start(stage: &Stage) -> Self {
        Self {
            counter: Counter::start(stage).await,
            elections: Elections::start(stage).await,
            jobs: Jobs::start(stage).await,
            watching: Watching::start(stage).await,
        }
    }

    fn progress(&self) -> [usize; 4] {
        [
            self.counter.progress(),
            self.elections.progress(),
            self.jobs.progress(),
            self.watching.progress(),
        ]
    }

    /// Waits until each of them has got on.
    async fn until_all_get_on(&self, stage: &Stage) {
        let before = self.progress();
        eventually("every load gets on", async || {
            stage.assert_no_violation();
            let now = self.progress();
            before.iter().zip(now).all(|(before, now)| now > before + 3)
        })
        .await;
    }
}

/// How long it takes until a write is acknowledged.
async fn until_written(client: &Client) -> Duration {
    let env = client.env();
    let began = env.now();
    let patient = client.retrying(RetryPolicy::new(u32::MAX).for_idempotent());
    let written = patient.run(|client| client.set_data(PROBE, b"", None));
    within("a write", written).await.unwrap();
    env.now().since(began)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipes_outlive_the_crash_of_any_server() {
    let Some(peers) = Peers::named("recipes_outlive_the_crash_of_any_server").await else {
        return;
    };
    let stage = Stage::start(peers.hosts()).await;
    let probe = stage.client().await;
    let created = probe.create(PROBE, b"", CreateMode::Persistent);
    created.await.unwrap();
    let loads = Loads::start(&stage).await;
    loads.until_all_get_on(&stage).await;
    for round in 0..repetitions(8, 4) {
        let leader = peers.leader().await;
        let victim = match round % 2 {
            0 => leader,
            _ => peers.followers().await[round / 2 % 2],
        };
        peers.kill(victim).await;
        let took = until_written(&probe).await;
        let role = if victim == leader {
            "leader"
        } else {
            "follower"
        };
        say(&format!(
            "{role} killed: a write was acknowledged {took:?} later"
        ));
        loads.until_all_get_on(&stage).await;
        peers.restart(victim).await;
        peers.until_all_serve().await;
        loads.until_all_get_on(&stage).await;
    }
    without_a_quorum(&peers, &probe).await;
    loads.until_all_get_on(&stage).await;
    stage.end();
    let verdicts = [
        loads.counter.verify(&stage).await,
        loads.elections.verify().await,
        loads.jobs.verify(&stage).await,
        loads.watching.verify(&stage).await,
    ];
    stage.assert_no_violation();
    say(&verdicts.join("; "));
}

/// All servers at once, and all back with what they knew: an outage, not a regression.
async fn without_a_quorum(peers: &Peers, probe: &Client) {
    let epoch = probe.epoch();
    for peer in 0..peers.len() {
        peers.kill(peer).await;
    }
    for peer in 0..peers.len() {
        peers.restart(peer).await;
    }
    let took = until_written(probe).await;
    say(&format!(
        "all killed: a write was acknowledged {took:?} after the restart"
    ));
    assert_eq!(
        probe.epoch(),
        epoch,
        "a new leader gives sessions their full time"
    );
    peers.until_all_serve().await;
}
