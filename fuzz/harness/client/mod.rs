//! F4: a client against a server that follows the input, honest in one step and
//! hostile in the next, on a network in memory whose clock jumps.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use zk_client::{Client, ConnectError, Error, SessionState, Watcher};
use zk_env::{Env, sleep_until};
use zk_sim::Sim;

mod calls;
mod honest;
mod script;
mod server;

use server::Server;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const OPERATION_DEADLINE: Duration = Duration::from_secs(3);
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
/// Deadlines are met to the clock's millisecond, and a message travels for two.
const SLACK: Duration = Duration::from_millis(100);
/// How often the calls are made, against what is left of the script.
const ROUNDS: usize = 3;

/// Lets a client make every call there is while the server does what `input` says,
/// then nothing more. Each call is answered by its deadline, in the order of the
/// calls; the client ends only for a reason that it names; its watchers end with it.
pub(crate) fn check(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(run(input.to_vec()));
}

async fn run(input: Vec<u8>) {
    let net = Sim::new(0);
    net.set_latency(Duration::from_millis(1), Duration::ZERO);
    let env = net.env("client");
    let _server = Server::start(&net.env("server"), input).await;

    let connecting = Client::builder("server:2181")
        .env(Arc::clone(&env))
        .connect_deadline(CONNECT_DEADLINE)
        .operation_deadline(OPERATION_DEADLINE)
        .session_timeout(SESSION_TIMEOUT)
        .auth("digest", "user:password")
        .allow_read_only(true)
        .connect();
    match within(&*env, CONNECT_DEADLINE + SLACK, "connect", connecting).await {
        Ok(client) => use_and_close(&*env, &client).await,
        Err(ConnectError::Invalid(error)) => panic!("{error}"),
        Err(_) => {}
    }
}

async fn use_and_close(env: &dyn Env, client: &Client) {
    let watcher = Watcher::new();
    for _ in 0..ROUNDS {
        let calls = calls::every_call(client, &watcher);
        let answers = within(env, OPERATION_DEADLINE + SLACK, "a call", calls).await;
        assert!(
            answers.is_sorted_by_key(|(index, _)| *index),
            "answers change places"
        );
        for (index, answer) in answers {
            // What the client says of itself when its driver is gone.
            assert_ne!(
                answer,
                Err(Error::Closed),
                "call {index}, of a client that is open"
            );
        }
    }
    let patience = client.session_timeout() + SLACK;
    if patience > Duration::from_secs(60) {
        return; // a timeout that the server made up; too long to wait for
    }
    let _ = within(env, patience, "close", client.close()).await;
    let state = *client.state().borrow();
    assert!(
        matches!(state, SessionState::Closed | SessionState::AuthFailed),
        "closed, but {state:?}"
    );
    let ended = async { while watcher.next().await.is_some() {} };
    within(env, SLACK, "a watcher", ended).await;
    let too_late = client.sync("/").await;
    assert!(
        matches!(too_late, Err(Error::Closed | Error::AuthFailed)),
        "{too_late:?}"
    );
}

/// The future's value, which it must have in time.
async fn within<T>(
    env: &dyn Env,
    time: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> T {
    let mut timer = env.timer();
    let mut future = pin!(future);
    let mut timeout = pin!(sleep_until(&mut *timer, env.now() + time));
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(value);
        }
        timeout
            .as_mut()
            .poll(cx)
            .map(|()| panic!("{what} takes more than {time:?}"))
    })
    .await
}
