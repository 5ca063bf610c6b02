//! The task that keeps a feed, carrying between the client and the mirror.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use zk_client::{
    AddWatchMode, Client, Epoch, Error, ErrorCode, SessionState, Stat, WatchedEvent, Watcher,
};
use zk_env::{Mono, Timer, sleep_until};

use super::feed::Feed;
use super::mirror::{Mirror, Request, TooMany, Way, What};
use super::pending::Znode;
use crate::contender::{PAUSE, pause};

/// Reads under way at a time: enough to hide the round trips of a large subtree, few enough
/// to leave the client's queue to others.
const WIDTH: usize = 64;

/// Events that wait to be looked at; if they are more, everything is read again.
const EVENTS: usize = 4096;

/// An answered read.
enum Read {
    Data(Result<Option<(Bytes, Stat)>, Error>),
    Children(Result<Option<(Vec<String>, Stat)>, Error>),
}

type Reads = FuturesOrdered<BoxFuture<'static, (Request, Read)>>;

/// Runs until the client is over, something hopeless happens, or it is aborted.
pub(super) async fn pump(client: Client, feed: Arc<Feed>, mut mirror: Mirror, limit: usize) {
    loop {
        let error = match connected(&client).await {
            Ok(epoch) => {
                let watcher = Watcher::with_capacity(EVENTS);
                match watch_epoch(&client, &feed, &mut mirror, &watcher, epoch, limit).await {
                    Ok(()) => continue,
                    Err(error) => error,
                }
            }
            Err(error) => error.into(),
        };
        tracing::warn!(path = mirror.root(), %error, "watching ends");
        feed.end(error);
        return;
    }
}

/// Waits for a session.
async fn connected(client: &Client) -> Result<Epoch, Error> {
    let mut session = client.state();
    loop {
        let state = *session.borrow_and_update();
        match state {
            SessionState::Connected { epoch } | SessionState::ConnectedReadOnly { epoch } => {
                return Ok(epoch);
            }
            // Only an expiry that is terminal fails here.
            SessionState::Expired { .. } => client.ready().await?,
            SessionState::AuthFailed => return Err(Error::AuthFailed),
            SessionState::Closed => return Err(Error::Closed),
            SessionState::Connecting | SessionState::Suspended { .. } => {}
        }
        if session.changed().await.is_err() {
            return Err(Error::Closed);
        }
    }
}

/// Watches as long as one session lasts.
async fn watch_epoch(
    client: &Client,
    feed: &Feed,
    mirror: &mut Mirror,
    watcher: &Watcher,
    epoch: Epoch,
    limit: usize,
) -> Result<(), crate::Error> {
    mirror.handle_disconnected();
    mirror.handle_gap();
    arm(client, mirror, watcher).await?;
    let mut session = client.state();
    let (env, mut timer) = (client.env().clone(), client.env().timer());
    let mut was_connected = true;
    // After a read that failed for the moment.
    let mut not_before: Option<Mono> = None;
    let mut reads = Reads::new();
    loop {
        let state = *session.borrow_and_update();
        if is_over(state, epoch) {
            feed.settle(false, client.last_proof_of_life());
            return Ok(());
        }
        if state.is_connected() && !was_connected {
            mirror.handle_gap();
        }
        was_connected = state.is_connected();
        while was_connected
            && not_before.is_none()
            && reads.len() < WIDTH
            && let Some(request) = mirror.poll_request()
        {
            let way = mirror.way();
            let is_root = request.path == mirror.root();
            reads.push_back(send(client, watcher, way, is_root, request));
        }
        publish(feed, mirror);
        feed.settle(
            was_connected && mirror.is_settled(),
            client.last_proof_of_life(),
        );
        tokio::select! {
            biased;
            event = watcher.next() => {
                let Some(event) = event else { return Ok(()) };
                handle_events(mirror, watcher, event);
            }
            changed = session.changed() => if changed.is_err() { return Ok(()) },
            Some((request, read)) = reads.next() => {
                if handle(mirror, request, read, limit)? {
                    not_before = Some(env.now() + PAUSE);
                }
            }
            () = pause_until(&mut *timer, not_before) => not_before = None,
        }
    }
}

async fn pause_until(timer: &mut dyn Timer, at: Option<Mono>) {
    match at {
        Some(at) => sleep_until(timer, at).await,
        None => std::future::pending().await,
    }
}

