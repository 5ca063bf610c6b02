//! Many clients that do next to nothing, and all come back when they can (C16, S07).

use zk_client::CreateMode;
use zk_env::BoxFuture;

use super::clients::{bears, builder, close, connect, establish, hosts, is_answer, ms};
use crate::runner::{Stage, Workload};

/// Hosts with many clients each.
const WORKERS: usize = 2;
/// Clients of a host, usually and in one seed of sixteen.
const CLIENTS: (usize, usize) = (15, 600);
const ROOT: &str = "/idle";

/// Hosts full of clients.
#[derive(Debug)]
pub(super) struct Idle;

impl Workload for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("idle", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let is_crowd = stage.rng("idle").below(16) == 0;
        let count = if is_crowd { CLIENTS.1 } else { CLIENTS.0 };
        if is_crowd {
            stage.env().probe().reached("workload: crowd of clients");
        }
        Box::pin(async move {
            let lives = (0..count).map(|n| live(&stage, n));
            futures_util::future::join_all(lives).await;
        })
    }
}

/// A session with an ephemeral, looked at every now and then.
async fn live(stage: &Stage, n: usize) {
    stage.pause(ms(0, 1_000)).await;
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        let path = format!("{ROOT}/{}-{n}", stage.host());
        let who = format!("client {n}");
        while stage.goes_on() {
            let answer = client.create(&path, b"", CreateMode::Ephemeral).await;
            if is_answer(&answer) {
                stage.progress(&who);
            }
            if let Err(error) = answer {
                bears(stage, &path, &error);
            }
            tokio::select! {
                biased;
                () = stage.over() => {}
                () = stage.pause(ms(4_000, 15_000)) => {}
            }
        }
    }
    close(client).await;
}
