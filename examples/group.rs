//! Who is there: members join with a payload, change it, leave, and die.

use std::time::Duration;

use zk_client::{Client, CreateMode};
use zk_examples::{Line, Target};
use zk_recipes::{GroupMembership, MemberEvent};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let client = Client::connect(&target.connect_string).await?;
    let mode = CreateMode::PersistentSequential;
    let path = client.create("/example-group-", b"", mode).await?;

    let onlooker = GroupMembership::builder(&client, &path).look().await?;
    let mut events = onlooker.events()?;
    let mut next = async || match events.next().await {
        Ok(MemberEvent::Joined(member)) => println!("{} has come: {:?}", member.id, member.payload),
        Ok(MemberEvent::Updated(member)) => println!("{} says: {:?}", member.id, member.payload),
        Ok(MemberEvent::Left(member)) => println!("{} has gone", member.id),
        Err(error) => println!("the end: {error}"),
    };

    let ann = GroupMembership::join(&client, &path, "ann", "10.0.0.7:8080").await?;
    next().await;
    // Another process, whose session can end.
    let line = Line::to(&target.connect_string).await?;
    let builder = Client::builder(line.connect_string()).session_timeout(Duration::from_secs(1));
    let elsewhere = builder.connect().await?;
    let bob = GroupMembership::join(&elsewhere, &path, "bob", "10.0.0.8:8080").await?;
    next().await;
    let mut members = ann.members();
    let both = members.wait_for(|members| members.len() == 2).await?;
    println!("ann sees {:?}", both.keys().collect::<Vec<_>>());
    drop(both);

    ann.set_payload("10.0.0.7:8080, draining")?;
    next().await;
    line.cut();
    next().await; // when bob's session has expired
    line.mend();
    next().await; // it joins again by itself
    bob.leave().await?;
    next().await;
    ann.leave().await?;
    next().await;

    client.delete_all(&path).await?;
    elsewhere.close().await?;
    client.close().await?;
    Ok(())
}
