//! What happens to the network, from the run's seed.

use std::time::Duration;

use zk_client::{Client, SessionState};
use zk_env::{Env, EnvRng, sleep_until};
use zk_server::Server;
use zk_sim::Sim;

use crate::scenario::{CLIENTS, Journal, SERVER};

const ROUNDS: usize = 12;
/// Beyond a client's read timeout, so that some silences are noticed.
const LONGEST_SILENCE_MS: u64 = 26_000;
const LONGEST_CUT_MS: u64 = 400;
/// Time for a session to be touched again, so that two faults do not make an expiry.
const PEACE_MS: std::ops::Range<u64> = 200..600;

/// Strikes one link after the other, and heals each.
pub(crate) async fn strike(
    net: &Sim,
    server: &Server,
    clients: &[Client],
    env: &dyn Env,
    journal: &Journal,
) {
    let mut rng = env.rng("faults");
    for _ in 0..ROUNDS {
        pause(env, &mut rng, PEACE_MS).await;
        let victim = rng.below(CLIENTS.len() as u64) as usize;
        let client = CLIENTS[victim];
        match rng.below(4) {
            0 | 1 => {
                journal.note(client, "cut");
                net.cut(client, SERVER);
                pause(env, &mut rng, 0..LONGEST_CUT_MS).await;
            }
            2 => {
                journal.note(client, "silence");
                net.silence(client, SERVER);
                pause(env, &mut rng, 0..LONGEST_SILENCE_MS).await;
            }
            _ => {
                let dropped = server.drop_connections();
                journal.note(SERVER, format_args!("dropped {dropped} connections"));
            }
        }
        net.heal(client, SERVER);
        journal.note(client, "healed");
        let mut state = clients[victim].state();
        let connected = state.wait_for(SessionState::is_connected).await;
        connected.expect("the client is open");
    }
}

async fn pause(env: &dyn Env, rng: &mut EnvRng, ms: std::ops::Range<u64>) {
    let pause = Duration::from_millis(ms.start + rng.below(ms.end - ms.start));
    sleep_until(&mut *env.timer(), env.now() + pause).await;
}
