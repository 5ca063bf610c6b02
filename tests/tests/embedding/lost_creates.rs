//! Creates whose answer is lost while they wait for a quorum.

use std::time::Duration;

use futures_util::future::join;
use zk_client::CreateMode;
use zk_server::Ensemble;
use zk_tests::wait::{eventually, within};
use zk_tests::{Cut, Direction, Proxy};

use crate::stage::{client_of, connect, create, others, start, until_converged};

/// What a create takes at least, and nothing that a client sends by itself.
const CREATE_BYTES: u64 = 60;

/// A leader that is asked directly answers a sync at once, whatever is under way: a client that
/// looked after a sync found nothing, created a second znode, and stood in line behind itself.
#[tokio::test]
async fn one_that_is_committed_after_the_reconnection_is_found() {
    let ensemble = start(Ensemble::builder().voters(3).observers(1)).await;
    let leader = ensemble.leader().unwrap();
    let voters = others(&ensemble, leader);
    let (voters, observers) = voters.split_at(2);
    let watching = client_of(&ensemble, leader).await;
    create(&watching, "/locks", b"").await;
    // Proposed at once for a client of the observer, and committed late.
    ensemble.delay(&[leader], voters, Duration::from_millis(100));
    let proxy = async |id| Proxy::start(&ensemble.peer(id).connect_string()).await;
    let (before, after) = (proxy(observers[0]).await, proxy(leader).await);
    after.refuse(true);
    let client = connect(&format!("{},{}", before.host(), after.host())).await;
    let sent = before.forwarded(Direction::ToServer);
    let create = client.create_protected("/locks/lock-", b"", CreateMode::EphemeralSequential);
    let moved = async {
        let is_sent = async || before.forwarded(Direction::ToServer) >= sent + CREATE_BYTES;
        eventually("the create on its way", is_sent).await;
        after.refuse(false);
        before.refuse(true);
        before.cut(Cut::Fin);
    };
    let (created, ()) = join(within("the create", create), moved).await;
    let created = created.unwrap();
    ensemble.delay(&[leader], voters, Duration::ZERO);
    until_converged(&ensemble).await;
    let left = watching.get_children("/locks", None).await.unwrap();
    assert_eq!(left.len(), 1, "{created} is not alone: {left:?}");
}
