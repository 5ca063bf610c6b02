//! Voters that have lost their disks.

use std::path::Path;
use std::time::Duration;

use zk_server::{Ensemble, EnsembleBuilder, ServerConfig};
use zk_tests::wait::{ready_within, within};

use crate::stage::{client, create, start, until_converged, write};

/// As an operator sets it up who wants a lost disk to be noticed: only the first start of each
/// peer may begin with nothing.
fn permitted_once(dir: &Path) -> EnsembleBuilder {
    for id in 1..=3 {
        let dir = dir.join(id.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("initialize"), "").unwrap();
    }
    let config = ServerConfig::embedded().autocreate(false).build().unwrap();
    Ensemble::builder().voters(3).data_dir(dir).config(config)
}

/// It may have acknowledged what only one other has: with the third, which lacks it, it must not
/// make a quorum.
#[tokio::test]
async fn one_without_its_disk_has_no_vote_until_a_leader_has_filled_it() {
    let dir = tempfile::tempdir().unwrap();
    let ensemble = start(permitted_once(dir.path())).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    let leader = ensemble.leader().unwrap();
    let [lost, behind] = [1, 2].map(|turn| (leader - 1 + turn) % 3 + 1);

    ensemble.kill(behind);
    write(&client, "/data", b"known to two").await;
    ensemble.kill(lost);
    std::fs::remove_dir_all(dir.path().join(lost.to_string())).unwrap();
    ensemble.kill(leader);
    within("a restart", ensemble.restart(lost)).await.unwrap();
    within("a restart", ensemble.restart(behind)).await.unwrap();
    // Many times as long as an election among two takes.
    let two = [lost, behind];
    let elected = ready_within(Duration::from_secs(1), ensemble.wait_for_leader_among(&two)).await;
    assert!(elected.is_none(), "{elected:?}");

    within("a restart", ensemble.restart(leader)).await.unwrap();
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
    let (data, _) = client.get_data("/data", None).await.unwrap();
    assert_eq!(data, "known to two");
    // Filled, it votes like any other.
    ensemble.kill(leader);
    ensemble
        .wait_for_leader_among(&[lost, behind])
        .await
        .unwrap();
}
