//! Recipes in simulation: machines that stall and sleep, sessions that expire, links that
//! break, from a seed.
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

mod counter;
mod double_barrier;
mod handover;
mod invariants;
mod queue;
mod read_write;
mod round_trips;
mod semaphore;
mod stalls;
mod torture;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;
use zk_env::{Env, sleep_until};
use zk_server::{Server, ServerConfig};
use zk_sim::Sim;

const SERVER: &str = "server";
const LOCK: &str = "/locks/l";
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
const LATENCY: Duration = Duration::from_millis(5);

/// Plays on a runtime and a network made from the seed.
fn simulate<F: Future<Output = ()>>(seed: u64, play: impl FnOnce(Sim) -> F) {
    let runtime =
        zk_sim::runtime(seed).expect("tokio's choices can be seeded (.cargo/config.toml)");
    runtime.block_on(async {
        let sim = Sim::new(seed);
        sim.set_latency(LATENCY, LATENCY);
        play(sim).await;
    });
}

async fn start_server(sim: &Sim) -> Server {
    let config = ServerConfig::embedded()
        .client_addr("0.0.0.0:2181".parse().unwrap())
        .tick_time(Duration::from_secs(1))
        .build()
        .unwrap();
    let server = Server::builder().config(config).env(sim.env(SERVER));
    server.start().await.unwrap()
}

async fn connect(sim: &Sim, host: &str) -> Client {
    let builder = Client::builder(&format!("{SERVER}:2181")).env(sim.env(host));
    let client = builder.session_timeout(SESSION_TIMEOUT).connect().await;
    client.unwrap()
}

async fn pause(env: &Arc<dyn Env>, pause: Duration) {
    sleep_until(&mut *env.timer(), env.now() + pause).await;
}
