//! Three peers in this process; the leader is killed, the others elect another, and the
//! client's session goes on there. What happened when, in milliseconds.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use zk_client::{Client, CreateMode, RetryPolicy};
use zk_server::Ensemble;

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "shows how long it takes")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let ensemble = Ensemble::start(3).await?;
    let leader = ensemble.wait_for_leader().await?;
    println!("{:?}: three peers serve, {leader} leads", began.elapsed());

    // The leader's clients are the ones that lose most: be one of them.
    let at_leader = ensemble.peer(leader).connect_string();
    let client = Client::builder(&format!("{at_leader},{}", ensemble.connect_string()))
        .shuffle(false)
        .reconnect_backoff(Duration::from_millis(5), Duration::from_millis(100))
        .connect()
        .await?;
    let here = client.create("/here", b"", CreateMode::Ephemeral).await?;
    println!("session {} has the ephemeral {here}", client.session_id());

    let killed = Instant::now();
    let mut timeline = JoinSet::new();
    for id in ensemble.peer_ids().into_iter().filter(|id| *id != leader) {
        let mut changes = ensemble.peer(id).status_changes();
        timeline.spawn(async move {
            while changes.changed().await.is_ok() {
                let now = *changes.borrow_and_update();
                let serves = if now.is_serving { ", serves" } else { "" };
                println!("{:?}: peer {id} {:?}{serves}", killed.elapsed(), now.state);
            }
        });
    }
    let mut states = client.state();
    timeline.spawn(async move {
        while states.changed().await.is_ok() {
            let now = *states.borrow_and_update();
            println!("{:?}: client {now:?}", killed.elapsed());
        }
    });
    println!("{:?}: peer {leader} is killed", killed.elapsed());
    ensemble.kill(leader);

    let policy = RetryPolicy::new(1000).for_idempotent();
    let patient = client.retrying(policy);
    let written = patient.run(|client| client.set_data(&here, b"still", None));
    let stat = written.await?;
    println!("{:?}: {here} was written again", killed.elapsed());
    assert_eq!(stat.ephemeral_owner, client.session_id());

    ensemble.restart(leader).await?;
    ensemble.wait_until_serving().await?;
    println!("{:?}: all three serve again", killed.elapsed());
    timeline.shutdown().await;
    client.close().await?;
    ensemble.stop_all().await;
    Ok(())
}
