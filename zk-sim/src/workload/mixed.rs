//! Every operation, on a few dozen paths that are the worker's own or shared.

mod operation;

use zk_env::{BoxFuture, EnvRng};

use self::operation::{Choice, Menu};
use super::clients::{bears, builder, close, connect, establish, hosts, is_answer, ms};
use crate::faults::mix::GARBLED;
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Workers.
const WORKERS: usize = 3;
/// At most this many calls at once.
const PIPELINE: u64 = 5;

/// Clients that do a bit of everything. What they are told is left to the checkers.
#[derive(Debug)]
pub(super) struct Mixed {
    name: &'static str,
    hosts: Vec<String>,
    /// Whether what they are told may be nonsense.
    bears_anything: bool,
}

impl Mixed {
    pub(super) fn new() -> Self {
        Self {
            name: "mixed",
            hosts: hosts("mixed", WORKERS),
            bears_anything: false,
        }
    }

    pub(super) fn garbled() -> Self {
        Self {
            name: "garbled",
            hosts: hosts(GARBLED, WORKERS - 1),
            bears_anything: true,
        }
    }
}

impl Workload for Mixed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn hosts(&self) -> Vec<String> {
        self.hosts.clone()
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let (root, bears_anything) = (format!("/{}", self.name), self.bears_anything);
        if bears_anything {
            Box::pin(async move { bear(&stage, &root).await })
        } else {
            Box::pin(async move { work(&stage, &root).await })
        }
    }
}

async fn work(stage: &Stage, root: &str) {
    let mut rng = stage.rng("mixed");
    while let Some(client) = connect(stage, || builder(stage)).await {
        let own = format!("{root}/{}", stage.host());
        if establish(stage, &client, &own).await {
            let mut menu = Menu::new(root, stage.host());
            while stage.goes_on() {
                round(stage, &client, &mut menu, &mut rng, false).await;
                stage.pause(ms(20, 400)).await;
            }
        }
        close(client).await;
    }
}

/// The same for clients who may be told anything: not even their root can be relied on,
/// and a client that ends is followed by another.
async fn bear(stage: &Stage, root: &str) {
    let mut rng = stage.rng("garbled");
    while stage.goes_on() {
        let settings = builder(stage);
        let (recorder, sim) = (stage.recorder(), stage.sim());
        let Ok(client) = RecordedClient::connect(settings, recorder, sim).await else {
            stage.pause(ms(50, 300)).await;
            continue;
        };
        let mut menu = Menu::new(root, stage.host());
        // Who was told of a session timeout of weeks waits that long for a sign of life.
        while stage.goes_on() && round(stage, &client, &mut menu, &mut rng, true).await {
            stage.pause(ms(10, 200)).await;
        }
        close(client).await;
    }
}

/// Some calls at once, and their answers; whether there was one.
async fn round(
    stage: &Stage,
    client: &RecordedClient,
    menu: &mut Menu,
    rng: &mut EnvRng,
    bears_anything: bool,
) -> bool {
    let mut is_answered = false;
    let calls: Vec<_> = (0..=rng.below(PIPELINE))
        .map(|_| {
            let choice = match Choice::draw(rng) {
                // The caller is not told which path was synced: recorded is the one asked
                // for, which need not be the one that arrived.
                Choice::Sync if bears_anything => Choice::Exists,
                // Credentials overtake what waits for a commit, and the replay goes by the
                // order on the wire.
                Choice::AddAuth if stage.has_ensemble() => Choice::Exists,
                choice => choice,
            };
            (choice, menu.call(client, choice, rng))
        })
        .collect();
    for (choice, call) in calls {
        let answer = call.await;
        if is_answer(&answer) {
            is_answered = true;
            stage.progress("answer");
        }
        if let Err(error) = answer
            && !bears_anything
        {
            bears(stage, &format!("{choice:?}"), &error);
        }
    }
    menu.listen();
    is_answered
}
