//! Members of an ensemble in one process, over TCP.

mod trio;

use std::time::Instant;

use trio::{Trio, eventually};
use zk_client::{Client, CreateMode};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_peers_agree_on_a_leader_and_on_what_is_written() {
    let trio = Trio::start(3).await;
    trio.wait_until_all_serve().await;
    let client = Client::connect(&trio.connect_string())
        .await
        .expect("a session");
    for i in 0..20 {
        let path = format!("/a{i}");
        client
            .create(&path, b"data", CreateMode::Persistent)
            .await
            .expect("created");
    }
    for id in 1..=3 {
        let other = Client::connect(&trio.peer(id).connect_string())
            .await
            .expect("a session");
        other.sync("/").await.expect("synced");
        let children = other.get_children("/", None).await.expect("read");
        assert_eq!(children.len(), 21, "server {id}");
        other
            .set_data("/a0", format!("by {id}").as_bytes(), None)
            .await
            .expect("written");
        let _ = other.close().await;
    }
    trio.wait_until_equal().await;
    let _ = client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_the_leader() {
    let trio = Trio::start(3).await;
    trio.wait_until_all_serve().await;
    let client = Client::connect(&trio.connect_string())
        .await
        .expect("a session");
    client
        .create("/me", b"", CreateMode::Ephemeral)
        .await
        .expect("created");
    let session = client.session_id();
    for round in 0..5 {
        let leader = trio.leader().await;
        trio.peer(leader).kill();
        let killed = Instant::now();
        let path = format!("/after-{round}");
        eventually(async || {
            let created = client.create(&path, b"", CreateMode::Persistent).await;
            created.is_ok()
                || client
                    .exists(&path, None)
                    .await
                    .is_ok_and(|stat| stat.is_some())
        })
        .await;
        println!("first write {:?} after the kill", killed.elapsed());
        assert_eq!(client.session_id(), session);
        assert!(client.exists("/me", None).await.expect("read").is_some());
        trio.peer(leader).restart().await.expect("restarted");
        trio.wait_until_all_serve().await;
        trio.wait_until_equal().await;
    }
    let _ = client.close().await;
}
