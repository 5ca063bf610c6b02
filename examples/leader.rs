//! Three services, one leader. It dies; the next one leads as soon as the server has given the
//! dead one's session up, and no sooner.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zk_client::{Client, CreateMode};
use zk_examples::{Line, Target};
use zk_recipes::{FencingToken, LeaderLatch};

const SESSION: Duration = Duration::from_secs(1);

type Led = (&'static str, FencingToken);

/// A service: works while it leads, and is stopped when that is in doubt.
async fn serve(latch: LeaderLatch, name: &'static str, led: mpsc::Sender<Led>) {
    let ended = latch.lead(async |term| {
        let _ = led.send((name, term.fencing_token())).await;
        std::future::pending::<()>().await // the work of a leader
    });
    println!("{name}: {:?}", ended.await);
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "shows how long it takes")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let observer = Client::connect(&target.connect_string).await?;
    let mode = CreateMode::PersistentSequential;
    let election = observer.create("/example-leader-", b"", mode).await?;

    let (leads, mut led) = mpsc::channel(3);
    let (mut services, mut lines) = (JoinSet::new(), BTreeMap::new());
    for name in ["ann", "bob", "eve"] {
        let line = Line::to(&target.connect_string).await?;
        let builder = Client::builder(line.connect_string()).session_timeout(SESSION);
        let latch = LeaderLatch::builder(&builder.connect().await?, &election);
        services.spawn(serve(latch.id(name).build()?, name, leads.clone()));
        lines.insert(name, line);
    }
    let (first, token) = led.recv().await.ok_or("nobody leads")?;
    println!("{first} leads, with token {token}");

    println!("{first} is cut off for good, with a session of {SESSION:?}");
    let cut = Instant::now();
    lines.remove(first);
    let (next, higher) = led.recv().await.ok_or("nobody leads")?;
    let gap = cut.elapsed().as_millis();
    println!("{next} leads, with token {higher}, {gap} ms later");
    assert!(higher > token, "tokens rise from leader to leader");

    services.shutdown().await;
    observer.delete_all(&election).await?;
    observer.close().await?;
    Ok(())
}
