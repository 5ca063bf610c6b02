//! Persistent nodes and groups.

use futures_util::StreamExt;
use zk_client::CreateMode;
use zk_recipes::{
    Error, GroupLayout, GroupMembership, MemberEvent, NodeMode, NodeState, PersistentNode,
    PersistentTtlNode,
};
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Proxy, Target};

use super::*;

const NODE: &str = "/status/me";
const GROUP: &str = "/workers";

fn node(client: &Client, data: &'static str) -> PersistentNode {
    PersistentNode::builder(client, NODE, data).build().unwrap()
}

async fn until_data(observer: &Client, path: &str, data: &str) {
    eventually(&format!("{path} is {data:?}"), async || {
        observer.sync(path).await.unwrap();
        let read = observer.get_data(path, None).await;
        read.is_ok_and(|(now, _)| now == data.as_bytes())
    })
    .await;
}

async fn until_gone(observer: &Client, path: &str) {
    eventually(&format!("{path} is gone"), async || {
        observer.sync(path).await.unwrap();
        observer.exists(path, None).await.unwrap().is_none()
    })
    .await;
}

async fn until_taken(node: &PersistentNode) {
    let mut state = node.state();
    let taken = state.wait_for(|state| matches!(state, NodeState::Taken { .. }));
    drop(within("taken", taken).await.unwrap());
}

async fn until_members(group: &GroupMembership, ids: &[&str]) {
    let mut members = group.members();
    let there = members.wait_for(|members| {
        let mut now: Vec<_> = members.values().map(|member| &*member.id).collect();
        now.sort_unstable();
        now == ids
    });
    drop(within(&format!("{ids:?}"), there).await.unwrap());
}

#[tokio::test]
async fn a_node_is_kept_as_it_should_be() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let node = node(&client, "up");
    within("the node", node.present()).await.unwrap();
    until_data(&other, NODE, "up").await;
    other.set_data(NODE, b"defaced", None).await.unwrap();
    until_data(&other, NODE, "up").await;
    other.delete(NODE, None).await.unwrap();
    until_data(&other, NODE, "up").await;
    node.set_data("draining");
    until_data(&other, NODE, "draining").await;
    target.expire(&client).await;
    until_data(&other, NODE, "draining").await;
    let stat = other.exists(NODE, None).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, client.session_id());
    within("the end", node.leave()).await.unwrap();
    other.sync(NODE).await.unwrap();
    assert_eq!(other.exists(NODE, None).await.unwrap(), None);
}

#[tokio::test]
async fn a_node_is_present_only_with_the_data_it_is_to_have() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let node = node(&client, "0");
    for number in 1..50 {
        let data = number.to_string();
        node.set_data(data.clone());
        within("the node", node.present()).await.unwrap();
        let state = node.state().borrow().clone();
        other.sync(NODE).await.unwrap();
        let (found, stat) = other.get_data(NODE, None).await.unwrap();
        assert_eq!(found, data);
        let (czxid, version) = (stat.czxid, stat.version);
        assert_eq!(state, NodeState::Present { czxid, version });
    }
}

#[tokio::test]
async fn a_group_says_why_it_is_looked_at_no_longer() {
    let target = Target::start().await;
    let client = target.client().await;
    let group = GroupMembership::join(&client, GROUP, "a", "1")
        .await
        .unwrap();
    assert_eq!(group.error(), None);
    let mut members = group.members();
    let events = group.events().unwrap();
    client.clone().close().await.unwrap();
    let events: Vec<_> = within("the end", events.into_stream().collect()).await;
    assert!(matches!(events[..], [Err(_)]), "{events:?}");
    let ended = async { while members.changed().await.is_ok() {} };
    within("the end", ended).await;
    assert_eq!(group.error(), Some(Error::Client(zk_client::Error::Closed)));
}

#[tokio::test]
async fn a_restarted_process_takes_its_node_over_without_a_gap() {
    let target = Target::start().await;
    let (before, after) = (target.client().await, target.client().await);
    let old = node(&before, "10.0.0.7");
    within("the node", old.present()).await.unwrap();
    after.sync(NODE).await.unwrap();
    let was = after.exists(NODE, None).await.unwrap().unwrap();
    let new = node(&after, "10.0.0.7");
    within("the node", new.present()).await.unwrap();
    let stat = after.exists(NODE, None).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, after.session_id());
    assert!(stat.czxid > was.czxid);
    // The earlier one yields, and its end does no harm.
    until_taken(&old).await;
    drop(old);
    before.close().await.unwrap();
    after.sync(NODE).await.unwrap();
    assert_eq!(
        after.exists(NODE, None).await.unwrap().unwrap().czxid,
        stat.czxid
    );
}

#[tokio::test]
async fn a_name_of_somebody_else_is_waited_for() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let theirs = node(&other, "theirs");
    within("the node", theirs.present()).await.unwrap();
    let ours = node(&client, "ours");
    until_taken(&ours).await;
    until_data(&client, NODE, "theirs").await;
    within("the end", theirs.leave()).await.unwrap();
    within("the node", ours.present()).await.unwrap();
    until_data(&other, NODE, "ours").await;
    drop(ours);
    until_gone(&other, NODE).await;
}

#[tokio::test]
async fn a_lost_reply_neither_loses_nor_doubles_the_node() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let other = target.client().await;
    for at in (1..300).step_by(zk_tests::target::repetitions(17, 70)) {
        until_connected(&client).await;
        proxy.cut_after(zk_tests::Direction::ToClient, at, Cut::Reset);
        let node = node(&client, "x");
        within("the node", node.present()).await.unwrap();
        until_data(&other, NODE, "x").await;
        drop(node);
        until_gone(&other, NODE).await;
    }
}

