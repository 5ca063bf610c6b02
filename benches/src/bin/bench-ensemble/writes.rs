//! Durable writes per second.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at clocks")]

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use zk_benches::{DATA_LEN, process_cpu};
use zk_client::{Client, CreateMode, Reply};

use crate::args::Writes;
use crate::servers::Servers;
use crate::table::{Better, Table, median};
use crate::{Result, fsync};

/// Deletes under way at once when a round is cleared away.
const CLEARING: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Set,
    Create,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "set",
            Self::Create => "create",
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Workload {
    operation: Operation,
    in_flight: usize,
    millis: u64,
}

pub(crate) async fn run(writes: &Writes) -> Result<()> {
    for count in &writes.servers {
        run_on(writes, *count).await?;
    }
    Ok(())
}

/// Everything on as many servers of each system, which are there all the time.
async fn run_on(writes: &Writes, count: usize) -> Result<()> {
    let mut contestants = Vec::new();
    for system in &writes.systems.systems {
        let servers = Servers::start(system, count, &writes.systems.dir).await?;
        contestants.push(Contestant::connect(servers, writes.sessions).await?);
    }
    let names: Vec<_> = contestants.iter().map(|it| it.servers.name()).collect();
    let mut tables: Vec<_> = workloads(writes)
        .map(|workload| (workload, table(workload, count, &names)))
        .collect();
    let mut syncs = Vec::new();
    for round in 0..writes.rounds.warm_up + writes.rounds.rounds {
        syncs.push(fsync::micros(&writes.systems.dir)?);
        for (workload, table) in &mut tables {
            for (row, contestant) in contestants.iter().enumerate() {
                let measured = contestant.measure(*workload, round).await?;
                if round >= writes.rounds.warm_up {
                    table.add(row, measured.per_second, &measured.cpu_micros);
                }
            }
        }
    }
    if let Some(sync) = median(&syncs) {
        println!("One fdatasync of a small record: {sync:.0} µs.\n");
    }
    if let Some((_, first)) = tables.first() {
        println!("{}", first.head());
    }
    for (_, table) in tables {
        println!("{table}");
    }
    println!();
    Ok(())
}

fn workloads(writes: &Writes) -> impl Iterator<Item = Workload> {
    [Operation::Set, Operation::Create]
        .into_iter()
        .flat_map(move |operation| {
            writes.in_flight.iter().map(move |in_flight| Workload {
                operation,
                in_flight: *in_flight,
                millis: writes.millis,
            })
        })
}

fn table(workload: Workload, servers: usize, names: &[&str]) -> Table {
    let Workload {
        operation,
        in_flight,
        ..
    } = workload;
    let servers = match servers {
        1 => "1 server".to_owned(),
        _ => format!("{servers} servers"),
    };
    let title = format!("{operation}, {servers}, {in_flight} in flight, per second");
    Table::new(title, Better::More, 0, names).with_extras(&["CPU µs", "client µs"])
}

/// A system's servers and sessions with all of them.
struct Contestant {
    servers: Servers,
    sessions: Vec<Client>,
}

struct Measured {
    per_second: f64,
    /// Of all servers and of the client, for each write.
    cpu_micros: [Option<f64>; 2],
}

impl Contestant {
    /// Sessions are spread over the servers evenly, each with a znode of its own.
    async fn connect(servers: Servers, count: usize) -> Result<Self> {
        let mut sessions = Vec::new();
        for at in 0..count {
            let first = at % servers.count() + 1;
            // Waiting awake would take from the servers what they need.
            let client = Client::builder(&servers.connect_string(first))
                .shuffle(false)
                .busy_poll(Duration::ZERO)
                .session_timeout(Duration::from_secs(40))
                .connect()
                .await?;
            let data = [0; DATA_LEN];
            client
                .create(&znode(at), data, CreateMode::Persistent)
                .await?;
            sessions.push(client);
        }
        Ok(Self { servers, sessions })
    }

    /// One round, and what it has created is deleted again.
    async fn measure(&self, workload: Workload, round: u32) -> Result<Measured> {
        let count = self.sessions.len().min(workload.in_flight);
        let cpu = self.cpu();
        let begin = Instant::now();
        let until = begin + Duration::from_millis(workload.millis);
        let mut tasks = Vec::new();
        for (at, client) in self.sessions.iter().take(count).enumerate() {
            // The remainder goes to the first ones.
            let extra = usize::from(at < workload.in_flight % count);
            let writer = Writer {
                client: client.clone(),
                operation: workload.operation,
                znode: znode(at),
                round,
                in_flight: workload.in_flight / count + extra,
            };
            tasks.push(tokio::spawn(async move {
                let written = writer.write(until).await?;
                Result::Ok((writer, written))
            }));
        }
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await.map_err(|_| "a writer has panicked")??);
        }
        let took = begin.elapsed();
        let after = self.cpu();
        let count: u64 = done.iter().map(|(_, written)| written).sum();
        if workload.operation == Operation::Create {
            for (writer, written) in &done {
                writer.clear(*written).await?;
            }
        }
        Ok(Measured {
            per_second: count as f64 / took.as_secs_f64(),
            cpu_micros: [0, 1].map(|whose| {
                let used = after[whose]?.saturating_sub(cpu[whose]?);
                Some(used.as_secs_f64() * 1e6 / count as f64)
            }),
        })
    }

    /// Of all servers and of the client, so far.
    fn cpu(&self) -> [Option<Duration>; 2] {
        [self.servers.cpu(), process_cpu()]
    }
}

fn znode(at: usize) -> String {
    format!("/bench-{at}")
}

/// Keeps some writes of one session under way.
struct Writer {
    client: Client,
    operation: Operation,
    znode: String,
    round: u32,
    in_flight: usize,
}

/// An answer that is awaited, whatever it says besides.
enum Pending {
    Set(Reply<zk_client::Stat>),
    Create(Reply<String>),
}

impl Writer {
    /// Until the time is up and all is answered; how many there were.
    async fn write(&self, until: Instant) -> Result<u64> {
        let mut pending = VecDeque::new();
        let mut count = 0;
        while Instant::now() < until {
            while pending.len() < self.in_flight {
                pending.push_back(self.next(count));
                count += 1;
            }
            if let Some(next) = pending.pop_front() {
                next.answered().await?;
            }
        }
        for next in pending {
            next.answered().await?;
        }
        Ok(count)
    }

    fn next(&self, at: u64) -> Pending {
        let data = [at as u8; DATA_LEN];
        match self.operation {
            Operation::Set => Pending::Set(self.client.set_data(&self.znode, data, None)),
            Operation::Create => {
                let mode = CreateMode::Persistent;
                Pending::Create(self.client.create(&self.child(at), data, mode))
            }
        }
    }

    fn child(&self, at: u64) -> String {
        format!("{}/{}-{at}", self.znode, self.round)
    }

    /// Deletes as many children.
    async fn clear(&self, count: u64) -> Result<()> {
        let mut pending = VecDeque::new();
        for at in 0..count {
            if pending.len() == CLEARING
                && let Some(reply) = pending.pop_front()
            {
                let reply: Reply<()> = reply;
                reply.await?;
            }
            pending.push_back(self.client.delete(&self.child(at), None));
        }
        for reply in pending {
            reply.await?;
        }
        Ok(())
    }
}

impl Pending {
    async fn answered(self) -> Result<()> {
        match self {
            Self::Set(reply) => drop(reply.await?),
            Self::Create(reply) => drop(reply.await?),
        }
        Ok(())
    }
}
