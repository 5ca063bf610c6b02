//! Every failpoint of client and server acting often: what is legal but unlikely
//! breaks no promise.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use zk_client::{Client, CreateMode, Error, GuaranteedDelete, Outcome, SessionState, Watcher};
use zk_env::{Env, Probe, ProbedEnv, ScriptedProbe};
use zk_server::{Server, ServerConfig};
use zk_sim::{Sim, runtime};

const SEEDS: std::ops::Range<u64> = 0..12;
const ROUNDS: usize = 25;
const PIPELINE: usize = 8;
/// A session that no failpoint lets expire.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
const CHANCE: f64 = 0.05;

#[test]
fn the_unlikely_breaks_no_promise() {
    let mut fired = BTreeSet::new();
    for seed in SEEDS {
        let runtime = runtime(seed).expect("tokio's choices can be seeded (.cargo/config.toml)");
        fired.extend(runtime.block_on(play(seed)));
    }
    let of_client: Vec<_> = fired
        .into_iter()
        .filter(|point| point.starts_with("client: "))
        .collect();
    let expected = [
        "client: SetWatches in small chunks",
        "client: end the turn after one read",
        "client: forget what the server knows",
        "client: give up an attempt early",
        "client: leave for another server",
        "client: look at the time early",
        "client: lose patience with the server",
        "client: own frames in a write of their own",
        "client: ping early",
        "client: queue found full",
        "client: read few bytes",
        "client: reaper waits",
        "client: reconnect at once",
        "client: reconnect late",
        "client: send nothing while answers are due",
        "client: skip a server",
        "client: write few bytes",
        "client: yield before writing",
    ];
    assert_eq!(of_client, expected);
}

/// What has acted in one run.
async fn play(seed: u64) -> BTreeSet<&'static str> {
    let net = Sim::new(seed);
    let probe = Arc::new(ScriptedProbe::firing(CHANCE, seed));
    let env = |host: &str| -> Arc<dyn Env> {
        let probe = Probe::new(Arc::<ScriptedProbe>::clone(&probe));
        ProbedEnv::new(net.env(host), probe)
    };
    let config = ServerConfig::embedded()
        .client_addr("0.0.0.0:2181".parse().expect("an address"))
        .build()
        .expect("values that fit");
    let server = Server::builder().config(config).env(env("server"));
    let server = server.start().await.expect("a free port");
    let clients = join_all(["ann", "bob"].map(|name| {
        let client = Client::builder("server:2181")
            .env(env(name))
            .session_timeout(SESSION_TIMEOUT);
        async move { client.connect().await.expect("the server is there") }
    }));
    let clients = clients.await;
    let work = clients.iter().zip(["/ann", "/bob"]);
    join_all(work.map(|(client, path)| work_at(client, path))).await;
    for client in &clients {
        assert_eq!(client.epoch().number(), 1, "the session survived");
        client.close().await.expect("the server is there");
    }
    server.stop().await;
    probe.fired()
}

/// Writes in pipelines, and is told the truth about each.
async fn work_at(client: &Client, path: &str) {
    let watcher = Watcher::new();
    insist(client, || client.create(path, b"", CreateMode::Persistent)).await;
    let (mut applied, mut unknown) = (0, 0);
    for round in 0..ROUNDS {
        let watched = client.get_data(path, &watcher);
        let elsewhere = client.exists(&format!("{path}/{round}"), &watcher);
        let writes: Vec<_> = (0..PIPELINE)
            .map(|_| client.set_data(path, b"x", None))
            .collect();
        let mut last = 0;
        for answer in join_all(writes).await {
            match answer {
                Ok(stat) => {
                    assert!(stat.version > last, "answered in order");
                    last = stat.version;
                    applied += 1;
                }
                Err(error) => match error.outcome() {
                    Outcome::Unknown => unknown += 1,
                    Outcome::NotApplied => {}
                    Outcome::Applied => panic!("{error}"),
                },
            }
        }
        let (seen, _) = (watched.await, elsewhere.await);
        let heard = watcher.try_next().is_some();
        assert!(heard || seen.is_err() || last == 0, "of one's own write");
        while watcher.try_next().is_some() {}
        let who = insist(client, || {
            client.create2(&format!("{path}-{round}"), b"", CreateMode::Persistent)
        });
        who.await;
        client.guaranteed_delete(GuaranteedDelete::path(format!("{path}-{round}")));
    }
    while client.guaranteed_deletes() > 0 {
        insist(client, || client.sync("/")).await;
    }
    let stat = insist(client, || client.exists(path, None)).await;
    let written = stat.flatten().expect("nobody deletes it").version;
    assert!(
        (applied..=applied + unknown).contains(&written),
        "{applied} + {unknown}: {written}"
    );
    let left = insist(client, || client.get_children("/", None)).await;
    let orphans: Vec<_> = left
        .iter()
        .flatten()
        .filter(|name| name.contains('-'))
        .collect();
    let ours = orphans.iter().filter(|name| name.starts_with(&path[1..]));
    assert_eq!(ours.count(), 0, "{orphans:?}");
}

/// Calls until there is an answer; `None` if an earlier attempt has been applied.
async fn insist<T, F>(client: &Client, call: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match call().await {
            Ok(value) => return Some(value),
            Err(Error::Server { .. }) => return None,
            Err(_) => {
                let mut state = client.state();
                let connected = state.wait_for(SessionState::is_connected).await;
                connected.expect("the client is open");
            }
        }
    }
}
