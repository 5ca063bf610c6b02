//! A session's life: a watch, a lost connection that the session survives, an
//! expiry and the session that follows it.

use std::time::Duration;

use zk_client::{Client, CreateMode, SessionState, Watcher};
use zk_examples::{Line, Target, heard};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let line = Line::to(&target.connect_string).await?;
    let client = Client::builder(line.connect_string())
        .session_timeout(Duration::from_secs(1))
        .reconnect_backoff(Duration::from_millis(20), Duration::from_millis(100))
        .connect()
        .await?;
    let (id, epoch, mut state) = (client.session_id(), client.epoch(), client.state());
    println!("connected: session {id}, epoch {epoch}");
    // A second session plays everybody else. Its connection will not be cut.
    let others = Client::connect(&target.connect_string).await?;

    let config = others
        .create("/tour-", b"one", CreateMode::PersistentSequential)
        .await?;
    let changes = Watcher::new();
    let (data, _) = client.get_data(&config, &changes).await?;
    println!("read {data:?} from {config} and left a watch");
    others.set_data(&config, b"two", None).await?;
    println!("watch: {}", heard(&changes).await?);

    let (data, _) = client.get_data(&config, &changes).await?;
    println!("read {data:?}, left another watch; now the connection is cut");
    line.cut();
    state.wait_for(|state| !state.is_connected()).await?;
    others.set_data(&config, b"three", None).await?;
    println!("in doubt about the session; meanwhile others change the znode");
    line.mend();
    state.wait_for(SessionState::is_connected).await?;
    println!("connected again: still session {}", client.session_id());
    println!("watch: {}", heard(&changes).await?);

    let here = client
        .create("/tour-here-", b"", CreateMode::EphemeralSequential)
        .await?;
    client.get_data(&config, &changes).await?;
    let gone = Watcher::new();
    others.exists(&here, &gone).await?;
    println!("created the ephemeral {here}; now a cut that outlasts the session");
    line.cut();
    println!("others see: {}", heard(&gone).await?);
    line.mend();
    println!("watch: {}", heard(&changes).await?);
    state.wait_for(SessionState::is_connected).await?;
    let (id, epoch) = (client.session_id(), client.epoch());
    println!("connected: session {id}, epoch {epoch}");

    others.delete(&config, None).await?;
    others.close().await?;
    client.close().await?;
    Ok(())
}
