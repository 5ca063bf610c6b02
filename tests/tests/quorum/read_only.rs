//! A member that has lost the others serves readers.

use std::time::Duration;

use zk_client::{Client, ConnectError, CreateMode, Error, SessionState};
use zk_env::TokioEnv;
use zk_server::{PeerState, QuorumPeer, four_letter_word};

use crate::trio::{Trio, eventually};

async fn is_read_only(peer: &QuorumPeer) -> String {
    let limit = Duration::from_secs(1);
    let env = TokioEnv::new();
    let answer = four_letter_word(&*env, peer.client_addr(), "isro", limit);
    answer.await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_served_until_there_is_a_leader_again() {
    let trio = Trio::start(&[("readonlymode.enabled", "true")]).await;
    trio.wait_until_all_serve().await;
    let writer = Client::connect(&trio.connect_string())
        .await
        .expect("a session");
    let create = writer.create("/a", b"data", CreateMode::Ephemeral);
    create.await.expect("created");
    trio.wait_until_equal().await;
    let session = writer.session_id();
    for id in [1, 2] {
        trio.peer(id).kill();
    }
    let left = trio.peer(3);
    eventually(async || left.status().state == PeerState::Looking).await;
    eventually(async || is_read_only(left).await == "ro").await;

    let hosts = left.connect_string();
    let refused = Client::builder(&hosts)
        .connect_deadline(Duration::from_millis(500))
        .connect();
    let error = refused.await.expect_err("not for everybody");
    assert!(matches!(error, ConnectError::NoServer { .. }), "{error:?}");

    let reader = Client::builder(&trio.connect_string())
        .allow_read_only(true)
        .connect_deadline(Duration::from_secs(10))
        .connect();
    let reader = reader.await.expect("served");
    assert!(matches!(
        *reader.state().borrow(),
        SessionState::ConnectedReadOnly { .. }
    ));
    let (data, _) = reader.get_data("/a", None).await.expect("read");
    assert_eq!(&data[..], b"data");
    let create = reader.create("/b", b"", CreateMode::Persistent).await;
    assert!(matches!(create, Err(Error::ReadOnly)), "{create:?}");
    let sync = reader.sync("/").await;
    assert!(matches!(sync, Err(Error::ReadOnly)), "{sync:?}");

    for id in [1, 2] {
        trio.peer(id).restart().await.expect("restarted");
    }
    trio.wait_until_all_serve().await;
    assert_eq!(is_read_only(left).await, "rw");
    eventually(async || {
        let create = reader.create("/b", b"", CreateMode::Persistent).await;
        create.is_ok() || reader.exists("/b", None).await.is_ok_and(|b| b.is_some())
    })
    .await;
    eventually(async || writer.exists("/a", None).await.is_ok_and(|a| a.is_some())).await;
    assert_eq!(
        writer.session_id(),
        session,
        "kept alive by nobody, ended by nobody"
    );
    trio.wait_until_equal().await;
    let _ = writer.close().await;
    let _ = reader.close().await;
}
