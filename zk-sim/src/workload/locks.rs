//! A lock by ephemeral sequential znodes, by hand, around a store that takes nothing
//! from owners of the past.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use zk_client::{CreateMode, ErrorCode, EventType, Zxid};
use zk_env::BoxFuture;

use super::clients::{bears, builder, close, connect, establish, hosts, ms, settle};
use super::observed::Observed;
use crate::checkers::linearizability::specs::mutex::{Mutex as Lock, MutexOp, MutexRet};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who wants the lock.
const WORKERS: usize = 3;
const ROOT: &str = "/locks/one";
const STORE: &str = "/locks/store";

/// Workers that take turns, and the tokens under which they did.
#[derive(Debug, Default)]
pub(super) struct Locks(Arc<Grants>);

/// Tokens of the owners so far: the czxids of their znodes.
#[derive(Debug, Default)]
struct Grants {
    newest: Mutex<Zxid>,
    /// Turns as their owners saw them.
    seen: Observed<MutexOp, MutexRet>,
}

impl Grants {
    /// Whoever finds its znode first among the children has the lock; znodes that come
    /// later are behind it, so tokens rise.
    fn grant(&self, token: Zxid) -> Result<(), String> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if token <= *newest {
            return Err(format!("token {token} after {newest}"));
        }
        *newest = token;
        Ok(())
    }
}

impl Workload for Locks {
    fn name(&self) -> &'static str {
        "locks"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("locks", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let grants = Arc::clone(&self.0);
        Box::pin(async move {
            if let Some(client) = connect(&stage, || builder(&stage)).await {
                let is_ready = establish(&stage, &client, ROOT).await
                    && establish(&stage, &client, STORE).await;
                while is_ready && stage.goes_on() {
                    take_a_turn(&stage, &client, &grants).await;
                    stage.pause(ms(20, 400)).await;
                }
                close(client).await;
            }
        })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let grants = Arc::clone(&self.0);
        Box::pin(async move {
            verify(&stage).await;
            grants.seen.verify(&stage, ROOT, &Lock);
        })
    }
}

/// One turn. Where its znode may be left behind, a guaranteed delete goes after it.
async fn take_a_turn(stage: &Stage, client: &RecordedClient, grants: &Grants) {
    let prefix = format!("{ROOT}/{}-", stage.host());
    let called = stage.now();
    let own = client
        .create2(&prefix, b"", CreateMode::EphemeralSequential)
        .await;
    let Some((path, stat)) = settle(stage, ROOT, own) else {
        return clear_away(stage, client).await;
    };
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    if wait_for_turn(stage, client, &name).await {
        if let Err(why) = grants.grant(stat.czxid) {
            stage.fail(format!("{name}: {why}"));
        }
        let owner = stat.czxid.0.unsigned_abs();
        let acquired = grants.seen.begin(MutexOp::Acquire(owner), called);
        grants.seen.returned(acquired, stage.now(), MutexRet::Done);
        // A lock that goes with its session may go at any time from now on.
        let released = grants.seen.begin(MutexOp::Release(owner), stage.now());
        hold(stage, client, &path, stat.czxid).await;
        stage.progress("turn");
        let given_back = stage.now();
        if release(stage, client, &path).await {
            grants.seen.not_before(released, given_back);
            grants.seen.returned(released, stage.now(), MutexRet::Done);
        }
    } else {
        release(stage, client, &path).await;
    }
}

/// Whose znode comes before ours, by its sequence number.
fn ahead<'n>(names: &'n [String], own: &str) -> Option<&'n String> {
    let number = |name: &str| name.rsplit('-').next().map(str::to_owned);
    let own = number(own);
    let before = names.iter().filter(|name| number(name) < own);
    before.max_by_key(|name| number(name))
}

