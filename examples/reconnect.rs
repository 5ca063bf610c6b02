//! What calls experience when the connection is lost: each says whether it may
//! have taken effect, later ones wait, and retrying is for those who ask for it.

use zk_client::{Client, CreateMode, Outcome, RetryPolicy};
use zk_examples::{Line, Target};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let line = Line::to(&target.connect_string).await?;
    let client = Client::connect(line.connect_string()).await?;
    let mut states = client.state();
    tokio::select! {
        done = lose_and_find(&client, &line) => done?,
        // Every state can be seen here, none of them by polling.
        _ = async { while states.changed().await.is_ok() { println!("  state: {:?}", *states.borrow()) } } => {}
    }
    client.close().await?;
    Ok(())
}

async fn lose_and_find(client: &Client, line: &Line) -> Result<(), Box<dyn std::error::Error>> {
    let path = client
        .create("/reconnect-", b"", CreateMode::EphemeralSequential)
        .await?;
    println!("{path} belongs to session {}", client.session_id());

    // A call takes its place in line when it is made: the futures only wait.
    let mut writes: Vec<_> = (0..1000)
        .map(|_| client.set_data(&path, b"x", None))
        .collect();
    writes.remove(0).await?;
    line.cut();
    let (mut applied, mut unsent, mut unknown) = (1, 0, 0);
    for write in writes {
        match write.await.map_err(|error| error.outcome()) {
            Ok(_) | Err(Outcome::Applied) => applied += 1,
            Err(Outcome::NotApplied) => unsent += 1,
            Err(Outcome::Unknown) => unknown += 1,
        }
    }
    println!("1000 writes: {applied} applied, {unsent} not applied, {unknown} unknown");

    // Made while the connection is down: it waits for the next one.
    let read = client.get_data(&path, None);
    line.mend();
    let (_, stat) = read.await?;
    println!(
        "the server counts {} of them; session {} lives",
        stat.version,
        client.session_id()
    );

    line.cut();
    line.mend();
    // Two answers to a lost connection: send again what does no harm twice, or
    // create under a name that can be found again.
    let policy = RetryPolicy::new(5).for_idempotent();
    client
        .retrying(policy)
        .run(|client| client.set_data(&path, b"last", None))
        .await?;
    let found = client
        .create_protected("/reconnect-", b"", CreateMode::EphemeralSequential)
        .await?;
    println!("written again and again if need be; created {found} once");
    Ok(())
}
