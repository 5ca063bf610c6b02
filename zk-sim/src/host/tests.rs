//! Hosts as their users see them, by subject.

mod clocks;
mod kill;
mod pause;
mod tasks;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk_env::{BoxStream, accept, sleep_until};

use crate::{Host, Sim, runtime};

const SECOND: Duration = Duration::from_secs(1);

fn run<F: Future>(seed: u64, test: impl FnOnce(Sim) -> F) -> F::Output {
    runtime(seed)
        .unwrap()
        .block_on(async { test(Sim::new(seed)).await })
}

/// On the host's own clock.
async fn sleep(host: &Host, time: Duration) {
    let env = host.env();
    sleep_until(&mut *env.timer(), env.now() + time).await;
}

/// On no host's clock.
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What tasks tell a test, and when by simulated time.
#[derive(Clone)]
struct Diary {
    sim: Sim,
    lines: Arc<Mutex<Vec<(Duration, &'static str)>>>,
}

impl Diary {
    fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            lines: Arc::default(),
        }
    }

    fn note(&self, line: &'static str) {
        self.lines.lock().unwrap().push((self.sim.elapsed(), line));
    }

    fn lines(&self) -> Vec<(Duration, &'static str)> {
        self.lines.lock().unwrap().clone()
    }
}

/// A connection from `client` to `server`.
async fn connect(client: &Host, server: &Host) -> (BoxStream, BoxStream) {
    let mut listener = server
        .env()
        .bind("0.0.0.0:7".parse().unwrap())
        .await
        .unwrap();
    let address = client.env().resolve(server.name(), 7).await.unwrap()[0];
    let near = client.env().connect(address).await.unwrap();
    let (far, _) = accept(&mut *listener).await.unwrap();
    (near, far)
}
