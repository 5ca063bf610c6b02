//! A machine that stops for longer than its session lives, with work under a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use zk_recipes::{Ended, Error, Mutex, OwnershipState, Policy, Why};
use zk_sim::Sim;

use super::*;

/// Stops the holder's machine, and starts it again.
#[derive(Clone, Copy, Debug)]
enum Stall {
    /// As `SIGSTOP` does.
    Paused,
    /// The monotonic clock, and every timer, stands still.
    Suspended,
}

impl Stall {
    fn begin(self, sim: &Sim) {
        match self {
            Self::Paused => sim.host("holder").pause(),
            Self::Suspended => sim.host("holder").suspend(),
        }
    }

    fn end(self, sim: &Sim) {
        match self {
            Self::Paused => sim.host("holder").resume(),
            Self::Suspended => sim.host("holder").wake(),
        }
    }
}

/// Works in small steps under the lock, on the holder's machine.
fn work(sim: &Sim, lock: Mutex, policy: Policy, steps: &Arc<AtomicUsize>) -> Arc<AtomicBool> {
    let (env, steps) = (sim.env("holder"), Arc::clone(steps));
    let is_dropped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_dropped);
    let task = async move {
        let ended = lock.run(policy, async |term| {
            loop {
                pause(term.client().env(), Duration::from_millis(10)).await;
                steps.fetch_add(1, Ordering::SeqCst);
            }
        });
        let ended: Ended<()> = ended.await.unwrap();
        assert!(matches!(ended, Ended::Lost(_)));
        told.store(true, Ordering::SeqCst);
    };
    drop(env.spawn("work", Box::pin(task)));
    is_dropped
}

#[test]
fn a_machine_that_wakes_up_does_no_further_step_under_a_lock_that_is_gone() {
    for stall in [Stall::Paused, Stall::Suspended] {
        let margin = Duration::from_millis(100);
        for policy in [Policy::OnSuspend, Policy::AtDeadline { margin }] {
            for seed in 0..5 {
                simulate(seed, async |sim| stalled(sim, stall, policy).await);
            }
        }
    }
}

async fn stalled(sim: Sim, stall: Stall, policy: Policy) {
    let _server = start_server(&sim).await;
    let stage = sim.env("stage");
    let (holder, next) = (connect(&sim, "holder").await, connect(&sim, "next").await);
    let steps = Arc::new(AtomicUsize::new(0));
    let is_dropped = work(&sim, Mutex::new(&holder, LOCK), policy, &steps);
    pause(&stage, Duration::from_secs(20)).await;
    let before = steps.load(Ordering::SeqCst);
    assert!(before > 100, "healthy work goes on: {before}");
    stall.begin(&sim);
    // Expired, and given to the next in line.
    let guard = Mutex::new(&next, LOCK).acquire().await.unwrap();
    let before = steps.load(Ordering::SeqCst);
    stall.end(&sim);
    pause(&stage, Duration::from_secs(5)).await;
    let after = steps.load(Ordering::SeqCst);
    assert_eq!(
        after, before,
        "{stall:?} {policy:?}: steps after the lock was gone"
    );
    assert!(is_dropped.load(Ordering::SeqCst), "{stall:?} {policy:?}");
    guard.release().await.unwrap();
}

#[test]
fn a_guard_that_slept_through_its_session_is_in_doubt_at_once_and_fenced() {
    for stall in [Stall::Paused, Stall::Suspended] {
        simulate(1, async |sim| {
            let _server = start_server(&sim).await;
            let (holder, next) = (connect(&sim, "holder").await, connect(&sim, "next").await);
            let guard = Mutex::new(&holder, LOCK).acquire().await.unwrap();
            stall.begin(&sim);
            let others = Mutex::new(&next, LOCK).acquire().await.unwrap();
            assert!(others.fencing_token() > guard.fencing_token());
            stall.end(&sim);
            // Nothing on the machine has run yet: the clock alone says it.
            assert_eq!(guard.current(), OwnershipState::InDoubt, "{stall:?}");
            let late = guard
                .transaction()
                .set_data("/", b"late", None)
                .commit()
                .await;
            assert!(late.is_err(), "{stall:?}");
            assert_eq!(guard.lost().await, Why::EpochEnded);
            let late = guard
                .transaction()
                .set_data("/", b"late", None)
                .commit()
                .await;
            assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
            let (data, _) = next.get_data("/", None).await.unwrap();
            assert_eq!(data, "");
        });
    }
}

#[test]
fn a_guard_is_lost_when_its_client_begins_to_close_not_when_it_hears_of_the_end() {
    simulate(1, async |sim| {
        let _server = start_server(&sim).await;
        let (holder, next) = (connect(&sim, "holder").await, connect(&sim, "next").await);
        let guard = Mutex::new(&holder, LOCK).acquire().await.unwrap();
        let view = guard.ownership();
        let other = Mutex::new(&next, LOCK);
        // The server hears of the end, the holder does not hear of that.
        let mut closing = std::pin::pin!(holder.close());
        assert!(futures_util::poll!(closing.as_mut()).is_pending());
        assert_eq!(view.current(), OwnershipState::Lost(Why::ClientClosed));
        pause(&sim.env("stage"), LATENCY / 2).await;
        sim.silence(SERVER, "holder");
        let others = other.acquire().await.unwrap();
        assert_eq!(view.current(), OwnershipState::Lost(Why::ClientClosed));
        sim.end_silence(SERVER, "holder");
        drop((guard, closing.await));
        others.release().await.unwrap();
    });
}
