//! `reconfig` on a running ensemble.

use std::collections::BTreeSet;

use zk_client::{Client, CreateMode, ErrorCode, Reconfig};
use zk_server::{Ensemble, ServerConfig};
use zk_tests::wait::{eventually, within};

async fn ensemble(voters: usize) -> Ensemble {
    let config = ServerConfig::embedded()
        .reconfig(true)
        .skip_acl(true)
        .build()
        .expect("a configuration");
    let started = Ensemble::builder().voters(voters).config(config).start();
    within("the ensemble starts", started)
        .await
        .expect("started")
}

async fn client(ensemble: &Ensemble) -> Client {
    within("a session", Client::connect(&ensemble.connect_string()))
        .await
        .expect("connected")
}

fn joining(lines: &[String]) -> Reconfig {
    Reconfig::Incremental {
        joining: lines.to_vec(),
        leaving: Vec::new(),
    }
}

fn leaving(ids: &[i64]) -> Reconfig {
    Reconfig::Incremental {
        joining: Vec::new(),
        leaving: ids.iter().map(i64::to_string).collect(),
    }
}

async fn write(client: &Client, path: &str) {
    eventually("a write is acknowledged", async || {
        match client.create(path, b"", CreateMode::Persistent).await {
            Ok(_) => true,
            Err(error) => error.code() == Some(ErrorCode::NodeExists),
        }
    })
    .await;
}

async fn equal_trees(ensemble: &Ensemble, ids: &[i64]) {
    eventually("all trees are equal", async || {
        let digests: BTreeSet<_> = ids
            .iter()
            .map(|id| ensemble.peer(*id).tree_digest())
            .collect();
        digests.len() == 1
    })
    .await;
}

fn members(config: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(config).into_owned();
    let mut lines: Vec<_> = text
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_grow_to_five_and_two_may_die_then() {
    let mut ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    write(&client, "/before").await;
    for id in [4, 5] {
        let added = within("one more peer", ensemble.add_peer()).await;
        assert_eq!(added.expect("added"), id);
        let line = ensemble.server_line(id);
        let reconfigured = client.reconfig(&joining(&[line]), None);
        let (config, stat) = within("a reconfiguration", reconfigured)
            .await
            .expect("reconfigured");
        assert!(members(&config).contains(&format!("server.{id}")));
        let version = format!("version={:x}", stat.mzxid.0);
        assert!(String::from_utf8_lossy(&config).ends_with(&version));
        write(&client, &format!("/with-{id}")).await;
    }
    equal_trees(&ensemble, &[1, 2, 3, 4, 5]).await;
    let first = within("a leader dies", ensemble.kill_leader()).await;
    let first = first.expect("a leader");
    write(&client, "/one-less").await;
    let second = within("another dies", ensemble.kill_leader()).await;
    let second = second.expect("another leader");
    write(&client, "/two-less").await;
    let (config, _) = client.get_config(None).await.expect("the configuration");
    assert_eq!(members(&config).len(), 6, "five servers and the version");
    for id in [first, second] {
        within("it comes back", ensemble.restart(id))
            .await
            .expect("restarted");
    }
    equal_trees(&ensemble, &[1, 2, 3, 4, 5]).await;
    // Whoever starts anew knows that it is five: two of the first three are not needed.
    within("all start anew", ensemble.restart_all())
        .await
        .expect("restarted");
    ensemble.kill(1);
    ensemble.kill(3);
    write(&client, "/without-two-of-the-first").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_can_be_removed_and_another_leads_on() {
    let ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    write(&client, "/before").await;
    let old = ensemble.leader().expect("a leader");
    let reconfigured = client.reconfig(&leaving(&[old]), None);
    // The connection to a leader that leaves may end before the answer.
    let _ = within("a reconfiguration", reconfigured).await;
    let others: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != old).collect();
    let leader = ensemble.wait_for_leader_among(&others);
    within("another leader", leader).await.expect("a leader");
    write(&client, "/after").await;
    ensemble.kill(old);
    write(&client, "/without").await;
    equal_trees(&ensemble, &others).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_server_that_starts_anew_follows_on_and_can_come_back() {
    let ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    write(&client, "/before").await;
    // The lowest id: all others dial it, so it has to listen.
    let line = ensemble.server_line(1);
    let _ = within("a reconfiguration", client.reconfig(&leaving(&[1]), None)).await;
    write(&client, "/without").await;
    within("it starts anew", ensemble.restart(1))
        .await
        .expect("restarted");
    equal_trees(&ensemble, &[1, 2, 3]).await;
    eventually("it is a member again", async || {
        client
            .reconfig(&joining(std::slice::from_ref(&line)), None)
            .await
            .is_ok()
    })
    .await;
    write(&client, "/again").await;
    equal_trees(&ensemble, &[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused() {
    let ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    let code = |result: Result<(bytes::Bytes, zk_client::Stat), zk_client::Error>| match result {
        Ok((config, _)) => panic!("reconfigured: {}", String::from_utf8_lossy(&config)),
        Err(error) => error.code(),
    };
    let no_quorum = client.reconfig(
        &joining(&[
            "server.7=127.0.0.1:1:2:participant;127.0.0.1:3".to_owned(),
            "server.8=127.0.0.1:4:5:participant;127.0.0.1:6".to_owned(),
            "server.9=127.0.0.1:7:8:participant;127.0.0.1:9".to_owned(),
        ]),
        None,
    );
    assert_eq!(code(no_quorum.await), Some(ErrorCode::NewConfigNoQuorum));
    let nobody = client.reconfig(&leaving(&[1, 2, 3]), None).await;
    assert_eq!(code(nobody), Some(ErrorCode::BadArguments));
    let nonsense = client.reconfig(&joining(&["server.4".to_owned()]), None);
    assert_eq!(code(nonsense.await), Some(ErrorCode::BadArguments));
    let old = client.reconfig(&leaving(&[3]), Some(7)).await;
    assert_eq!(code(old), Some(ErrorCode::BadVersion));
    write(&client, "/still-serving").await;
}
