//! How often a read allocates, counted and compared with what was recorded here.
//! A binary of its own: the counting allocator is the whole process's.
//!
//! Everything in the process counts: client, runtime and the loop that reads. The
//! responder runs in it too, but allocates nothing once it has started.
#![expect(
    clippy::disallowed_methods,
    reason = "the responder is a thread of this test"
)]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpListener};

use dhat::{HeapStats, Profiler};
use zk_benches::{DATA_LEN, PATH, serve_one};
use zk_client::{Client, Error};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const READS: usize = 4_096;
const DEPTH: usize = 256;
/// What chunking of the received bytes may change from run to run.
const TOLERANCE: f64 = 0.1;

/// Allocations per read when this was last changed, on purpose: the slot that the
/// reply is handed over in, and the path, kept for error messages.
const SEQUENTIAL_GET: f64 = 2.0;
const PIPELINED_GET: f64 = 2.0;
const SEQUENTIAL_EXISTS: f64 = 2.0;
const PIPELINED_EXISTS: f64 = 2.0;

#[test]
fn reads_allocate_as_often_as_recorded() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let responder = std::thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        serve_one(stream, DATA_LEN)
    });
    let _profiler = Profiler::builder().testing().build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();

    let counted = runtime.block_on(count_all(&address)).unwrap();
    responder.join().unwrap().unwrap();

    for (name, each, _) in &counted {
        println!(
            "{name:18} {:.2} allocations, {:.0} bytes",
            each.blocks, each.bytes
        );
    }
    for (name, each, recorded) in counted {
        assert!(
            (each.blocks - recorded).abs() <= TOLERANCE,
            "{name}: {:.3} allocations are recorded as {recorded}; if that is on purpose, \
             record it",
            each.blocks,
        );
    }
}

/// What one read allocates, on average.
struct Each {
    blocks: f64,
    bytes: f64,
}

/// Name, count and recorded allocations of every kind of read.
async fn count_all(address: &str) -> Result<[(&'static str, Each, f64); 4], Error> {
    let client = Client::connect(address)
        .await
        .expect("the responder serves");
    let get = || client.get_data(PATH, None);
    let exists = || client.exists(PATH, None);
    let counted = [
        ("sequential get", sequential(get).await?, SEQUENTIAL_GET),
        ("pipelined get", pipelined(get).await?, PIPELINED_GET),
        (
            "sequential exists",
            sequential(exists).await?,
            SEQUENTIAL_EXISTS,
        ),
        (
            "pipelined exists",
            pipelined(exists).await?,
            PIPELINED_EXISTS,
        ),
    ];
    client.close().await?;
    Ok(counted)
}

async fn sequential<T, R>(read: impl Fn() -> R) -> Result<Each, Error>
where
    R: Future<Output = Result<T, Error>>,
{
    for _ in 0..DEPTH {
        read().await?;
    }
    let before = HeapStats::get();
    for _ in 0..READS {
        read().await?;
    }
    Ok(since(&before))
}

/// Keeps [`DEPTH`] reads in flight in a queue that is as large as it will get.
async fn pipelined<T, R>(read: impl Fn() -> R) -> Result<Each, Error>
where
    R: Future<Output = Result<T, Error>>,
{
    let mut in_flight: VecDeque<R> = VecDeque::with_capacity(DEPTH);
    in_flight.extend((0..DEPTH).map(|_| read()));
    for _ in 0..DEPTH {
        next(&mut in_flight, &read).await?;
    }
    let before = HeapStats::get();
    for _ in 0..READS {
        next(&mut in_flight, &read).await?;
    }
    let each = since(&before);
    for last in in_flight {
        last.await?;
    }
    Ok(each)
}

async fn next<T, R>(in_flight: &mut VecDeque<R>, read: &impl Fn() -> R) -> Result<(), Error>
where
    R: Future<Output = Result<T, Error>>,
{
    if let Some(reply) = in_flight.pop_front() {
        reply.await?;
    }
    in_flight.push_back(read());
    Ok(())
}

fn since(before: &HeapStats) -> Each {
    let now = HeapStats::get();
    let each = |count: u64| count as f64 / READS as f64;
    Each {
        blocks: each(now.total_blocks - before.total_blocks),
        bytes: each(now.total_bytes - before.total_bytes),
    }
}
