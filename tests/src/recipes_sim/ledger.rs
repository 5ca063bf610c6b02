//! A number that is read, and written one higher, by whoever owns a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use zk_client::Client;
use zk_recipes::{Error, Ownership};
use zk_sim::runner::Stage;

use super::invariants::tokens_rise_from_write_to_write;
use super::life::{bears, establish, note};

/// What was written to one number.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: &'static str,
    /// Whether others may delete the owner's znode and the like.
    is_tampered: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Committed: the value, and under which token.
    done: Vec<(u64, u64)>,
    /// Begun, and not known to have been applied or not.
    open: u64,
}

impl Ledger {
    pub(crate) fn new(path: &'static str, is_tampered: bool) -> Self {
        Self {
            path,
            is_tampered,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the number, and the one that nothing guards.
    pub(crate) async fn establish(&self, stage: &Stage, client: &Client) {
        establish(stage, client, self.path, "0").await;
        establish(stage, client, &self.unfenced(), "0").await;
    }

    fn unfenced(&self) -> String {
        format!("{}-unfenced", self.path)
    }

    /// The number.
    pub(crate) async fn value(&self, client: &Client) -> Option<u64> {
        number(client, self.path).await
    }

    /// Writes `value`, as the owner, in a guarded transaction. True if it was done.
    pub(crate) async fn write(&self, stage: &Stage, owner: &Ownership, value: u64) -> bool {
        if owner.client().epoch() != owner.epoch() {
            let probe = stage.env().probe();
            probe.reached("recipes: expired between the grant and the first write");
        }
        // Until its fate is told: whoever is killed before never hears of it.
        self.lock().open += 1;
        let write = owner.transaction();
        let write = write.set_data(self.path, value.to_string(), None);
        match write.commit().await {
            Ok(_) => {
                let mut state = self.lock();
                state.open -= 1;
                state.done.push((value, owner.fencing_token().as_u64()));
                true
            }
            Err(Error::Client(error)) if error.is_outcome_unknown() => {
                stage
                    .env()
                    .probe()
                    .reached("recipes: guarded write of unknown outcome");
                false
            }
            Err(error) => {
                self.lock().open -= 1;
                if self.is_tampered {
                    note(stage, &error);
                } else {
                    bears(stage, self.path, &error);
                }
                false
            }
        }
    }

    /// What happens to whoever writes without a guard: measured, not forbidden.
    pub(crate) async fn write_unfenced(&self, stage: &Stage, owner: &Ownership) {
        let (client, path) = (owner.client(), self.unfenced());
        let token = owner.fencing_token().as_u64();
        let Some(before) = number(client, &path).await else {
            return;
        };
        if client
            .set_data(&path, token.to_string(), None)
            .await
            .is_ok()
            && before > token
        {
            let probe = stage.env().probe();
            probe.reached("recipes: unfenced write by an older owner");
        }
    }

    /// That the number is what was committed and what may have been, each once, with rising
    /// tokens.
    pub(crate) async fn verify(&self, stage: &Stage, client: &Client) {
        let Some(last) = self.value(client).await else {
            // The run ended before it was made.
            return;
        };
        let state = self.lock();
        let acknowledged = state.done.len() as u64;
        let possible = acknowledged..=acknowledged + state.open;
        if !possible.contains(&last) {
            stage.fail(format!("{}: {last} of {possible:?}", self.path));
        }
        if let Err(why) = tokens_rise_from_write_to_write(&state.done) {
            stage.fail(format!("{}: {why}", self.path));
        }
    }
}

async fn number(client: &Client, path: &str) -> Option<u64> {
    let (data, _) = client.get_data(path, None).await.ok()?;
    std::str::from_utf8(&data).ok()?.parse().ok()
}
