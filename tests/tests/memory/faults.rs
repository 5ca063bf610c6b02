//! What happens to the network, from the run's seed.

use std::time::Duration;

use zk_env::memory::Network;
use zk_env::{Env, EnvRng, sleep_until};
use zk_server::Server;

use crate::scenario::{CLIENTS, Journal, SERVER};

const ROUNDS: usize = 12;
/// Beyond a client's read timeout, so that some silences are noticed.
const LONGEST_FAULT_MS: u64 = 26_000;
const LONGEST_PEACE_MS: u64 = 400;

/// Strikes one link after the other, and heals each.
pub(crate) async fn strike(net: &Network, server: &Server, env: &dyn Env, journal: &Journal) {
    let mut rng = env.rng("faults");
    for _ in 0..ROUNDS {
        pause(env, &mut rng, LONGEST_PEACE_MS).await;
        let client = CLIENTS[rng.below(CLIENTS.len() as u64) as usize];
        match rng.below(4) {
            0 | 1 => {
                journal.note(client, "cut");
                net.cut(client, SERVER);
                pause(env, &mut rng, LONGEST_PEACE_MS).await;
            }
            2 => {
                journal.note(client, "silence");
                net.silence(client, SERVER);
                pause(env, &mut rng, LONGEST_FAULT_MS).await;
            }
            _ => {
                let dropped = server.drop_connections();
                journal.note(SERVER, format_args!("dropped {dropped} connections"));
            }
        }
        net.heal(client, SERVER);
        journal.note(client, "healed");
    }
}

async fn pause(env: &dyn Env, rng: &mut EnvRng, longest_ms: u64) {
    let pause = Duration::from_millis(rng.below(longest_ms));
    sleep_until(&mut *env.timer(), env.now() + pause).await;
}
