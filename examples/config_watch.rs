//! A typed configuration that follows its znode: a bad document is reported and changes nothing,
//! and two who change it at a time lose nothing.

use serde::{Deserialize, Serialize};
use zk_client::{Client, CreateMode};
use zk_examples::Target;
use zk_recipes::{ConfigWatch, Format};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Settings {
    workers: u32,
    motd: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let client = Client::connect(&target.connect_string).await?;
    let document = br#"{"workers": 2, "motd": "hello"}"#;
    let mode = CreateMode::PersistentSequential;
    let path = client.create("/example-config-", document, mode).await?;

    let format = Format::<Settings>::json_both_ways();
    let config = ConfigWatch::builder(&client, &path, format).build().await?;
    let mut changes = config.subscribe();
    println!("at first: {:?}", changes.borrow_and_update().value);

    client.set_data(&path, br#"{"workers": "#, None).await?;
    let mut bad = config.bad();
    let reason = bad.wait_for(Option::is_some).await?.clone();
    println!("bad document: {}", reason.ok_or("none")?.reason);
    println!("still: {:?}", config.current().value);

    let good = br#"{"workers": 3, "motd": "hello again"}"#;
    client.set_data(&path, good, None).await?;
    changes.changed().await?;
    println!("now: {:?}", changes.borrow_and_update().value);

    // Each reads, changes and writes on condition that the other has not.
    let more = |mut settings: Settings| {
        settings.workers += 1;
        settings
    };
    tokio::try_join!(config.update(more), config.update(more))?;
    let five = changes.wait_for(|config| config.value.workers == 5).await?;
    println!("both counted: {:?}, from {:?}", five.value, five.source);
    drop(five);

    client.delete(&path, None).await?;
    client.close().await?;
    Ok(())
}
