//! Recipes beside those of other languages' clients, on the same server in the same run:
//! `benches/recipes.sh` prepares everything and calls it; `benches/README.md` says which
//! question each figure answers.

mod args;
mod contestant;
mod ours;
mod table;
mod workload;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use zk_benches::Backend;
use zk_client::{Client, CreateMode};

use args::{Args, Command, Compare};
use contestant::Contestant;
use table::Table;
use workload::Workload;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Compare(compare) => run(&compare),
        Command::Contestant {
            connect,
            root,
            is_floor,
        } => ours::obey(&connect, &root, is_floor),
    }
}

/// The server of the run: a process of our own, or somebody else's.
fn run(compare: &Compare) -> Result<()> {
    let backend = compare.server.as_deref().map(Backend::start).transpose()?;
    let connect = match (&backend, &compare.connect) {
        (Some(backend), _) => backend.connect_string(),
        (None, Some(connect)) => connect,
        (None, None) => return Err("either --server or --connect".into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let roots = runtime.block_on(create_roots(connect, 2 + compare.peers.len()))?;
    let tables = measure(compare, connect, &roots);
    runtime.block_on(delete_roots(connect, &roots))?;
    for (workload, table) in tables? {
        println!("{}\n{table}", workload.title());
    }
    Ok(())
}

/// A persistent znode per contestant, with all that recipes would make and a server reap.
async fn create_roots(connect: &str, count: usize) -> Result<Vec<String>> {
    let client = Client::connect(connect).await?;
    let mut roots = Vec::new();
    for _ in 0..count {
        let mode = CreateMode::PersistentSequential;
        let root = client.create("/bench-recipes-", b"", mode).await?;
        for line in ["lock", "leader"] {
            let line = format!("{root}/{line}");
            client.create(&line, b"", CreateMode::Persistent).await?;
        }
        roots.push(root);
    }
    client.close().await?;
    Ok(roots)
}

async fn delete_roots(connect: &str, roots: &[String]) -> Result<()> {
    let client = Client::connect(connect).await?;
    for root in roots {
        client.delete_all(root).await?;
    }
    Ok(client.close().await?)
}

/// All rounds, interleaved: a noisy neighbour is everybody's.
fn measure(compare: &Compare, connect: &str, roots: &[String]) -> Result<Vec<(Workload, Table)>> {
    let this: PathBuf = std::env::current_exe()?;
    let (ours, floor) = (["contestant"], ["contestant", "--floor"]);
    let mut programs = vec![
        ("zk-recipes", &this, &ours[..]),
        ("its requests alone", &this, &floor[..]),
    ];
    let peers = compare.peers.iter();
    programs.extend(peers.map(|peer| (peer.name.as_str(), &peer.program, &[][..])));
    let mut contestants = Vec::new();
    for ((name, program, args), root) in programs.into_iter().zip(roots) {
        contestants.push(Contestant::start(name, program, args, connect, root)?);
    }
    let names: Vec<_> = contestants.iter().map(Contestant::name).collect();
    let mut tables: Vec<_> = Workload::ALL
        .into_iter()
        .map(|workload| (workload, Table::new(&names)))
        .collect();
    for round in 0..compare.warm_up + compare.rounds {
        for (workload, table) in &mut tables {
            for (row, contestant) in contestants.iter_mut().enumerate() {
                let nanos = contestant.order(*workload, compare.amount(*workload))?;
                if round >= compare.warm_up {
                    table.add(row, nanos);
                }
            }
        }
    }
    Ok(tables)
}