/// False if the turn is not to come: our znode is gone, or nothing can be told.
async fn wait_for_turn(stage: &Stage, client: &RecordedClient, own: &str) -> bool {
    let changes = client.watcher(8);
    while stage.goes_on() {
        let listed = client.get_children(ROOT, None).await;
        let Some(names) = settle(stage, ROOT, listed) else {
            return false;
        };
        if !names.iter().any(|name| name == own) {
            return false;
        }
        let Some(before) = ahead(&names, own) else {
            return true;
        };
        let path = format!("{ROOT}/{before}");
        match client.exists(&path, Some(&changes)).await {
            Ok(None) => {}
            Ok(Some(_)) => loop {
                match changes.next().await {
                    Some(event) if event.event_type == EventType::NodeDeleted => break,
                    Some(event) if event.is_session_expired() => return false,
                    Some(_) => {}
                    None => return false,
                }
            },
            Err(error) => {
                bears(stage, &path, &error);
                return false;
            }
        }
    }
    false
}

/// Writes to the store, which the server refuses once our znode is gone, and reads it:
/// nobody older can have written meanwhile.
async fn hold(stage: &Stage, client: &RecordedClient, path: &str, token: Zxid) {
    for _ in 0..3 {
        let write = client
            .transaction()
            .check(path, None)
            .set_data(STORE, token.0.to_string(), None)
            .commit();
        let is_written = settle(stage, STORE, write.await).is_some();
        let read = client.get_data(STORE, None).await;
        if let Some((data, _)) = settle(stage, STORE, read)
            && is_written
        {
            let stored = std::str::from_utf8(&data).ok();
            let stored = stored.and_then(|text| text.parse::<i64>().ok());
            if stored.is_none_or(|stored| stored < token.0) {
                stage.fail(format!("{STORE} holds {data:?} after {token}"));
            }
        }
        stage.pause(ms(5, 60)).await;
    }
}

/// Whether the znode was there up to now, and went by this.
async fn release(stage: &Stage, client: &RecordedClient, path: &str) -> bool {
    while let Err(error) = client.delete(path, None).await {
        if error.code() == Some(ErrorCode::NoNode) || error.is_session_over() {
            return false;
        }
        if !bears(stage, path, &error) {
            return false;
        }
        stage.pause(ms(50, 200)).await;
    }
    true
}

/// After a create whose fate is unknown: what is ours may be in everybody's way.
async fn clear_away(stage: &Stage, client: &RecordedClient) {
    while let Err(error) = clear(stage, client).await {
        if error.is_session_over() || !bears(stage, ROOT, &error) {
            return;
        }
        stage.pause(ms(50, 200)).await;
    }
}

async fn clear(stage: &Stage, client: &RecordedClient) -> Result<(), zk_client::Error> {
    let own = format!("{}-", stage.host());
    let session = client.session_id();
    // As `Client::settle_writes`: what an earlier connection has created, and not told, may not be
    // committed yet.
    client.transaction().commit().await?;
    for name in client.get_children(ROOT, None).await? {
        let path = format!("{ROOT}/{name}");
        if !name.starts_with(&own) {
            continue;
        }
        if let Some(stat) = client.exists(&path, None).await?
            && stat.ephemeral_owner == session
        {
            match client.delete(&path, None).await {
                Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Closed and expired sessions leave nothing in the queue; a host killed at the end may
/// have one that has not timed out yet.
async fn verify(stage: &Stage) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    let changes = client.watcher(64);
    loop {
        match client.get_children(ROOT, Some(&changes)).await {
            Ok(names) if names.is_empty() => break,
            Ok(_) => drop(changes.next().await),
            Err(error) => {
                stage.fail(format!("{ROOT}: {error} after the faults"));
                break;
            }
        }
    }
    close(client).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_ahead_is_the_nearest() {
        let names = ["b-0000000003", "a-0000000007", "c-0000000005"].map(str::to_owned);
        assert_eq!(ahead(&names, "a-0000000007"), Some(&names[2]));
        assert_eq!(ahead(&names, "b-0000000003"), None);
    }

    #[test]
    fn tokens_rise() {
        let grants = Grants::default();
        assert_eq!(grants.grant(Zxid(4)), Ok(()));
        assert!(grants.grant(Zxid(4)).is_err());
        assert!(grants.grant(Zxid(3)).is_err());
        assert_eq!(grants.grant(Zxid(9)), Ok(()));
    }
}
