//! Clients of a server that lies, stalls or speaks nonsense (C07, C08, C10–C12, C14, C19,
//! C25, C28–C30, C38): no call stays open, nothing false is believed, nobody panics.

mod answers;
mod scripts;
mod server;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use zk_client::{
    Client, ClientBuilder, CreateMode, Error, OpResult, ReadResult, SessionState, Watcher,
};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{builder_for, ms};
use crate::runner::{Stage, Workload};

const SERVER: &str = "liars-server";
const CLIENT: &str = "liars-client";
/// What honest answers hold.
const TRUTH: &str = "truth";
/// Longer than any call may stay open.
const FOREVER: Duration = Duration::from_secs(60);
/// How long a call waits.
const DEADLINE: Duration = Duration::from_secs(4);

/// A lying server and its client. The calls are not recorded: no log could tell
/// whether the answers are right.
#[derive(Debug)]
pub(super) struct Liars;

impl Workload for Liars {
    fn name(&self) -> &'static str {
        "liars"
    }

    fn hosts(&self) -> Vec<String> {
        vec![SERVER.to_owned(), CLIENT.to_owned()]
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        if stage.host() == SERVER {
            Box::pin(server::serve(Arc::new(stage)))
        } else {
            Box::pin(async move { believe(&stage).await })
        }
    }
}

/// One client after the other, each for a while.
async fn believe(stage: &Stage) {
    let mut rng = stage.rng("liars");
    while stage.goes_on() {
        let settings = settings(stage, &mut rng);
        let Some(connected) = in_time(stage, "connect", settings.connect()).await else {
            return;
        };
        if let Ok(client) = connected {
            let patience = rng.below(30);
            for _ in 0..patience {
                if !stage.goes_on() || is_over(&client) {
                    break;
                }
                round(stage, &client, &mut rng).await;
                stage.pause(ms(10, 400)).await;
            }
            if rng.below(2) == 0 {
                drop(in_time(stage, "close", client.close()).await);
            }
        }
        stage.progress("client");
        stage.pause(ms(10, 500)).await;
    }
}

fn settings(stage: &Stage, rng: &mut EnvRng) -> ClientBuilder {
    let builder = builder_for(stage, &format!("{SERVER}:2181"))
        .session_timeout(Duration::from_millis(1_000 + rng.below(3_000)))
        .connect_deadline(DEADLINE)
        .operation_deadline(DEADLINE)
        .reply_limit(64 * 1024)
        .allow_read_only(rng.below(2) == 0)
        .new_session_after_expiry(rng.below(4) != 0);
    if rng.below(4) == 0 {
        builder.auth("digest", "liar:secret")
    } else {
        builder
    }
}

fn is_over(client: &Client) -> bool {
    matches!(
        *client.state().borrow(),
        SessionState::Closed | SessionState::AuthFailed
    )
}

/// The call's end, which must come.
async fn in_time<T>(stage: &Stage, what: &str, call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        ended = call => Some(ended),
        () = stage.pause(FOREVER..FOREVER + Duration::from_secs(1)) => {
            stage.fail(format!("{what} has not ended after {FOREVER:?}"));
            None
        }
    }
}

/// A few calls at once.
async fn round(stage: &Stage, client: &Client, rng: &mut EnvRng) {
    let watcher = Watcher::with_capacity(8);
    let calls: Vec<_> = (0..1 + rng.below(5))
        .map(|_| call(client, &watcher, rng))
        .collect();
    let was_read_only = is_read_only(client);
    for call in calls {
        match in_time(stage, "call", call).await {
            Some(Ok(Told::False(what))) => stage.fail(format!("believed: {what}")),
            Some(Ok(Told::Written)) if was_read_only && is_read_only(client) => {
                stage.fail("a write was answered by a read-only server");
            }
            Some(Ok(Told::Written | Told::True)) => stage.progress("call"),
            Some(Err(_)) => stage.progress("call"),
            None => return,
        }
    }
    while watcher.try_next().is_some() {}
}

fn is_read_only(client: &Client) -> bool {
    matches!(
        *client.state().borrow(),
        SessionState::ConnectedReadOnly { .. }
    )
}

/// What came of a call.
enum Told {
    True,
    Written,
    False(String),
}

fn truth(data: &[u8]) -> Told {
    if data == TRUTH.as_bytes() {
        Told::True
    } else {
        Told::False(format!("{data:?}"))
    }
}

fn call(client: &Client, watcher: &Watcher, rng: &mut EnvRng) -> BoxFuture<Result<Told, Error>> {
    let path = "/some/znode";
    match rng.below(7) {
        0 => {
            let reply = client.set_data(path, TRUTH, None);
            Box::pin(async move { reply.await.map(|_| Told::Written) })
        }
        1 => {
            let reply = client.create(path, TRUTH, CreateMode::Ephemeral);
            Box::pin(async move {
                let created = reply.await?;
                Ok(if created == path {
                    Told::Written
                } else {
                    Told::False(created)
                })
            })
        }
        2 => {
            let commit = client
                .transaction()
                .check(path, None)
                .set_data(path, TRUTH, None)
                .commit();
            Box::pin(async move { commit.await.map(|results| committed(&results)) })
        }
        3 => {
            let reply = client.multi_read().get_data(path).get_data(path).send();
            Box::pin(async move { reply.await.map(|results| read(&results)) })
        }
        4 => {
            let reply = client.get_children(path, watcher);
            Box::pin(async move {
                let children = reply.await?;
                Ok(if children == [TRUTH] {
                    Told::True
                } else {
                    Told::False(format!("{children:?}"))
                })
            })
        }
        _ => {
            let reply = client.get_data(path, watcher);
            Box::pin(async move { reply.await.map(|(data, _)| truth(&data)) })
        }
    }
}

fn committed(results: &[OpResult]) -> Told {
    match results {
        [OpResult::Check, OpResult::SetData(_)] => Told::Written,
        other => Told::False(format!("{other:?}")),
    }
}

fn read(results: &[ReadResult]) -> Told {
    match results {
        [ReadResult::Data(first, _), ReadResult::Data(second, _)] => match truth(first) {
            Told::True => truth(second),
            told => told,
        },
        other => Told::False(format!("{other:?}")),
    }
}
