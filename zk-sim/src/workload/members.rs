//! An operator who changes the members of an ensemble while others work (E28): servers leave
//! and join, the spare one too, voters become observers and voters again.

use std::collections::BTreeMap;

use bytes::Bytes;
use zk_client::{Error, ErrorCode, Reconfig};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{bears, builder, close, connect, hosts, ms, one_of};
use crate::history::RecordedClient;
use crate::model::Settings;
use crate::runner::{CLIENT_PORT, OBSERVER, Run, Stage, Workload, id_of, server_line};

/// Who may change members.
const SUPER: &str = "super:admin";
const SUPER_DIGEST: &str = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";
/// Voters below which the operator takes none away: of two, both are needed.
const FEWEST_VOTERS: usize = 3;

/// The run with servers that know the operator.
pub(crate) fn with_operator(run: Run) -> Run {
    let config = zk_server::ServerConfig::embedded().super_digest(SUPER_DIGEST);
    let model = Settings {
        super_digest: Some(SUPER_DIGEST.to_owned()),
        ..Settings::default()
    };
    run.server(config, model)
}

/// The operator.
#[derive(Debug)]
pub(super) struct Members;

impl Workload for Members {
    fn name(&self) -> &'static str {
        "members"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("members", 1)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move {
            let mut rng = stage.rng("members");
            let Some(client) = connect(&stage, || builder(&stage).auth("digest", SUPER)).await
            else {
                return;
            };
            while stage.goes_on() {
                change(&stage, &client, &mut rng).await;
                stage.pause(ms(200, 4_000)).await;
            }
            close(client).await;
        })
    }
}

/// Asks for one change of what a server says is in force.
async fn change(stage: &Stage, client: &RecordedClient, rng: &mut EnvRng) {
    let now = match client.get_data("/zookeeper/config", None).await {
        Ok((text, _)) => Config::parse(&text),
        Err(error) => {
            bears(stage, "the members", &error);
            return;
        }
    };
    let servers: Vec<String> = stage.connect_string().split(',').map(host_of).collect();
    let change = now.draw(&servers, rng);
    // Now and then whatever was decided meanwhile is not to be undone.
    let version = (rng.below(3) == 0).then_some(now.version);
    match client.reconfig(&change, version).await {
        Ok(_) => stage.progress("change"),
        Err(error) if is_refusal(&error) => stage.progress("refusal"),
        Err(error) => _ = bears(stage, "a change of members", &error),
    }
}

fn host_of(server: &str) -> String {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    host.to_owned()
}

/// A change that cannot be made now, or by which an ensemble that has fixed members is not bound.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::ReconfigInProgress
                | ErrorCode::NewConfigNoQuorum
                | ErrorCode::BadVersion
                | ErrorCode::ReconfigDisabled
        )
    )
}

/// Members by id, and whether each has a vote.
#[derive(Debug, PartialEq, Eq)]
struct Config {
    votes: BTreeMap<usize, bool>,
    version: i64,
}

impl Config {
    fn parse(text: &Bytes) -> Self {
        let text = String::from_utf8_lossy(text).into_owned();
        let member = |line: &str| {
            let (key, value) = line.strip_prefix("server.")?.split_once('=')?;
            Some((key.parse().ok()?, value.contains(":participant")))
        };
        let version = |line: &str| i64::from_str_radix(line.strip_prefix("version=")?, 16).ok();
        Self {
            votes: text.lines().filter_map(member).collect(),
            version: text.lines().find_map(version).unwrap_or(0),
        }
    }

    fn votes(&self) -> usize {
        self.votes.values().filter(|votes| **votes).count()
    }

    /// Whoever is out joins, or else somebody leaves, or votes from now on or no more; now and
    /// then with the whole list instead of the difference.
    fn draw(&self, servers: &[String], rng: &mut EnvRng) -> Reconfig {
        let host = one_of(rng, servers);
        let id = id_of(host).unwrap_or_default();
        let vote = self.votes.get(&id).copied();
        let may_vote = !host.starts_with(OBSERVER);
        let loses_vote = vote == Some(true) && self.votes() > FEWEST_VOTERS && rng.below(3) == 0;
        let leaves = match vote {
            Some(true) => self.votes() > FEWEST_VOTERS,
            Some(false) => !may_vote || rng.below(3) == 0,
            None => false,
        };
        let votes = may_vote && !loses_vote;
        if rng.below(4) == 0 {
            return self.whole(servers, (id, (loses_vote || !leaves).then_some(votes)));
        }
        if leaves && !loses_vote {
            return Reconfig::Incremental {
                joining: Vec::new(),
                leaving: vec![id.to_string()],
            };
        }
        Reconfig::Incremental {
            joining: vec![line(host, votes)],
            leaving: Vec::new(),
        }
    }

    fn whole(&self, servers: &[String], (changed, vote): (usize, Option<bool>)) -> Reconfig {
        let mut votes = self.votes.clone();
        match vote {
            Some(vote) => _ = votes.insert(changed, vote),
            None => _ = votes.remove(&changed),
        }
        let hosts = servers.iter();
        let lines = hosts.filter_map(|host| Some(line(host, *votes.get(&id_of(host)?)?)));
        Reconfig::Whole(lines.collect())
    }
}

fn line(host: &str, votes: bool) -> String {
    let role = if votes { "participant" } else { "observer" };
    format!("{};{CLIENT_PORT}", server_line(host, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse(&Bytes::from_static(
            b"server.1=peer-1:2888:3888:participant;0.0.0.0:2181\n\
              server.2=peer-2:2888:3888:participant;0.0.0.0:2181\n\
              server.3=peer-3:2888:3888:participant;0.0.0.0:2181\n\
              server.4=observer-4:2888:3888:observer;0.0.0.0:2181\n\
              version=10000000a",
        ))
    }

    #[test]
    fn a_configuration_tells_who_votes() {
        let config = config();
        assert_eq!(config.votes(), 3);
        assert_eq!(config.votes.len(), 4);
        assert_eq!(config.version, 0x1_0000_000a);
    }

    #[test]
    fn three_voters_stay_and_observers_never_vote() {
        let servers = ["peer-1", "peer-2", "peer-3", "observer-4", "spare-5"];
        let servers = servers.map(str::to_owned);
        let mut rng = EnvRng::from_seed(1);
        for _ in 0..500 {
            let (lines, leaving) = match config().draw(&servers, &mut rng) {
                Reconfig::Incremental { joining, leaving } => (joining, leaving),
                Reconfig::Whole(lines) => {
                    let voters = lines.iter().filter(|line| line.contains("participant"));
                    assert!(voters.count() >= FEWEST_VOTERS, "{lines:?}");
                    (lines, Vec::new())
                }
            };
            assert!(leaving.iter().all(|id| id == "4"), "{leaving:?}");
            for line in lines {
                let is_observer = line.contains("observer-");
                assert!(!is_observer || line.contains(":observer;"), "{line}");
            }
        }
    }
}
