//! Reads a znode, leaves a watch, and sees the change.

use zk_client::{Client, CreateMode, Watcher};
use zk_examples::Target;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let client = Client::connect(&target.connect_string).await?;
    let path = client
        .create("/example-", b"one", CreateMode::EphemeralSequential)
        .await?;

    let changes = Watcher::new();
    let (data, stat) = client.get_data(&path, &changes).await?;
    println!(
        "{path} holds {:?} in version {}",
        String::from_utf8_lossy(&data),
        stat.version
    );

    client.set_data(&path, b"two", stat.version).await?;
    if let Some(event) = changes.next().await {
        println!("{:?} on {}", event.event_type, event.path);
    }
    let (data, stat) = client.get_data(&path, None).await?;
    println!(
        "{path} holds {:?} in version {}",
        String::from_utf8_lossy(&data),
        stat.version
    );

    client.close().await?;
    Ok(())
}
