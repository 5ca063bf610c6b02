//! A lock whose holder is cut off for longer than its session: when it comes back, believing
//! what it likes, the server refuses its writes.

use std::time::Duration;

use zk_client::{Client, CreateMode};
use zk_examples::{Line, Target};
use zk_recipes::{Error, Mutex};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let other = Client::connect(&target.connect_string).await?;
    let mode = CreateMode::PersistentSequential;
    let stock = other.create("/example-stock-", b"10", mode).await?;
    let line = Line::to(&target.connect_string).await?;
    let builder = Client::builder(line.connect_string()).session_timeout(Duration::from_secs(1));
    let client = builder.connect().await?;

    let lock = format!("{stock}/lock");
    let guard = Mutex::new(&client, &lock).acquire().await?;
    println!("one has the lock, with token {}", guard.fencing_token());
    let sold = guard.transaction().set_data(&stock, b"9", None);
    sold.commit().await?;
    println!("it wrote 9; now it is cut off: {:?}", guard.current());

    line.cut();
    let next = Mutex::new(&other, &lock).acquire().await?;
    println!("another has it, with token {}", next.fencing_token());
    let sold = next.transaction().set_data(&stock, b"8", None);
    sold.commit().await?;

    line.mend();
    // It does not look at its guard, and writes what it has computed before.
    loop {
        let late = guard.transaction().set_data(&stock, b"9", None);
        match late.commit().await {
            Err(error @ Error::Fenced { .. }) => break println!("the first one: {error}"),
            Err(Error::Client(error)) if error.is_retryable() => {} // not connected yet
            other => return Err(format!("not refused: {other:?}").into()),
        }
    }
    println!("its guard says: lost, {}", guard.lost().await);
    let (data, _) = other.get_data(&stock, None).await?;
    println!("in stock: {}", String::from_utf8_lossy(&data));

    next.release().await?;
    other.delete_all(&stock).await?;
    client.close().await?;
    other.close().await?;
    Ok(())
}
