//! One run: a server, some clients at work, faults, and then peace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk_client::{Client, CreateMode};
use zk_env::Env;
use zk_server::{Server, ServerConfig};
use zk_sim::{Sim, runtime};

use crate::faults;
use crate::worker::{self, Tally};

pub(crate) const SERVER: &str = "server";
pub(crate) const CLIENTS: [&str; 3] = ["ann", "bob", "eve"];
/// Longer than any fault, so that every session survives.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Slow enough that a fault finds something on its way.
const LATENCY: Duration = Duration::from_millis(20);

/// What a run amounts to; two of the same seed are equal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Over every delivery on the network.
    pub(crate) trace: u64,
    pub(crate) deliveries: u64,
    /// What clients were told, fault by fault and answer by answer, with the time.
    pub(crate) journal: Vec<String>,
    tallies: Vec<Tally>,
    end: Duration,
}

impl Run {
    /// Faults struck while calls were on their way, or there is nothing to compare.
    pub(crate) fn assert_worth_comparing(&self) {
        let sum = |count: fn(&Tally) -> usize| self.tallies.iter().map(count).sum::<usize>();
        assert!(sum(|tally| tally.applied) > 500, "{:?}", self.tallies);
        assert!(sum(|tally| tally.unknown) > 0, "{:?}", self.tallies);
        assert!(self.tallies.iter().all(|tally| tally.reconnects > 0));
    }
}

/// The journal of one run.
#[derive(Clone)]
pub(crate) struct Journal {
    lines: Arc<Mutex<Vec<String>>>,
    env: Arc<dyn Env>,
}

impl Journal {
    fn new(env: Arc<dyn Env>) -> Self {
        Self {
            lines: Arc::default(),
            env,
        }
    }

    pub(crate) fn note(&self, who: &str, what: impl std::fmt::Display) {
        let now = self.env.now().since_origin();
        let line = format!("{now:?} {who}: {what}");
        self.lines.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

pub(crate) fn run(seed: u64) -> Run {
    let runtime = runtime(seed).expect("tokio's choices can be seeded (.cargo/config.toml)");
    runtime.block_on(play(seed))
}

async fn play(seed: u64) -> Run {
    let net = Sim::new(seed);
    net.set_latency(LATENCY, LATENCY);
    let env = net.env("stage");
    let journal = Journal::new(Arc::clone(&env));
    let server = start(&net).await;

    let mut clients = Vec::new();
    for name in CLIENTS {
        clients.push(connect(&net, name).await);
    }
    let working: Vec<_> = clients
        .iter()
        .zip(CLIENTS)
        .map(|(client, name)| worker::start(client, name, &journal))
        .collect();
    faults::strike(&net, &server, &clients, &*env, &journal).await;

    let mut tallies = Vec::new();
    for worker in working {
        tallies.push(worker.finish().await);
    }
    for ((client, tally), name) in clients.iter().zip(&tallies).zip(CLIENTS) {
        tally.assert_true_of(client, &format!("/{name}")).await;
    }
    for client in &clients {
        client.close().await.expect("the network is sound again");
    }
    server.stop().await;
    Run {
        trace: net.trace(),
        deliveries: net.deliveries(),
        journal: journal.take(),
        tallies,
        end: env.now().since_origin(),
    }
}

async fn start(net: &Sim) -> Server {
    let config = ServerConfig::embedded()
        .client_addr("0.0.0.0:2181".parse().expect("an address"))
        .max_session_timeout(SESSION_TIMEOUT)
        .build()
        .expect("values that fit");
    let server = Server::builder().config(config).env(net.env(SERVER));
    server.start().await.expect("a free port")
}

async fn connect(net: &Sim, name: &str) -> Client {
    let client = Client::builder(&format!("{SERVER}:2181"))
        .env(net.env(name))
        .session_timeout(SESSION_TIMEOUT)
        .connect()
        .await
        .expect("the network is sound");
    assert_eq!(client.session_timeout(), SESSION_TIMEOUT);
    let created = client.create(&format!("/{name}"), b"", CreateMode::Persistent);
    created.await.expect("nobody else is called so");
    client
}
