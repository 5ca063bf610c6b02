//! An ensemble grows from three to five while it serves: two peers join it, and then the
//! first two can go.

use zk_client::{Client, CreateMode, Reconfig, RetryPolicy};
use zk_server::{Ensemble, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In production reconfigurations need permission to write /zookeeper/config.
    let config = ServerConfig::embedded().reconfig(true).skip_acl(true);
    let builder = Ensemble::builder().voters(3).config(config.build()?);
    let mut ensemble = builder.start().await?;
    let client = Client::connect(&ensemble.connect_string()).await?;
    let data = client
        .create("/data", b"of three", CreateMode::Persistent)
        .await?;
    show(&client).await?;

    let mut joining = Vec::new();
    for _ in 0..2 {
        let id = ensemble.add_peer().await?;
        println!("peer {id} is in step with the leader, and has no vote yet");
        joining.push(ensemble.server_line(id));
    }
    let leaving = Vec::new();
    client
        .reconfig(&Reconfig::Incremental { joining, leaving }, None)
        .await?;
    show(&client).await?;

    client.update_hosts(&ensemble.connect_string())?;
    for id in [1, 2] {
        ensemble.stop(id).await;
    }
    let leader = ensemble.wait_for_leader().await?;
    // Its server may just have gone.
    let retrying = client.retrying(RetryPolicy::new(5));
    let read = retrying.run(|client| client.get_data(&data, None));
    let (read, _) = read.await?;
    println!("three of five are a quorum: {leader} leads, {data} is {read:?}");
    client.close().await?;
    ensemble.stop_all().await;
    Ok(())
}

/// The configuration as the ensemble has agreed on it.
async fn show(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    let (text, _) = client.get_config(None).await?;
    println!("{}\n", String::from_utf8_lossy(&text));
    Ok(())
}
