//! Killing leaders.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zk_env::{Env, Mono, TokioEnv, sleep_until};

use crate::processes::{Failure, Processes};

/// How many leaders were killed, and for how long nobody led.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kills {
    kills: u32,
    without: Duration,
}

impl Kills {
    /// How many.
    pub const fn count(self) -> u32 {
        self.kills
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, without } = self;
        let mean = without.checked_div(*kills).unwrap_or_default();
        write!(
            f,
            "{kills} leaders killed, the next one led {mean:.0?} later on average"
        )
    }
}

/// Kills the leader (SIGKILL) `every` so often, and brings it back once another leads; until
/// it is dropped. `kills` counts.
///
/// # Errors
///
/// The ensemble does not recover.
pub async fn kill_leaders(
    ensemble: &mut Processes,
    every: Duration,
    kills: &mut Kills,
) -> Result<(), Failure> {
    let env: Arc<TokioEnv> = TokioEnv::new();
    loop {
        pause(&*env, env.now() + every).await;
        let leader = ensemble.wait_for_leader().await?;
        ensemble.kill(leader).await?;
        let began = env.now();
        ensemble.wait_for_leader().await?;
        kills.kills += 1;
        kills.without += env.now().since(began);
        ensemble.restart(leader)?;
        ensemble.wait_until_all_serve().await?;
    }
}

async fn pause(env: &dyn Env, until: Mono) {
    sleep_until(&mut *env.timer(), until).await;
}
