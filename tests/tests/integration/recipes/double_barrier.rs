//! A double barrier: in together, out together.

use std::time::Duration;

use futures_util::future::{join, join_all};
use zk_client::CreateMode;
use zk_recipes::{Dialect, DoubleBarrier, Error, Inside};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

use super::*;
use crate::cancel::drop_after;

const BARRIER: &str = "/barriers/d";
const READY: &str = "/barriers/d/ready";

fn barrier(client: &Client, size: usize) -> DoubleBarrier {
    let builder = DoubleBarrier::builder(client, BARRIER, size);
    builder.build().unwrap()
}

/// The barrier's children, as a client that did nothing else sees them.
async fn children(observer: &Client) -> Vec<String> {
    observer.sync("/").await.unwrap();
    let children = observer.get_children(BARRIER, None).await;
    let mut children = children.unwrap_or_default();
    children.sort_unstable();
    children
}

async fn until_children(observer: &Client, count: usize) {
    let what = format!("{count} children");
    eventually(&what, async || children(observer).await.len() == count).await;
}

async fn clients(target: &Target, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(target.client().await);
    }
    clients
}

async fn enter_all(barriers: &[DoubleBarrier]) -> Vec<Inside> {
    let entered = join_all(barriers.iter().map(DoubleBarrier::enter));
    let entered = within("the party", entered).await;
    entered.into_iter().map(Result::unwrap).collect()
}

async fn leave_all(inside: Vec<Inside>) {
    let left = join_all(inside.into_iter().map(Inside::leave));
    for left in within("the leaving", left).await {
        left.unwrap();
    }
}

