//! Our own side.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark looks at clocks, and pauses where nothing is measured"
)]

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use zk_client::{Client, CreateMode};
use zk_recipes::{LeaderLatch, Mutex};

use crate::Result;
use crate::workload::Workload;

type Measured = Result<Vec<Duration>>;

/// For those in line, to look who is ahead of them.
const SETTLE: Duration = Duration::from_millis(10);

/// Takes orders until there are no more.
pub(crate) fn obey(connect: &str, root: &str, is_floor: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let recipes = runtime.block_on(Recipes::start(connect, root))?;
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for order in io::stdin().lock().lines() {
        let order = order?;
        let (word, amount) = order.split_once(' ').ok_or("not an order")?;
        let workload = Workload::ALL.into_iter().find(|it| it.word() == word);
        let workload = workload.ok_or("an unknown order")?;
        let amount = amount.parse()?;
        // In a task, as in an application.
        let recipes = recipes.clone();
        let task = runtime.spawn(async move { recipes.work(workload, amount, is_floor).await });
        let nanos = runtime.block_on(task)??;
        let nanos: Vec<_> = nanos.iter().map(|it| it.as_nanos().to_string()).collect();
        writeln!(out, "{}", nanos.join(" "))?;
        out.flush()?;
    }
    Ok(())
}

#[derive(Clone)]
struct Recipes {
    connect: String,
    root: String,
    one: Client,
    other: Client,
}

impl Recipes {
    async fn start(connect: &str, root: &str) -> Result<Self> {
        Ok(Self {
            connect: connect.to_owned(),
            root: root.to_owned(),
            one: Client::connect(connect).await?,
            other: Client::connect(connect).await?,
        })
    }

    async fn work(&self, workload: Workload, amount: u64, is_floor: bool) -> Measured {
        match (workload, is_floor) {
            (Workload::Uncontended, false) => self.uncontended(amount).await,
            (Workload::Uncontended, true) => self.floor(amount).await,
            (Workload::Handoff, false) => self.handoff(amount).await,
            (Workload::Failover, false) => self.failover(amount).await,
            (Workload::Handoff | Workload::Failover, true) => Ok(Vec::new()),
        }
    }

    async fn uncontended(&self, millis: u64) -> Measured {
        let lock = Mutex::new(&self.one, &self.lock());
        let (mut times, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < Duration::from_millis(millis) {
            let start = Instant::now();
            lock.acquire().await?.release().await?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    /// What a lock asks, one after the other.
    async fn floor(&self, millis: u64) -> Measured {
        let (path, place) = (self.lock(), format!("{}/lock-", self.lock()));
        let (mut times, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < Duration::from_millis(millis) {
            let start = Instant::now();
            let mode = CreateMode::EphemeralSequential;
            let (created, _) = self.one.create2(&place, b"", mode).await?;
            self.one.get_children(&path, None).await?;
            self.one.delete(&created, None).await?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    async fn handoff(&self, count: u64) -> Measured {
        let mine = Mutex::new(&self.one, &self.lock());
        let theirs = Mutex::new(&self.other, &self.lock());
        let mut times = Vec::new();
        for _ in 0..count {
            let guard = mine.acquire().await?;
            let theirs = theirs.clone();
            let waiting = tokio::spawn(async move {
                let guard = theirs.acquire().await?;
                let acquired = Instant::now();
                guard.release().await?;
                Result::Ok(acquired)
            });
            self.until(2, &self.lock()).await?;
            let released = Instant::now();
            guard.release().await?;
            let acquired = waiting.await.expect("it does not panic")?;
            times.push(acquired - released);
            self.until(0, &self.lock()).await?;
        }
        Ok(times)
    }

    async fn failover(&self, count: u64) -> Measured {
        let path = format!("{}/leader", self.root);
        let latch = |client: &Client, id: &str| LeaderLatch::builder(client, &path).id(id).build();
        let mut times = Vec::new();
        for _ in 0..count {
            let doomed = Client::connect(&self.connect).await?;
            let leader = latch(&doomed, "one")?.campaign().await?;
            let next = latch(&self.other, "other")?;
            let waiting = tokio::spawn(async move {
                let guard = next.campaign().await?;
                let leads = Instant::now();
                guard.release().await?;
                Result::Ok(leads)
            });
            self.until(2, &path).await?;
            let closed = Instant::now();
            doomed.close().await?;
            let leads = waiting.await.expect("it does not panic")?;
            times.push(leads - closed);
            drop(leader);
            self.until(0, &path).await?;
        }
        Ok(times)
    }

    /// Until as many are in line, and have had the time to look who is ahead of them.
    async fn until(&self, count: usize, path: &str) -> Result<()> {
        while self.one.get_children(path, None).await?.len() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if count > 0 {
            tokio::time::sleep(SETTLE).await;
        }
        Ok(())
    }

    fn lock(&self) -> String {
        format!("{}/lock", self.root)
    }
}
