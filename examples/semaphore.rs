//! Workers that share a few leases: two at a time, until somebody makes it three.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Barrier;
use zk_client::{Client, CreateMode};
use zk_examples::Target;
use zk_recipes::{Error, Semaphore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let client = Client::connect(&target.connect_string).await?;
    let mode = CreateMode::PersistentSequential;
    let path = client.create("/example-semaphore-", b"", mode).await?;
    let size = format!("{path}/size");
    let builder = Semaphore::builder(&client, &format!("{path}/downloads"), 2);
    let downloads = builder.size_from(size).build()?;

    let (at_work, most) = (AtomicU32::new(0), AtomicU32::new(0));
    // So that as many as may are at work together.
    let together = [Barrier::new(2), Barrier::new(3)];
    let work = async |worker: u32, together: &Barrier| -> Result<(), Error> {
        let lease = downloads.acquire().await?;
        let now = at_work.fetch_add(1, SeqCst) + 1;
        most.fetch_max(now, SeqCst);
        println!(
            "worker {worker} has a lease, token {}",
            lease.fencing_token()
        );
        together.wait().await;
        at_work.fetch_sub(1, SeqCst);
        lease.release().await
    };
    let two = &together[0];
    tokio::try_join!(work(1, two), work(2, two), work(3, two), work(4, two))?;
    println!("at most {} at a time", most.load(SeqCst));

    let (one, other) = tokio::try_join!(downloads.acquire(), downloads.acquire())?;
    println!(
        "a third one at once: {:?}",
        downloads.try_acquire().await?.map(|_| ())
    );
    let late = downloads.acquire_within(Duration::from_millis(100)).await;
    println!("or after a while: {:?}", late.map(drop));
    downloads.resize(3).await?;
    let third = downloads.acquire().await?;
    println!("with three leases: token {}", third.fencing_token());
    tokio::try_join!(one.release(), other.release(), third.release())?;

    let three = &together[1];
    tokio::try_join!(work(5, three), work(6, three), work(7, three))?;
    println!("at most {} at a time", most.load(SeqCst));

    client.delete_all(&path).await?;
    client.close().await?;
    Ok(())
}
