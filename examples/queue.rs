//! Jobs from one process to whichever of two is free, each job once.

use zk_client::{Client, CreateMode};
use zk_examples::Target;
use zk_recipes::{Error, SimpleQueue};

/// Takes jobs until it is told to stop.
async fn work(queue: &SimpleQueue, name: &str) -> Result<u32, Error> {
    let mut done = 0;
    loop {
        let job = queue.take().await?;
        let data = String::from_utf8_lossy(&job.data);
        println!("{name} takes {}: {data}", job.name);
        if data == "stop" {
            return Ok(done);
        }
        done += 1;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = Target::start().await?;
    let producer = Client::connect(&target.connect_string).await?;
    let (one, other) = tokio::try_join!(
        Client::connect(&target.connect_string),
        Client::connect(&target.connect_string)
    )?;
    let mode = CreateMode::PersistentSequential;
    let path = producer.create("/example-queue-", b"", mode).await?;
    let queue = |client: &Client| SimpleQueue::builder(client, &path).limit(8).build();
    let (jobs, ann, bob) = (queue(&producer)?, queue(&one)?, queue(&other)?);

    for number in 1..=6 {
        jobs.offer(format!("job {number}")).await?;
    }
    for _ in 0..2 {
        jobs.offer("stop").await?;
    }
    match jobs.offer("one too many").await {
        Err(error @ Error::QueueFull { .. }) => println!("{error}"),
        offered => println!("not refused: {offered:?}"),
    }
    let (by_ann, by_bob) = tokio::try_join!(work(&ann, "ann"), work(&bob, "bob"))?;
    println!("{by_ann} jobs by ann, {by_bob} by bob");
    println!("left: {:?}", jobs.poll().await?);

    producer.delete_all(&path).await?;
    tokio::try_join!(producer.close(), one.close(), other.close())?;
    Ok(())
}
