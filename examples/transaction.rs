//! Writes that take effect together or not at all, and how a refused transaction
//! says which operation was to blame.

use zk_client::{Client, CreateMode, Error, OpResult};
use zk_examples::Target;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let session = Client::connect(&target.connect_string).await?;
    let root = session
        .create("/stock-", b"", CreateMode::PersistentSequential)
        .await?;
    let client = session.chroot(&root)?;

    client
        .transaction()
        .create("/here", b"10", CreateMode::Persistent)
        .create("/there", b"0", CreateMode::Persistent)
        .commit()
        .await?;

    // Moves three, if nobody else has touched either place since version 0, and
    // leaves a numbered receipt.
    let results = client
        .transaction()
        .set_data("/here", b"7", 0)
        .set_data("/there", b"3", 0)
        .create("/receipt-", b"3", CreateMode::PersistentSequential)
        .commit()
        .await?;
    for result in &results {
        match result {
            OpResult::SetData(stat) => println!("moved, now version {}", stat.version),
            OpResult::Create(path) => println!("receipt at {path}"),
            other => println!("{other:?}"),
        }
    }

    // The same again from what is now an old version: nothing changes.
    let again = client
        .transaction()
        .set_data("/there", b"6", None)
        .set_data("/here", b"4", 0);
    match again.commit().await {
        Err(Error::Transaction { index, code, path }) => {
            println!("refused because of operation {index}, {path}: {code}");
        }
        other => println!("not refused: {other:?}"),
    }
    for place in ["/here", "/there"] {
        let (count, stat) = client.get_data(place, None).await?;
        println!("{place} has {count:?} in version {}", stat.version);
    }

    session.delete_all(&root).await?;
    session.close().await?;
    Ok(())
}
