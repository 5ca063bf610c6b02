//! Apache starts on the files that we leave behind a reconfiguration, and we on Apache's.
//!
//! ```text
//! cargo run -p zk-tests --bin reconfigured
//! ```
//!
//! Three servers, two of which are ours; one is removed and comes back by `reconfig`. Then all
//! stop, and what was ours is started as Apache's and the other way round, on the same
//! `zoo.cfg`, dynamic files and data; and all of that once more. Every time the members are
//! those of the last reconfiguration, nothing written is gone, and the next one works. Exits
//! with 1 and keeps everything if not.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use zk_client::{Client, CreateMode, ErrorCode, Reconfig, RetryPolicy};
use zk_tests::load;
use zk_tests::processes::{Failure, Kind, Processes, until_interrupted};
use zk_tests::wait::{holds_within, ready_within};

/// How long servers may take to have done what they were told.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is removed and comes back.
const MOVING: usize = 2;

/// Exchanges the software under the files of an ensemble.
#[derive(Parser)]
struct Arguments {
    /// The kinds of the three servers in the beginning, two of them different.
    #[arg(long, value_delimiter = ',', default_value = "java,rust,rust")]
    peers: Vec<Kind>,
    /// How often each server becomes one of the other kind.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match until_interrupted(run(&arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reconfigured: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let kinds = &arguments.peers;
    let other = |kind: &Kind| kinds.iter().find(|other| *other != kind).cloned();
    if kinds.len() != 3 || kinds.iter().any(|kind| other(kind).is_none()) {
        return Err("three servers, of two kinds".into());
    }
    let settings = [("reconfigEnabled", "true"), ("skipACL", "yes")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut ensemble = Processes::start(kinds, &settings).await?;
    let played = async {
        let mut written = Vec::new();
        for round in 0..=arguments.rounds {
            if round > 0 {
                exchange(&mut ensemble, &other).await?;
            }
            reconfigure(&mut ensemble, &mut written, round).await?;
        }
        Ok(())
    };
    match played.await {
        Ok(()) => Ok(()),
        Err(error) => Err(ensemble.keep(error)),
    }
}

/// Stops all, and starts each as one of the other kind.
async fn exchange(
    ensemble: &mut Processes,
    other: &impl Fn(&Kind) -> Option<Kind>,
) -> Result<(), Failure> {
    for peer in 0..ensemble.len() {
        ensemble.kill(peer).await?;
    }
    for peer in 0..ensemble.len() {
        let kind = other(ensemble.kind(peer)).ok_or("there is one kind alone")?;
        ensemble.become_kind(peer, kind);
        ensemble.restart(peer)?;
    }
    ensemble.wait_until_all_serve().await
}

/// Removes a server and has it come back; looks whether everything written before is there.
async fn reconfigure(
    ensemble: &mut Processes,
    written: &mut Vec<String>,
    round: usize,
) -> Result<(), Failure> {
    let client = load::connect(ensemble.host(0)).await?;
    for path in &*written {
        let read = client.get_data(path, None).await;
        read.map_err(|error| format!("{path}: {error}"))?;
    }
    let before = configuration(&client).await?;
    let moving = format!("server.{}=", MOVING + 1);
    let line = before.lines().find(|line| line.starts_with(&moving));
    let line = line.ok_or("the server that moves is not there")?.to_owned();
    change(&client, &[], &[MOVING + 1]).await?;
    let path = format!("/round-{round}");
    create(&client, &path).await?;
    written.push(path);
    change(&client, &[line], &[]).await?;
    let after = configuration(&client).await?;
    client.close().await?;
    ensemble.wait_until_all_serve().await?;
    let version = version_of(&after)?.to_owned();
    if version == version_of(&before)? {
        return Err(format!("the version stays {version}").into());
    }
    for peer in 0..ensemble.len() {
        let mut found = String::new();
        let is_written = async || {
            found = files_of(ensemble, peer, &version);
            found.is_empty()
        };
        if !holds_within(PATIENCE, is_written).await {
            return Err(format!("{}: {found}", ensemble.name(peer)).into());
        }
        println!("{} has the files of version {version}", ensemble.name(peer));
    }
    Ok(())
}

/// As long as the one before, or the next members, are not in step, it is refused.
async fn change(client: &Client, joining: &[String], leaving: &[usize]) -> Result<(), Failure> {
    let change = Reconfig::Incremental {
        joining: joining.to_vec(),
        leaving: leaving.iter().map(usize::to_string).collect(),
    };
    let mut last = None;
    let changed = async || match client.reconfig(&change, None).await {
        Ok(_) => true,
        Err(error) => {
            last = Some(error);
            false
        }
    };
    if holds_within(PATIENCE, changed).await {
        return Ok(());
    }
    Err(format!("{change:?}: {last:?}").into())
}

/// A reconfiguration may end its server's role, and connections with it.
async fn create(client: &Client, path: &str) -> Result<(), Failure> {
    let mut last = None;
    let created = async || match client.create(path, b"", CreateMode::Persistent).await {
        Ok(_) => true,
        // Of an attempt whose answer was lost.
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => true,
        Err(error) => {
            last = Some(error);
            false
        }
    };
    if holds_within(PATIENCE, created).await {
        return Ok(());
    }
    Err(format!("{path}: {last:?}").into())
}

async fn configuration(client: &Client) -> Result<String, Failure> {
    let patient = client.retrying(RetryPolicy::new(u32::MAX).for_idempotent());
    let read = patient.run(|client| client.get_config(None));
    let (data, _) = ready_within(PATIENCE, read)
        .await
        .ok_or("no configuration")??;
    Ok(String::from_utf8(data.to_vec())?)
}

fn version_of(configuration: &str) -> Result<&str, Failure> {
    let mut lines = configuration.lines();
    let version = lines.find_map(|line| line.strip_prefix("version="));
    version.ok_or_else(|| format!("no version in {configuration}").into())
}

/// What is wrong with the files of a member that has the configuration of this version.
fn files_of(ensemble: &Processes, peer: usize, version: &str) -> String {
    let dir = ensemble.config_dir(peer);
    let text = fs::read_to_string(dir.join("zoo.cfg")).unwrap_or_default();
    let members = format!("zoo.cfg.dynamic.{version}");
    let names_it = |line: &str| line.starts_with("dynamicConfigFile=") && line.ends_with(&members);
    if !text.lines().any(names_it) || text.contains("server.") {
        return format!("zoo.cfg is {text}");
    }
    if !dir.join("zoo.cfg.bak").exists() {
        return "there is no backup".to_owned();
    }
    if dir.join("zoo.cfg.dynamic.next").exists() {
        return "zoo.cfg.dynamic.next is still there".to_owned();
    }
    let members = fs::read_to_string(dir.join(members)).unwrap_or_default();
    if members.lines().count() != ensemble.len() || members.contains("version") {
        return format!("the members are {members}");
    }
    String::new()
}
