//! The task that keeps one ownership's state, carrying between the client and the machine.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use zk_client::{Client, Error, ErrorCode, Stat, Watcher};
use zk_env::{Boot, sleep_until};

use super::{Failure, Keeper, Request};
use crate::ownership::{Ownership, OwnershipState};

/// The clocks are looked at this often at least: the one that timers run on stands still
/// while the machine is suspended.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Longer than anything, for the bug that is planted.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// Events of the own znode that wait to be looked at; one would do.
const EVENTS: usize = 8;

/// What came of a request.
enum Answer {
    Ensemble(Option<bool>),
    Read(Result<(Bytes, Stat), Error>),
    Check(Result<(), Error>),
}

/// Runs until the ownership is lost, or the guard's drop aborts it.
pub(crate) async fn keep(mut keeper: Keeper, ownership: Ownership) {
    let client = ownership.client().clone();
    let (env, mut timer) = (client.env().clone(), client.env().timer());
    let mut session = client.state();
    let watcher = Watcher::with_capacity(EVENTS);
    let mut was_connected = true;
    let mut pending: Option<(Boot, BoxFuture<'static, Answer>)> = None;
    loop {
        let now = env.boot_now();
        let state = *session.borrow_and_update();
        let proof = if env.probe().has_planted("recipes: proof that never lapses") {
            Some(now + FOR_EVER)
        } else {
            client.last_proof_of_life()
        };
        keeper.handle_session(state, proof, now);
        if client.is_closing() {
            keeper.handle_closing();
        }
        if was_connected && !state.is_connected() && ownership.current() == OwnershipState::InDoubt
        {
            let probe = env.probe();
            probe.reached("recipes: connection lost again while in doubt");
        }
        was_connected = state.is_connected();
        let state = keeper.state(now);
        ownership.publish(state);
        if let OwnershipState::Lost(why) = state {
            tracing::info!(path = ownership.path(), %why, "ownership lost");
            return;
        }
        if pending.is_none() {
            let request = keeper.poll_request(now);
            pending = request.map(|request| (now, send(&client, &ownership, &watcher, request)));
        }
        let ahead = keeper.poll_timeout(now).map(|at| at.since(now));
        let pause = ahead
            .filter(|_| pending.is_none())
            .map_or(LOOK_EVERY, |ahead| ahead.min(LOOK_EVERY));
        let called = pending.as_ref().map_or(now, |(called, _)| *called);
        tokio::select! {
            biased;
            answer = answered(&mut pending) => {
                pending = None;
                let now = env.boot_now();
                // What was asked in a later session says nothing about this one.
                if client.epoch() == ownership.epoch() {
                    handle(&mut keeper, &ownership, called, answer, now);
                }
            }
            Some(event) = watcher.next() => keeper.handle_event(&event),
            _ = session.changed() => {}
            () = sleep_until(&mut *timer, env.now() + pause) => {}
        }
    }
}

async fn answered(pending: &mut Option<(Boot, BoxFuture<'static, Answer>)>) -> Answer {
    match pending {
        Some((_, answer)) => Pin::new(answer).await,
        None => std::future::pending().await,
    }
}

/// The call takes its place in line here.
fn send(
    client: &Client,
    ownership: &Ownership,
    watcher: &Watcher,
    request: Request,
) -> BoxFuture<'static, Answer> {
    let path = ownership.path();
    match request {
        Request::AskEnsemble => {
            let config = client.get_config(None);
            Box::pin(async { Answer::Ensemble(is_ensemble(config.await)) })
        }
        Request::Read { is_synced } => {
            let sync = is_synced.then(|| client.sync(path));
            let read = client.get_data(path, watcher);
            Box::pin(async {
                if let Some(sync) = sync
                    && let Err(error) = sync.await
                {
                    return Answer::Read(Err(error));
                }
                Answer::Read(read.await)
            })
        }
        Request::Check => {
            let check = client.check(path, None);
            Box::pin(async { Answer::Check(check.await) })
        }
    }
}

/// An ensemble's configuration lists its servers, a single server's is empty.
fn is_ensemble(config: Result<(Bytes, Stat), Error>) -> Option<bool> {
    let (config, _) = config.ok()?;
    let lines = config.split(|&byte| byte == b'\n');
    Some(lines.filter(|line| line.starts_with(b"server.")).count() > 1)
}

fn handle(keeper: &mut Keeper, ownership: &Ownership, called: Boot, answer: Answer, now: Boot) {
    match answer {
        Answer::Ensemble(is_ensemble) => keeper.handle_ensemble(is_ensemble),
        Answer::Read(read) => {
            let read = read.map(|(data, stat)| {
                ownership.publish_payload(&data);
                stat.czxid
            });
            keeper.handle_read(
                called,
                read.map_err(|error| failure(&error, ownership)),
                now,
            );
        }
        Answer::Check(check) => {
            let check = check.map_err(|error| failure(&error, ownership));
            keeper.handle_check(called, check, now);
        }
    }
}

fn failure(error: &Error, ownership: &Ownership) -> Failure {
    if error.code() == Some(ErrorCode::NoNode) {
        return Failure::Missing;
    }
    let path = ownership.path();
    if error.is_retryable() || error.is_outcome_unknown() {
        tracing::debug!(path, %error, "no proof of ownership for now");
    } else {
        tracing::warn!(path, %error, "no proof of ownership can be had");
    }
    Failure::Passing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ensemble_is_known_by_its_servers() {
        let config =
            |text: &'static str| Ok((Bytes::from_static(text.as_bytes()), Stat::default()));
        let two = "server.1=a:1:2:participant;3\nserver.2=b:1:2:participant;3\nversion=0";
        assert_eq!(is_ensemble(config(two)), Some(true));
        assert_eq!(
            is_ensemble(config("server.1=a:1:2;3\nversion=0")),
            Some(false)
        );
        assert_eq!(is_ensemble(config("")), Some(false));
        assert_eq!(is_ensemble(Err(Error::Closed)), None);
    }
}
