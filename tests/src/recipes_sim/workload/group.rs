//! Members of a group who join, change their payload, leave, and are cut off (R06, R19): everybody
//! ends up seeing those who are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Error, GroupMembership};
use zk_sim::runner::{Phase, Stage, Workload};

use crate::recipes_sim::life::{self, bears, connect, is_over, ms};

const GROUP: &str = "/groups/g";

/// Who is to be seen once all is well, with what payload.
type Wanted = Arc<Mutex<BTreeMap<String, String>>>;

/// Members of a group.
#[derive(Debug)]
pub(crate) struct Group {
    hosts: usize,
    wanted: Wanted,
}

impl Group {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            wanted: Wanted::default(),
        }
    }
}

impl Workload for Group {
    fn name(&self) -> &'static str {
        "group"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("group", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let (wanted, all) = (Arc::clone(&self.wanted), self.hosts().len());
        let rng = stage.rng("group");
        Box::pin(async move { belong(&stage, &wanted, all, rng).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move {
            let Some(client) = life::connect_after(&stage).await else {
                return;
            };
            // Those who were killed are gone with their sessions, all others have left.
            let mut left = BTreeSet::new();
            for _ in 0..60 {
                left = client
                    .get_children(GROUP, None)
                    .await
                    .unwrap_or_default()
                    .into_iter()
                    .collect();
                if left.is_empty() {
                    break;
                }
                stage.pause(ms(500, 501)).await;
            }
            if !left.is_empty() {
                stage.fail(format!("no orphans: {left:?} are left in the group"));
            }
            drop(client.close().await);
        })
    }
}

async fn belong(stage: &Stage, wanted: &Wanted, all: usize, mut rng: EnvRng) {
    while stage.goes_on() {
        let Some(client) = connect(stage).await else {
            return;
        };
        tokio::select! {
            biased;
            () = stage.over() => {}
            () = member(stage, &client, wanted, all, &mut rng) => {}
        }
        // Whatever the membership has left goes with the session.
        drop(client.close().await);
    }
}

async fn member(stage: &Stage, client: &Client, wanted: &Wanted, all: usize, rng: &mut EnvRng) {
    while !is_over(client) {
        let payload = rng.below(1_000).to_string();
        let joined = GroupMembership::join(client, GROUP, stage.host(), payload.clone()).await;
        let group = match joined {
            Ok(group) => group,
            Err(error) => {
                // A client that could not say goodbye, or was killed, may have left it.
                if matches!(error, Error::NameTaken { .. }) {
                    let probe = stage.env().probe();
                    probe.reached("recipes: name still taken by a former session");
                } else {
                    bears(stage, GROUP, &error);
                }
                stage.pause(ms(50, 200)).await;
                continue;
            }
        };
        want(wanted, stage.host(), payload);
        for _ in 0..1 + rng.below(30) {
            if rng.below(4) == 0 && stage.phase() < Phase::Healed {
                let payload = rng.below(1_000).to_string();
                if group.set_payload(payload.clone()).is_ok() {
                    want(wanted, stage.host(), payload);
                }
            }
            look(stage, &group, wanted, all);
            stage.pause(ms(20, 300)).await;
        }
        // Once all is well it stays.
        while stage.phase() >= Phase::Healed && !is_over(client) {
            look(stage, &group, wanted, all);
            stage.pause(ms(50, 100)).await;
        }
        if let Err(error) = group.leave().await {
            bears(stage, GROUP, &error);
        } else {
            stage
                .env()
                .probe()
                .reached("recipes: member left and joins again");
        }
    }
}

fn want(wanted: &Wanted, host: &str, payload: String) {
    let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
    wanted.insert(host.to_owned(), payload);
}

/// Progress is made, once all is well, by seeing everybody with what they have said last.
fn look(stage: &Stage, group: &GroupMembership, wanted: &Wanted, all: usize) {
    let members = Arc::clone(&group.members().borrow());
    let seen: BTreeMap<String, String> = members
        .iter()
        .map(|(id, member)| {
            let payload = String::from_utf8_lossy(&member.payload).into_owned();
            (id.clone(), payload)
        })
        .collect();
    let wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
    if stage.phase() < Phase::Healed || (seen.len() == all && seen == *wanted) {
        stage.progress("sees the group");
    }
}
