//! Waiting for conditions. Tests never sleep: they say what must become true,
//! and these helpers give up after [`PATIENCE`], naming it.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place of the fixtures that looks at a clock"
)]

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use zk_client::{Client, SessionState, WatchedEvent, Watcher};

/// How long anything may take. Generous: only a test that fails waits it out.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition without a notification is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How often, of another process.
const POLL_OUTSIDE: Duration = Duration::from_millis(20);

/// The future's output.
///
/// # Panics
///
/// If it takes longer than [`PATIENCE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: nothing after {PATIENCE:?}"),
    }
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    within(what, async {
        while !condition().await {
            ticks.tick().await;
        }
    })
    .await;
}

/// Whether `condition` comes to hold within `limit`: for programs, which tell what is wrong
/// instead of failing here.
pub async fn holds_within(limit: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let mut ticks = interval(POLL_OUTSIDE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let holds = async {
        while !condition().await {
            ticks.tick().await;
        }
    };
    ready_within(limit, holds).await.is_some()
}

/// Waits until the client's state is one that `wanted` accepts, and returns it.
/// A state that comes and goes in between may be missed.
///
/// # Panics
///
/// If it does not come within [`PATIENCE`], or the client has ended before.
pub async fn until_state(client: &Client, wanted: impl Fn(&SessionState) -> bool) -> SessionState {
    let mut states = client.state();
    let what = format!("a state after {:?}", *states.borrow());
    let state = within(&what, states.wait_for(|state| wanted(state))).await;
    *state.expect("the client ended without the state")
}

/// Waits until the client is connected read-write.
///
/// # Panics
///
/// As [`until_state`].
pub async fn until_connected(client: &Client) {
    until_state(client, |state| {
        matches!(state, SessionState::Connected { .. })
    })
    .await;
}

/// Waits until the client has lost its connection, or more.
///
/// # Panics
///
/// As [`until_state`].
pub async fn until_not_connected(client: &Client) {
    until_state(client, |state| !state.is_connected()).await;
}

/// The watcher's next event.
///
/// # Panics
///
/// If none comes within [`PATIENCE`], or the watcher has ended.
pub async fn next_event(watcher: &Watcher) -> WatchedEvent {
    within("a watched event", watcher.next())
        .await
        .expect("the watcher has ended")
}

/// The future's output if it is ready within `limit`: for what should *not*
/// happen, after a fence that makes sure it would have by now.
pub async fn ready_within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(limit, future).await.ok()
}
