//! The workloads, the same code for every client.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use futures_util::StreamExt;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use zk_benches::DATA_LEN;

use crate::Result;
use crate::client::Gets;

/// Gets in flight in the pipelined workloads.
pub const DEPTH: usize = 256;

/// What a client is made to do: get the same 100 bytes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Always 256 gets in flight; whichever is ready is taken.
    Pipelined,
    /// Always 256 gets in flight; awaited in the order they were made.
    PipelinedInOrder,
    /// One get after the other.
    Sequential,
}

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pipelined => "pipelined get, 256 in flight, taken as they complete",
            Self::PipelinedInOrder => "pipelined get, 256 in flight, awaited in order",
            Self::Sequential => "sequential get",
        }
    }

    /// Works for about `span`, leaves nothing in flight, and returns how many gets
    /// were answered.
    pub async fn run<C: Gets>(self, client: &C, span: Duration) -> Result<u64> {
        let until = Until::new(Instant::now() + span);
        match self {
            Self::Pipelined => pipelined(client, until).await,
            Self::PipelinedInOrder if C::SENDS_WHEN_CALLED => in_order(client, until).await,
            Self::PipelinedInOrder => in_order_by_polling(client, until).await,
            Self::Sequential => sequential(client, until).await,
        }
    }
}

async fn pipelined(client: &impl Gets, mut until: Until) -> Result<u64> {
    let mut in_flight: FuturesUnordered<_> = (0..DEPTH).map(|_| client.get()).collect();
    let mut answered = 0;
    while let Some(reply) = in_flight.next().await {
        count(&mut answered, reply)?;
        if until.more() {
            in_flight.push(client.get());
        }
    }
    Ok(answered)
}

async fn in_order(client: &impl Gets, mut until: Until) -> Result<u64> {
    let mut in_flight: VecDeque<_> = (0..DEPTH).map(|_| client.get()).collect();
    let mut answered = 0;
    while let Some(reply) = in_flight.pop_front() {
        count(&mut answered, reply.await)?;
        if until.more() {
            in_flight.push_back(client.get());
        }
    }
    Ok(answered)
}

/// For clients that send nothing before they are polled.
async fn in_order_by_polling(client: &impl Gets, mut until: Until) -> Result<u64> {
    let mut in_flight: FuturesOrdered<_> = (0..DEPTH).map(|_| client.get()).collect();
    let mut answered = 0;
    while let Some(reply) = in_flight.next().await {
        count(&mut answered, reply)?;
        if until.more() {
            in_flight.push_back(client.get());
        }
    }
    Ok(answered)
}

async fn sequential(client: &impl Gets, mut until: Until) -> Result<u64> {
    let mut answered = 0;
    while until.more() {
        count(&mut answered, client.get().await)?;
    }
    Ok(answered)
}

/// Whether to go on.
pub struct Until {
    end: Instant,
    over: bool,
    asked: u32,
}

impl Until {
    pub fn new(end: Instant) -> Self {
        Self {
            end,
            over: false,
            asked: 0,
        }
    }

    /// Looks at the clock every 16th time only, so that reading it does not count.
    pub fn more(&mut self) -> bool {
        if self.asked.is_multiple_of(16) {
            self.over |= Instant::now() >= self.end;
        }
        self.asked = self.asked.wrapping_add(1);
        !self.over
    }
}

fn count(answered: &mut u64, reply: Result<usize>) -> Result<()> {
    let length = reply?;
    if length != DATA_LEN {
        return Err(format!("a get returned {length} bytes").into());
    }
    *answered += 1;
    Ok(())
}
