//! A mutex with somebody in the same directory who ends sessions, deletes contenders and parents,
//! leaves foreign children and withdraws permissions (R05, R08, R18, R26). Nobody can keep a
//! deadline then; fencing keeps the ledger exact all the same, and everybody gets on.

use std::sync::Arc;
use std::time::Duration;

use zk_client::{Acl, Client, CreateMode, Perms};
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Error, Mutex};
use zk_sim::Observation;
use zk_sim::runner::{Phase, Stage, Workload};

use crate::recipes_sim::ledger::Ledger;
use crate::recipes_sim::life::{self, Player, connect_after, live, ms, note};

use super::mutex::dawdle;

const PARENT: &str = "/locks/tampered";
const LOCK: &str = "/locks/tampered/with";
/// What somebody else left; some look like contenders from afar.
const FOREIGN: [&str; 4] = ["lost+found", "_c_-lock-", "lock-12345678901", "x-lock-0"];

/// Contenders, the last of whom tampers.
#[derive(Debug)]
pub(crate) struct Tampered {
    hosts: usize,
    ledger: Arc<Ledger>,
}

impl Tampered {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            ledger: Arc::new(Ledger::new("/ledgers/tampered", true)),
        }
    }
}

impl Workload for Tampered {
    fn name(&self) -> &'static str {
        "tampered"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("tampered", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.ledger);
        if self.hosts().last().is_some_and(|last| last == stage.host()) {
            let rng = stage.rng("tampering");
            return Box::pin(async move { live(&stage, Vandal { rng }).await });
        }
        let contender = Contender {
            ledger,
            rng: stage.rng("tampered"),
            is_prepared: false,
        };
        Box::pin(async move { live(&stage, contender).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.ledger);
        Box::pin(async move {
            if let Some(client) = connect_after(&stage).await {
                ledger.verify(&stage, &client).await;
                drop(client.close().await);
            }
        })
    }
}

struct Contender {
    ledger: Arc<Ledger>,
    rng: EnvRng,
    is_prepared: bool,
}

impl Player for Contender {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        if !self.is_prepared {
            self.ledger.establish(stage, client).await;
            self.is_prepared = true;
        }
        match Mutex::new(client, LOCK).acquire().await {
            Ok(guard) => {
                if let Some(value) = self.ledger.value(client).await {
                    dawdle(stage, &mut self.rng).await;
                    if self.ledger.write(stage, &guard, value + 1).await {
                        stage.progress("write under the lock");
                    }
                }
                if let Err(error) = guard.release().await {
                    told(stage, &error);
                }
            }
            Err(error) => {
                told(stage, &error);
                stage.pause(ms(50, 200)).await;
            }
        }
    }
}

/// Anything typed may be told; that the recipe was used wrongly may not.
fn told(stage: &Stage, error: &Error) {
    note(stage, error);
    if matches!(error, Error::InvalidArgument { .. }) {
        stage.fail(format!("{}: {error}", stage.host()));
    }
}

struct Vandal {
    rng: EnvRng,
}

impl Player for Vandal {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        if stage.phase() != Phase::Chaos {
            self.put_right(client).await;
            stage.progress("nothing to tamper with");
            stage.pause(ms(500, 1_000)).await;
            return;
        }
        match self.rng.below(6) {
            0 => self.expire_somebody(stage, client).await,
            1 => self.delete_somebody(stage, client).await,
            2 => drop(client.delete_all(PARENT).await),
            3 => self.leave_something(client).await,
            4 => self.withdraw(stage, client).await,
            _ => self.put_right(client).await,
        }
        stage.progress("tampering");
        stage.pause(ms(200, 3_000)).await;
    }
}

impl Vandal {
    async fn somebody(&mut self, client: &Client) -> Option<String> {
        let children = client.get_children(LOCK, None).await.ok()?;
        let pick = self.rng.below(children.len().max(1) as u64);
        let child = children.get(usize::try_from(pick).ok()?)?;
        Some(format!("{LOCK}/{child}"))
    }

    /// As if its session had timed out: the server has the word on that.
    async fn expire_somebody(&mut self, stage: &Stage, client: &Client) {
        let Some(path) = self.somebody(client).await else {
            return;
        };
        if let Ok(Some(stat)) = client.exists(&path, None).await
            && stage.expire_session(stat.ephemeral_owner)
        {
            // Known as a fault, or it would look like an expiry that came too soon.
            let (what, begins) = ("expire session", true);
            stage.sim().tell(&Observation::Fault { what, begins });
            stage
                .env()
                .probe()
                .reached("recipes: session ended by force");
        }
    }

    async fn delete_somebody(&mut self, stage: &Stage, client: &Client) {
        if let Some(path) = self.somebody(client).await
            && client.delete(&path, None).await.is_ok()
        {
            stage.env().probe().reached("recipes: contender deleted");
        }
    }

    async fn leave_something(&mut self, client: &Client) {
        let name = FOREIGN[self.rng.below(FOREIGN.len() as u64) as usize];
        let path = format!("{LOCK}/{name}");
        drop(client.create(&path, b"", CreateMode::Persistent).await);
    }

    /// Nobody may stand in line, nor leave it, for a while.
    async fn withdraw(&mut self, stage: &Stage, client: &Client) {
        let perms = Perms(Perms::READ.0 | Perms::ADMIN.0);
        let acl = vec![Acl::new(perms, zk_client::AclId::anyone())];
        if client.set_acl(LOCK, acl, None).await.is_ok() {
            let long = Duration::from_millis(self.rng.below(2_000));
            stage.pause(long..long + Duration::from_millis(1)).await;
        }
        self.put_right(client).await;
    }

    async fn put_right(&self, client: &Client) {
        drop(client.set_acl(LOCK, vec![Acl::open()], None).await);
    }
}
