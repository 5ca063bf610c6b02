//! Who is there, as everybody sees it.

use std::collections::BTreeMap;

use zk_recipes::{GroupLayout, GroupMembership, Member};

use super::*;

const PATH: &str = "/group";

fn ids(members: &BTreeMap<String, Member>) -> Vec<&str> {
    let mut ids: Vec<_> = members.values().map(|member| &*member.id).collect();
    ids.sort_unstable();
    ids
}

/// Both see both, and see each other leave.
async fn sees_the_same(library: Library, kind: &str, layout: GroupLayout, both_are: &str) {
    let both = Both::start(library).await;
    both.create(PATH, "").await;
    let theirs = both.peer.handle("g");
    theirs
        .ask(&format!("join {kind} {PATH} theirs payload"))
        .await;
    let builder = GroupMembership::builder(&both.client, PATH).layout(layout);
    let group = within("joining", builder.join("ours", "data"))
        .await
        .unwrap();
    let mut members = group.members();
    let two = members.wait_for(|members| ids(members).len() == 2);
    let seen = within("both members", two).await.unwrap();
    assert_eq!(ids(&seen), ["ours", "theirs"]);
    drop(seen);
    eventually("their view", async || {
        theirs.ask("members").await == both_are
    })
    .await;
    theirs.ask("quit").await;
    let one = members.wait_for(|members| ids(members) == ["ours"]);
    within("their leaving", one).await.unwrap();
    within("our leaving", group.leave()).await.unwrap();
    both.until_count(PATH, 0).await;
}

#[tokio::test]
async fn curator_sees_the_same() {
    let both_are = "ours=data,theirs=payload";
    sees_the_same(Library::Curator, "group", GroupLayout::Curator, both_are).await;
}

#[tokio::test]
async fn kazoos_party_sees_the_same() {
    let layout = GroupLayout::KazooParty;
    sees_the_same(Library::Kazoo, "group", layout, "ours,theirs").await;
}

#[tokio::test]
async fn kazoos_shallow_party_sees_the_same() {
    let layout = GroupLayout::KazooShallowParty;
    sees_the_same(Library::Kazoo, "shallow", layout, "ours,theirs").await;
}
