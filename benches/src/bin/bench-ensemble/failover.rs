//! From the end of the leader's process to the first write that a survivor acknowledges.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at clocks")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zk_benches::DATA_LEN;
use zk_client::{Client, CreateMode, Error, ErrorCode};

use crate::Result;
use crate::args::Failover;
use crate::phases::Phase;
use crate::servers::Servers;
use crate::table::{Better, Table};

const SERVERS: usize = 3;
const PATH: &str = "/bench-failover";
/// No ensemble takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(failover: &Failover) -> Result<()> {
    let mut contestants = Vec::new();
    for system in &failover.systems.systems {
        contestants.push(Servers::start(system, SERVERS, &failover.systems.dir).await?);
    }
    let names: Vec<_> = contestants.iter().map(Servers::name).collect();
    let title = "leader killed to first acknowledged write, ms".to_owned();
    let mut table =
        Table::new(title, Better::Less, 0, &names).with_extras(&Phase::ALL.map(Phase::title));
    for round in 0..failover.rounds.warm_up + failover.rounds.rounds {
        for (row, servers) in contestants.iter_mut().enumerate() {
            let measured = measure(servers, round as usize, &failover.backoff_ms).await?;
            if round >= failover.rounds.warm_up {
                table.add(row, measured.millis, &measured.phases);
            }
        }
    }
    println!("{}\n{table}\n", table.head());
    Ok(())
}

struct Measured {
    millis: f64,
    /// When each was reached.
    phases: [Option<f64>; Phase::ALL.len()],
}

/// One client has its session with the leader in one round of three, and with each of the
/// followers in another.
async fn measure(servers: &mut Servers, round: usize, backoff_ms: &[u64]) -> Result<Measured> {
    let leader = servers.leader().await?;
    let first = (leader - 1 + round) % SERVERS + 1;
    let backoff = |at: usize| Duration::from_millis(backoff_ms.get(at).copied().unwrap_or(1));
    let client = Client::builder(&servers.connect_string(first))
        .shuffle(false)
        .reconnect_backoff(backoff(0), backoff(1))
        .connect()
        .await?;
    match client
        .create(PATH, [0; DATA_LEN], CreateMode::Persistent)
        .await
    {
        Ok(_)
        | Err(Error::Server {
            code: ErrorCode::NodeExists,
            ..
        }) => {}
        Err(error) => return Err(error.into()),
    }
    client.set_data(PATH, [1; DATA_LEN], None).await?;

    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let begin = Instant::now();
    // It answers nobody any more when this returns.
    servers.kill(leader)?;
    until_written(&client, begin).await?;
    let millis = begin.elapsed().as_secs_f64() * 1e3;

    client.close().await?;
    let since = since.as_secs_f64() % (24.0 * 3600.0);
    let logs = servers.logs()?;
    let phases = Phase::ALL.map(|phase| phase.millis_after(since, &logs));
    servers.launch(leader)?;
    servers.wait_until_all_serve().await?;
    Ok(Measured { millis, phases })
}

/// Writes again and again; a call that is made without a connection waits for the next.
async fn until_written(client: &Client, begin: Instant) -> Result<()> {
    loop {
        match client.set_data(PATH, [2; DATA_LEN], None).await {
            Ok(_) => return Ok(()),
            Err(error) if begin.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => {}
        }
    }
}
