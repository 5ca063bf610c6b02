//! What a guard's proofs are worth when the leader is the one that stalls.
//!
//! Followers answer pings by themselves, also while their leader stands still; when that goes on
//! it finds sessions expired that its followers have seen alive all the time. That is the hole
//! of the soft proof, and what the quorum proof is for.

use std::time::Duration;

use futures_util::future::join_all;
use zk_client::Client;
use zk_env::Boot;
use zk_recipes::{Guard, Mutex, Ownership, OwnershipState, Proof};
use zk_tests::target::{connect, repetitions};
use zk_tests::wait::{eventually, within};
use zk_tests::{Proxy, Target};

use crate::peers::Peers;
use crate::say;

/// Of owners; rivals have a longer one. Ten of the servers' ticks.
const SHORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Of the leader, by turns: from just past the timeout, well below the five seconds that followers
/// wait before they look for another leader.
const STALLS: [Duration; 4] = [
    Duration::from_millis(2_200),
    Duration::from_millis(2_600),
    Duration::from_millis(3_000),
    Duration::from_millis(3_400),
];

/// Stalls at most: after one, the leader may hear of an owner before it looks at its session.
const MAX_STALLS: usize = 16;

/// The proofs, each on a lock and a session of its own: behind a write that waits for the leader
/// a session's pings wait, too, and even a soft proof would lapse.
const LOCKS: [(&str, Proof); 2] = [("/quorum", Proof::Quorum), ("/soft", Proof::Soft)];

/// What one lock's owner believed when the next one had it.
struct Handover {
    proof: Proof,
    /// The previous owner's last word.
    valid_until: Boot,
    /// When the next owner knew that it had the lock.
    taken: Boot,
}

/// Handovers, and how many of them came while the previous owner held a valid proof.
#[derive(Default)]
struct Tally {
    quorum: usize,
    soft: usize,
    soft_overlaps: usize,
}

impl Tally {
    fn add(&mut self, handover: &Handover) {
        let Handover {
            proof,
            valid_until,
            taken,
        } = *handover;
        let is_overlap = valid_until > taken;
        match proof {
            Proof::Quorum => {
                assert!(!is_overlap, "{:?} too long", valid_until.since(taken));
                self.quorum += 1;
                let spare = taken.since(valid_until);
                say(&format!(
                    "quorum proof over {spare:?} before the next owner"
                ));
            }
            Proof::Soft => {
                self.soft += 1;
                self.soft_overlaps += usize::from(is_overlap);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_proof_ends_before_anybody_else_owns() {
    let Some(peers) = Peers::named("a_quorum_proof_ends_before_anybody_else_owns").await else {
        return;
    };
    let target = Target::start().await;
    let mut tally = Tally::default();
    let wanted = repetitions(4, 2);
    for stall_for in STALLS.into_iter().cycle().take(MAX_STALLS) {
        for handover in stall(&peers, &target, stall_for).await {
            tally.add(&handover);
        }
        if tally.quorum >= wanted && tally.soft_overlaps > 0 {
            break;
        }
    }
    let Tally {
        quorum,
        soft,
        soft_overlaps,
    } = tally;
    say(&format!(
        "leader stalled: {quorum} handovers by quorum proof, none too early; \
         {soft_overlaps} of {soft} by soft proof were"
    ));
    assert!(quorum >= wanted, "few stalls cost the owner its session");
    assert!(
        soft_overlaps > 0,
        "stalls that any proof outlives show nothing"
    );
}

/// Stalls the leader while the owners are a follower's clients, and tells who owned what when.
async fn stall(peers: &Peers, target: &Target, stall_for: Duration) -> Vec<Handover> {
    peers.until_all_serve().await;
    let leader = peers.leader().await;
    let followers = peers.followers().await;
    let rival = target.client_through(peers.host(followers[1])).await;
    let proxy = Proxy::start(peers.host(followers[0])).await;
    let mut held = Vec::new();
    for (path, proof) in LOCKS {
        let guard = hold(target, &proxy.host(), path, proof).await;
        held.push((path, proof, guard));
    }
    let env = rival.env();
    // An owner that comes back during the stall would be the first thing the leader hears of.
    proxy.refuse(true);
    peers.pause(leader).await;
    let began = env.boot_now();
    eventually("the stall", async || {
        env.boot_now().since(began) >= stall_for
    })
    .await;
    peers.resume(leader).await;
    proxy.refuse(false);
    let resumed = env.boot_now();
    let taken = held
        .iter()
        .map(|(path, proof, guard)| taken_or_kept(&rival, path, *proof, guard, resumed));
    let handovers = join_all(taken).await.into_iter().flatten().collect();
    within("the end", rival.close()).await.unwrap();
    handovers
}

/// An owner whose session is short, with a proof.
async fn hold(target: &Target, host: &str, path: &str, proof: Proof) -> Guard {
    let builder = target.builder_through(host).session_timeout(SHORT_TIMEOUT);
    let guard = acquire(&connect(builder).await, path, proof).await;
    within("a proof", guard.proven(proof)).await.unwrap();
    guard
}

async fn acquire(client: &Client, path: &str, proof: Proof) -> Guard {
    let lock = Mutex::builder(client, path).proof(proof).build().unwrap();
    within("the lock", lock.acquire()).await.unwrap()
}

/// When and after whom the rival got the lock; `None` if the owner has outlived the stall.
async fn taken_or_kept(
    rival: &Client,
    path: &str,
    proof: Proof,
    before: &Ownership,
    resumed: Boot,
) -> Option<Handover> {
    let mut state = before.state();
    // By a proof from after the stall.
    let kept = async {
        let is_newer = |state: &OwnershipState| match state {
            OwnershipState::Held { valid_until, .. } => *valid_until > resumed + SHORT_TIMEOUT,
            OwnershipState::InDoubt | OwnershipState::Lost(_) => false,
        };
        if state.wait_for(is_newer).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        handover = succeed(rival, path, proof, before) => Some(handover),
        () = kept => None,
    }
}

/// Waits for the lock as the next in line.
async fn succeed(rival: &Client, path: &str, proof: Proof, before: &Ownership) -> Handover {
    let guard = acquire(rival, path, proof).await;
    let handover = Handover {
        proof,
        taken: rival.env().boot_now(),
        valid_until: before.valid_until(),
    };
    assert!(guard.fencing_token() > before.fencing_token());
    within("the release", guard.release()).await.unwrap();
    handover
}

/// An owner whom nobody hears any more, with and without a leader that crashes at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_is_cut_off_knows_before_the_next_one_owns() {
    let Some(peers) = Peers::named("an_owner_that_is_cut_off_knows_before_the_next_one_owns").await
    else {
        return;
    };
    let target = Target::start().await;
    for round in 0..repetitions(4, 2) {
        peers.until_all_serve().await;
        let leader = peers.leader().await;
        let followers = peers.followers().await;
        let proxy = Proxy::start(peers.host(followers[0])).await;
        let builder = target.builder_through(peers.host(followers[1]));
        let rival = connect(builder).await;
        let guard = hold(&target, &proxy.host(), "/cut", Proof::Quorum).await;
        let leader_crashes = round % 2 == 1;
        proxy.freeze(true);
        if leader_crashes {
            peers.kill(leader).await;
        }
        let handover = succeed(&rival, "/cut", Proof::Quorum, &guard).await;
        Tally::default().add(&handover);
        let state = guard.current();
        assert!(!matches!(state, OwnershipState::Held { .. }), "{state:?}");
        if leader_crashes {
            peers.restart(leader).await;
        }
    }
    peers.until_all_serve().await;
}