fn is_over(state: SessionState, epoch: Epoch) -> bool {
    match state {
        SessionState::Connected { epoch: now }
        | SessionState::ConnectedReadOnly { epoch: now }
        | SessionState::Suspended { epoch: now, .. } => now != epoch,
        SessionState::Connecting
        | SessionState::Expired { .. }
        | SessionState::AuthFailed
        | SessionState::Closed => true,
    }
}

/// Leaves the recursive watch, before anything is read, where the server has it.
async fn arm(client: &Client, mirror: &mut Mirror, watcher: &Watcher) -> Result<(), crate::Error> {
    while mirror.way() == Way::Recursive {
        client.ready().await?;
        let mode = AddWatchMode::PersistentRecursive;
        match client.add_watch(mirror.root(), mode, watcher).await {
            Ok(()) => return Ok(()),
            Err(error) if lacks_watches(&error) => {
                tracing::debug!(
                    path = mirror.root(),
                    "no persistent watches, one-shots instead"
                );
                mirror.use_one_shots();
            }
            // The next look at the session says so.
            Err(error) if error.is_session_over() => return Ok(()),
            Err(error) if error.is_retryable() || error.is_outcome_unknown() => {
                pause(client).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn lacks_watches(error: &Error) -> bool {
    matches!(error, Error::Unsupported { .. }) || error.code() == Some(ErrorCode::Unimplemented)
}

/// The call takes its place in line here. Of the root, which may come to be, the watch is left
/// by `exists`; of others by reading them: their parents tell when they come back.
fn send(
    client: &Client,
    watcher: &Watcher,
    way: Way,
    is_root: bool,
    request: Request,
) -> BoxFuture<'static, (Request, Read)> {
    let watcher = (way == Way::OneShot).then_some(watcher);
    match request.what {
        What::Data => {
            let watched = watcher
                .filter(|_| is_root)
                .map(|watcher| client.exists(&request.path, watcher));
            let watcher = watcher.filter(|_| !is_root);
            let data = client.get_data(&request.path, watcher);
            Box::pin(async {
                if let Some(watched) = watched
                    && let Err(error) = watched.await
                {
                    return (request, Read::Data(Err(error)));
                }
                (request, Read::Data(existing(data.await)))
            })
        }
        What::Children => {
            let children = client.get_children2(&request.path, watcher);
            Box::pin(async { (request, Read::Children(existing(children.await))) })
        }
    }
}

fn existing<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        read => read.map(Some),
    }
}

fn handle_events(mirror: &mut Mirror, watcher: &Watcher, first: WatchedEvent) {
    let mut next = Some(first);
    while let Some(event) = next {
        if event.lagged > 0 {
            mirror.handle_gap();
        }
        mirror.handle_event(event.event_type, &event.path);
        next = watcher.try_next();
    }
}

/// Whether it must be asked again.
fn handle(
    mirror: &mut Mirror,
    request: Request,
    read: Read,
    limit: usize,
) -> Result<bool, crate::Error> {
    let is_root = request.path == mirror.root();
    let handled = match read {
        Read::Data(Ok(read)) => mirror.handle_data(&request.path, read.map(copy)),
        Read::Children(Ok(read)) => mirror.handle_children(&request.path, read),
        Read::Data(Err(error)) | Read::Children(Err(error)) => {
            if error.is_retryable() || error.is_session_over() {
                mirror.handle_failed(request);
                return Ok(true);
            }
            if error.code() != Some(ErrorCode::NoAuth) || is_root {
                return Err(error.into());
            }
            tracing::warn!(path = request.path, "may not be read, and is left out");
            mirror.handle_unreadable(&request);
            Ok(())
        }
    };
    match handled {
        Ok(()) => Ok(false),
        Err(TooMany) => Err(crate::Error::TooManyZnodes {
            path: mirror.root().into(),
            limit,
        }),
    }
}

/// The original pins the chunk it was received in.
fn copy((data, stat): (Bytes, Stat)) -> Znode {
    let data = Bytes::copy_from_slice(&data);
    Znode { data, stat }
}

fn publish(feed: &Feed, mirror: &mut Mirror) {
    let mut changes = Vec::new();
    while let Some(change) = mirror.poll_change() {
        changes.push(change);
    }
    feed.publish(&changes);
}