#[tokio::test]
async fn a_lasting_node_outlives_the_session_until_it_is_left() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let builder = PersistentNode::builder(&client, NODE, "x").mode(NodeMode::Persistent);
    let node = builder.build().unwrap();
    within("the node", node.present()).await.unwrap();
    other.sync(NODE).await.unwrap();
    let before = other.exists(NODE, None).await.unwrap().unwrap();
    target.expire(&client).await;
    until_connected(&client).await;
    within("the node", node.present()).await.unwrap();
    other.sync(NODE).await.unwrap();
    let after = other.exists(NODE, None).await.unwrap().unwrap();
    assert_eq!((before.czxid, after.ephemeral_owner.0), (after.czxid, 0));
    within("the end", node.leave()).await.unwrap();
    until_gone(&other, NODE).await;
}

#[tokio::test]
async fn members_come_change_and_go() {
    let target = Target::start().await;
    let (one, two) = (target.client().await, target.client().await);
    let join = |client, id, payload: &'static str| async move {
        let joining = GroupMembership::join(client, GROUP, id, payload);
        within("the group", joining).await.unwrap()
    };
    let first = join(&one, "a", "1").await;
    let mut events = first.events().unwrap();
    let mut next = async || within("an event", events.next()).await.unwrap();
    let MemberEvent::Joined(a) = next().await else {
        panic!("joined")
    };
    assert_eq!((&*a.id, &a.payload[..]), ("a", &b"1"[..]));
    let second = join(&two, "b", "2").await;
    let MemberEvent::Joined(b) = next().await else {
        panic!("joined")
    };
    assert_eq!(b.id, "b");
    assert!(b.joined > a.joined);
    until_members(&first, &["a", "b"]).await;
    until_members(&second, &["a", "b"]).await;
    second.set_payload("3").unwrap();
    let MemberEvent::Updated(b) = next().await else {
        panic!("updated")
    };
    assert_eq!(b.payload, "3");
    let taken = GroupMembership::join(&two, GROUP, "a", "other");
    let taken = within("the refusal", taken).await.unwrap_err();
    assert!(matches!(taken, Error::NameTaken { .. }), "{taken}");
    within("the end", second.leave()).await.unwrap();
    let MemberEvent::Left(b) = next().await else {
        panic!("left")
    };
    assert_eq!(b.id, "b");
    until_members(&first, &["a"]).await;
}

#[tokio::test]
async fn a_member_joins_again_after_its_session_and_the_view_converges() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let one = target.client_through(&proxy.host()).await;
    let two = target.client().await;
    let first = GroupMembership::join(&one, GROUP, "a", "1");
    let first = within("the group", first).await.unwrap();
    let second = GroupMembership::join(&two, GROUP, "b", "2");
    let second = within("the group", second).await.unwrap();
    until_members(&first, &["a", "b"]).await;
    target.expire(&one).await;
    until_members(&second, &["a", "b"]).await;
    eventually("a new session's member", async || {
        let stat = two.exists("/workers/a", None).await.unwrap();
        stat.is_some_and(|stat| stat.ephemeral_owner == one.session_id())
    })
    .await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&one).await;
    within("the end", second.leave()).await.unwrap();
    proxy.refuse(false);
    until_members(&first, &["a"]).await;
}

#[tokio::test]
async fn parties_have_kazoos_names() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let hex = "6f5902ac237e4b0b8ac61fb0d5f6a1e8";
    for (layout, name, data) in [
        (GroupLayout::KazooParty, format!("{hex}__party__"), "them"),
        (GroupLayout::KazooShallowParty, format!("{hex}-them"), ""),
    ] {
        let path = format!("/party/{layout:?}");
        let builder = GroupMembership::builder(&client, &path).layout(layout);
        let group = within("the group", builder.join("us", "")).await.unwrap();
        let theirs = format!("{path}/{name}");
        other
            .create(&theirs, data, CreateMode::Ephemeral)
            .await
            .unwrap();
        until_members(&group, &["them", "us"]).await;
        let names = other.get_children(&path, None).await.unwrap();
        let ours = names.iter().find(|known| **known != name).unwrap();
        assert_eq!(
            ours.len(),
            hex.len() + if data.is_empty() { 3 } else { 9 },
            "{ours}"
        );
        other
            .create(&format!("{path}/stranger"), b"", CreateMode::Ephemeral)
            .await
            .unwrap();
        other.delete(&theirs, None).await.unwrap();
        until_members(&group, &["us"]).await;
        assert!(layout == GroupLayout::KazooShallowParty || group.set_payload("x").is_err());
    }
}

#[tokio::test]
async fn a_node_with_a_time_to_live_is_touched() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let ttl = std::time::Duration::from_millis(400);
    let node = PersistentTtlNode::start(&client, NODE, "x", ttl).unwrap();
    within("the node", node.present()).await.unwrap();
    let touch = format!("{NODE}/touch");
    until_data(&other, &touch, "").await;
    let first = other.exists(&touch, None).await.unwrap().unwrap();
    eventually("another touch", async || {
        let stat = other.exists(&touch, None).await.unwrap();
        stat.is_some_and(|stat| stat.mzxid > first.mzxid)
    })
    .await;
    drop(node);
    until_data(&other, NODE, "x").await;
    assert!(PersistentTtlNode::start(&client, NODE, "x", std::time::Duration::ZERO).is_err());
}
