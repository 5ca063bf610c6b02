//! Chroots side by side, of one session, with names that begin alike (C35).

use zk_client::{CreateMode, Error, EventType};
use zk_env::BoxFuture;

use super::clients::{bears, builder, close, connect, establish, hosts, ms, settle};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// The chroots; one name is the beginning of another, and one lies inside another.
const ROOTS: [&str; 3] = ["/app", "/apple", "/app/le"];

/// A worker in several chroots at once.
#[derive(Debug)]
pub(super) struct Chroots;

impl Workload for Chroots {
    fn name(&self) -> &'static str {
        "chroots"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("chroots", 1)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move { work(&stage).await })
    }
}

async fn work(stage: &Stage) {
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    for root in ROOTS {
        establish(stage, &client, root).await;
    }
    let rooted: Result<Vec<_>, _> = ROOTS.iter().map(|root| client.chroot(root)).collect();
    match rooted {
        Ok(rooted) => {
            while stage.goes_on() {
                for (rooted, root) in rooted.iter().zip(ROOTS) {
                    match visit(stage, rooted, &client, root).await {
                        Ok(()) => stage.progress("visit"),
                        Err(error) => {
                            bears(stage, root, &error);
                        }
                    }
                }
                stage.pause(ms(50, 500)).await;
            }
        }
        Err(error) => stage.fail(format!("{ROOTS:?}: {error}")),
    }
    close(client).await;
}

/// Creates, watches, changes and deletes in a chroot; names are those seen inside, and
/// the server has them below the chroot.
async fn visit(
    stage: &Stage,
    inside: &RecordedClient,
    outside: &RecordedClient,
    root: &str,
) -> Result<(), Error> {
    let watcher = inside.watcher(8);
    let mode = CreateMode::EphemeralSequential;
    let path = inside.create("/visit-", b"inside", mode).await?;
    expect(stage, root, path.starts_with("/visit-"), &path);
    inside.get_data(&path, Some(&watcher)).await?;
    let whole = format!("{root}{path}");
    let (data, _) = outside.get_data(&whole, None).await?;
    expect(stage, root, data == "inside", &whole);
    let names = inside.get_children("/", None).await?;
    expect(stage, root, names.contains(&path[1..].to_owned()), &path);
    outside.set_data(&whole, b"outside", None).await?;
    // The event came before this answer.
    inside.exists(&path, None).await?;
    if let Some(event) = watcher.try_next()
        && event.event_type != EventType::None
    {
        expect(stage, root, event.path == path, &event.path);
    }
    settle(stage, &path, inside.delete(&path, None).await);
    stage
        .env()
        .probe()
        .reached("workload: chroots side by side");
    Ok(())
}

fn expect(stage: &Stage, root: &str, is_so: bool, what: &str) {
    if !is_so {
        stage.fail(format!("in the chroot {root}: {what}"));
    }
}
