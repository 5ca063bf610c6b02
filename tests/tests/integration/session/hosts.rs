//! Changing the list of servers under a live session.

use zk_client::CreateMode;
use zk_tests::wait::{eventually, until_connected};
use zk_tests::{Cut, Proxy, Target};

#[tokio::test]
async fn a_client_whose_server_left_the_list_moves_with_its_session() {
    let target = Target::start().await;
    let (old, new) = (
        Proxy::start(target.host()).await,
        Proxy::start(target.host()).await,
    );
    let client = target.client_through(&old.host()).await;
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let session = client.session_id();
    client.update_hosts(&new.host()).unwrap();
    eventually("the move", async || new.open() == 1 && old.open() == 0).await;
    until_connected(&client).await;
    assert_eq!(client.session_id(), session);
    assert!(client.exists("/mine", None).await.unwrap().is_some());
    assert_eq!(client.connected_host().unwrap().to_string(), new.host());
}

#[tokio::test]
async fn a_client_whose_server_stays_on_a_list_no_longer_stays_too() {
    let target = Target::start().await;
    let (first, second) = (
        Proxy::start(target.host()).await,
        Proxy::start(target.host()).await,
    );
    let hosts = format!("{},{}", first.host(), second.host());
    let builder = target.builder_through(&hosts).shuffle(false);
    let client = zk_tests::target::connect(builder).await;
    client.update_hosts(&first.host()).unwrap();
    client.get_data("/", None).await.unwrap();
    // The second is out of reach now: a cut leads back to the first.
    first.cut(Cut::Reset);
    eventually("the way back", async || first.accepted() == 2).await;
    client.get_data("/", None).await.unwrap();
    assert_eq!(second.accepted(), 0);
}

#[tokio::test]
async fn a_bad_list_is_refused_and_the_old_one_kept() {
    let target = Target::start().await;
    let client = target.client().await;
    for bad in ["", ",", "host:0", "host:notaport", "a:1/chroot"] {
        assert!(client.update_hosts(bad).is_err(), "{bad:?}");
    }
    client.get_data("/", None).await.unwrap();
}