#[tokio::test]
async fn a_party_enters_together_and_leaves_together_round_after_round() {
    let target = Target::start().await;
    let observer = target.client().await;
    for dialect in [Dialect::Curator, Dialect::Kazoo] {
        for size in [1, 2, 5] {
            let clients = clients(&target, size).await;
            let barriers: Vec<_> = clients
                .iter()
                .map(|client| DoubleBarrier::builder(client, BARRIER, size).dialect(dialect))
                .map(|builder| builder.build().unwrap())
                .collect();
            for _ in 0..3 {
                let inside = enter_all(&barriers).await;
                let names = children(&observer).await;
                assert_eq!(names.len(), size + 1, "{dialect:?} {names:?}");
                assert_eq!(names[size], "ready");
                let width = if dialect == Dialect::Kazoo { 32 } else { 36 };
                assert!(names[..size].iter().all(|name| name.len() == width));
                leave_all(inside).await;
                assert_eq!(children(&observer).await, [""; 0], "{dialect:?}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_enters_before_all_are_there_nor_leaves_before_all_do() {
    let target = Target::start().await;
    let clients = clients(&target, 3).await;
    let barriers: Vec<_> = clients.iter().map(|client| barrier(client, 3)).collect();
    let mut early = Box::pin(join(barriers[0].enter(), barriers[1].enter()));
    tokio::select! {
        biased;
        _ = &mut early => panic!("entered without the third"),
        () = until_children(&clients[2], 2) => {}
    }
    let (last, (first, second)) = within("the party", join(barriers[2].enter(), early)).await;
    let (first, second, last) = (first.unwrap(), second.unwrap(), last.unwrap());
    let mut early = Box::pin(join(first.leave(), second.leave()));
    // Of the two at least one is not the lowest, and goes at once.
    let stepped_aside = eventually("one to go", async || children(&clients[2]).await.len() < 4);
    tokio::select! {
        biased;
        _ = &mut early => panic!("left without the third"),
        () = stepped_aside => {}
    }
    let (left, (first, second)) = within("the leaving", join(last.leave(), early)).await;
    assert_eq!((left, first, second), (Ok(()), Ok(()), Ok(())));
    assert_eq!(children(&clients[0]).await, [""; 0]);
}

#[tokio::test]
async fn who_gives_up_does_not_count() {
    let target = Target::start().await;
    let clients = clients(&target, 3).await;
    let short = Duration::from_millis(50);
    let gave_up = barrier(&clients[0], 2).enter_within(short).await;
    assert_eq!(
        gave_up.unwrap_err(),
        Error::DeadlineExceeded { deadline: short }
    );
    eventually("the reaper", async || clients[0].guaranteed_deletes() == 0).await;
    assert_eq!(children(&clients[0]).await, [""; 0]);
    // One alone still waits for the second.
    let waiting = barrier(&clients[1], 2);
    let mut waiting = Box::pin(waiting.enter());
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("a party of one"),
        () = until_children(&clients[0], 1) => {}
    }
    let second = barrier(&clients[2], 2);
    let (one, two) = within("the party", join(waiting, second.enter())).await;
    leave_all(vec![one.unwrap(), two.unwrap()]).await;
}

#[tokio::test]
async fn a_ready_without_members_is_stale_and_removed() {
    let target = Target::start().await;
    let clients = clients(&target, 3).await;
    clients[2]
        .create_all(READY, b"", CreateMode::Persistent)
        .await
        .unwrap();
    let (a, b) = (barrier(&clients[0], 2), barrier(&clients[1], 2));
    let mut first = Box::pin(a.enter());
    let cleared = eventually("ready to go", async || {
        !children(&clients[2]).await.contains(&"ready".to_owned())
    });
    tokio::select! {
        biased;
        _ = &mut first => panic!("entered by a stale ready"),
        () = cleared => {}
    }
    let (one, two) = within("the party", join(first, b.enter())).await;
    leave_all(vec![one.unwrap(), two.unwrap()]).await;
    assert_eq!(children(&clients[2]).await, [""; 0]);
}

#[tokio::test]
async fn of_several_who_find_a_stale_ready_the_eldest_removes_it() {
    let target = Target::start().await;
    for _ in 0..repetitions(20, 3) {
        let clients = clients(&target, 4).await;
        clients[3]
            .create_all(READY, b"", CreateMode::Persistent)
            .await
            .unwrap();
        let barriers: Vec<_> = clients[..3].iter().map(|it| barrier(it, 3)).collect();
        leave_all(enter_all(&barriers).await).await;
        assert_eq!(children(&clients[3]).await, [""; 0]);
    }
}

#[tokio::test]
async fn one_that_comes_while_a_party_is_in_enters_at_once() {
    let target = Target::start().await;
    let clients = clients(&target, 3).await;
    let barriers: Vec<_> = clients.iter().map(|client| barrier(client, 2)).collect();
    let mut inside = enter_all(&barriers[..2]).await;
    let late = within("the late one", barriers[2].enter()).await.unwrap();
    inside.push(late);
    leave_all(inside).await;
    assert_eq!(children(&clients[0]).await, [""; 0]);
}

#[tokio::test]
async fn one_whose_session_expires_inside_is_told_and_the_others_leave_without_it() {
    let target = Target::start().await;
    let clients = clients(&target, 3).await;
    let barriers: Vec<_> = clients.iter().map(|client| barrier(client, 3)).collect();
    let mut inside = enter_all(&barriers).await;
    let dead = inside.remove(0);
    target.expire(&clients[0]).await;
    until_connected(&clients[0]).await;
    leave_all(inside).await;
    assert_eq!(
        within("the leaving", dead.leave()).await,
        Err(Error::EpochEnded)
    );
    assert_eq!(children(&clients[1]).await, [""; 0]);
}

#[tokio::test]
async fn one_whose_session_expires_while_entering_is_told() {
    let target = Target::start().await;
    let clients = clients(&target, 2).await;
    let alone = barrier(&clients[0], 2);
    let expire = async {
        until_children(&clients[1], 1).await;
        target.expire(&clients[0]).await;
    };
    let (entered, ()) = within("the end", join(alone.enter(), expire)).await;
    assert_eq!(entered.unwrap_err(), Error::EpochEnded);
    assert_eq!(children(&clients[1]).await, [""; 0]);
}

#[tokio::test]
async fn one_whose_znode_is_deleted_while_entering_is_told() {
    let target = Target::start().await;
    let clients = clients(&target, 2).await;
    let alone = barrier(&clients[0], 2);
    let delete = async {
        until_children(&clients[1], 1).await;
        let name = children(&clients[1]).await.remove(0);
        let path = format!("{BARRIER}/{name}");
        clients[1].delete(&path, None).await.unwrap();
    };
    let (entered, ()) = within("the end", join(alone.enter(), delete)).await;
    assert!(matches!(entered, Err(Error::Removed { .. })), "{entered:?}");
}

#[tokio::test]
async fn the_party_is_found_complete_after_a_disconnection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, other) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let (here, there) = (barrier(&client, 2), barrier(&other, 2));
    let faults = async {
        until_children(&other, 1).await;
        client.sync("/").await.unwrap();
        proxy.refuse(true);
        proxy.cut(Cut::Reset);
        until_not_connected(&client).await;
        let entered = there.enter().await.unwrap();
        proxy.refuse(false);
        entered
    };
    let (one, two) = within("the party", join(here.enter(), faults)).await;
    leave_all(vec![one.unwrap(), two]).await;
}

#[tokio::test]
async fn a_lost_reply_neither_loses_nor_doubles_a_member() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, other) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let barriers = [barrier(&client, 2), barrier(&other, 2)];
    for (direction, bytes) in [(Direction::ToServer, 500), (Direction::ToClient, 500)] {
        for at in (1..bytes).step_by(repetitions(23, 120)) {
            until_connected(&client).await;
            proxy.cut_after(direction, at, Cut::Reset);
            let inside = enter_all(&barriers).await;
            assert_eq!(children(&other).await.len(), 3, "{direction:?} {at}");
            until_connected(&client).await;
            proxy.cut_after(direction, at, Cut::Reset);
            leave_all(inside).await;
            assert_eq!(children(&other).await, [""; 0], "{direction:?} {at}");
        }
    }
}

#[tokio::test]
async fn dropped_at_any_poll_it_leaves_no_znode() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let alone = barrier(&client, 1);
    let mut entered = 0;
    for polls in 0..40 {
        let inside = within("entering", drop_after(polls, alone.enter())).await;
        if let Some(inside) = inside {
            entered += 1;
            drop(within("leaving", drop_after(entered, inside.unwrap().leave())).await);
        }
        eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
        // A ready may be left; the next to enter copes with it.
        let left = children(&other).await;
        assert!(left.iter().all(|name| name == "ready"), "{polls}: {left:?}");
    }
    assert!(entered > 3, "{entered}");
    leave_all(enter_all(&[alone]).await).await;
    assert_eq!(children(&other).await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_a_double_barrier_is_refused() {
    let target = Target::start().await;
    let client = target.client().await;
    assert!(DoubleBarrier::builder(&client, BARRIER, 0).build().is_err());
    assert!(DoubleBarrier::builder(&client, "/", 2).build().is_err());
    let any = DoubleBarrier::builder(&client, BARRIER, 2).dialect(Dialect::Any);
    assert!(any.build().is_err());
}
