//! Values near the limit of a frame, over links that may be narrow, and queues that
//! fill up (C31, C32).

use zk_client::{Error, QueueLimit};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{bears, builder, close, connect, establish, hosts, ms};
use crate::history::RecordedClient;
use crate::runner::{SERVER, Stage, Workload};

/// Who writes and reads.
const WORKERS: usize = 1;
/// Bytes of the largest value; frames have 1 MiB, requests a little besides.
const LARGEST: u64 = 1_000_000;
/// Bytes that a client queues: less than two of the largest.
const QUEUED_BYTES: usize = 1_500_000;
/// Of a narrow link: the largest value takes longer than some sessions last.
const BYTES_PER_SECOND: u64 = 150_000;
/// Requests that a client queues.
const QUEUED: usize = 64;

/// A writer of large values with a small queue.
#[derive(Debug)]
pub(super) struct Large;

impl Workload for Large {
    fn name(&self) -> &'static str {
        "large"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("large", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move { work(&stage).await })
    }
}

async fn work(stage: &Stage) {
    let mut rng = stage.rng("large");
    let settings = || {
        builder(stage)
            .queue_limits(QUEUED, QUEUED_BYTES)
            .max_in_flight(8)
    };
    let Some(client) = connect(stage, settings).await else {
        return;
    };
    let path = format!("/large/{}", stage.host());
    if establish(stage, &client, &path).await {
        while stage.goes_on() {
            write(stage, &client, &path, &mut rng).await;
            let narrow = (rng.below(3) == 0).then(|| Narrow::new(stage));
            read(stage, &client, &path).await;
            drop(narrow);
            fill_queue(stage, &client, &path).await;
            stage.pause(ms(1_000, 5_000)).await;
        }
    }
    close(client).await;
}

/// A link so narrow that a large value takes seconds, as long as this lives.
struct Narrow<'s>(&'s Stage);

impl<'s> Narrow<'s> {
    fn new(stage: &'s Stage) -> Self {
        let sim = stage.sim();
        sim.bandwidth(stage.host(), SERVER, BYTES_PER_SECOND);
        Self(stage)
    }
}

impl Drop for Narrow<'_> {
    fn drop(&mut self) {
        let Self(stage) = self;
        let sim = stage.sim();
        sim.end_bandwidth(stage.host(), SERVER, BYTES_PER_SECOND);
    }
}

/// The value tells its own length and every byte of it.
fn value(length: u64) -> Vec<u8> {
    let byte = (length % 251) as u8;
    vec![byte; usize::try_from(length).unwrap_or(usize::MAX)]
}

fn is_whole(data: &[u8]) -> bool {
    let byte = (data.len() % 251) as u8;
    data.iter().all(|found| *found == byte)
}

async fn write(stage: &Stage, client: &RecordedClient, path: &str, rng: &mut EnvRng) {
    let length = if rng.below(4) == 0 {
        LARGEST
    } else {
        1 + rng.below(LARGEST / 10)
    };
    match client.set_data(path, value(length), None).await {
        Ok(_) => stage.progress("write"),
        Err(error) => {
            bears(stage, path, &error);
        }
    }
}

async fn read(stage: &Stage, client: &RecordedClient, path: &str) {
    match client.get_data(path, None).await {
        Ok((data, stat)) => {
            let length = usize::try_from(stat.data_length).unwrap_or(usize::MAX);
            if data.len() != length || !is_whole(&data) {
                stage.fail(format!(
                    "{path}: {} bytes of {length}, or others",
                    data.len()
                ));
            }
            stage.progress("read");
        }
        Err(error) => {
            bears(stage, path, &error);
        }
    }
}

/// More than the queue holds, at once: what does not fit says so, and only that.
async fn fill_queue(stage: &Stage, client: &RecordedClient, path: &str) {
    if let Err(error) = client.ready().await {
        bears(stage, path, &error);
        return;
    }
    let calls: Vec<_> = (0..QUEUED + 8).map(|_| client.exists(path, None)).collect();
    let mut refused = 0;
    for call in calls {
        match call.await {
            Err(Error::QueueFull {
                limit: QueueLimit::Requests(QUEUED),
            }) => refused += 1,
            Err(error) => {
                bears(stage, path, &error);
            }
            Ok(_) => {}
        }
    }
    if refused == 0 {
        stage.fail(format!("{} calls found room for {QUEUED}", QUEUED + 8));
    }
    stage.progress("full queue");
}
