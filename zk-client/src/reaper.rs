//! The reaper: deletes that are kept until they are proven done.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use zk_env::{Env, Mono, sleep_until};
use zk_proto::{ErrorCode, path};

use crate::client::{Client, WeakClient};
use crate::error::Error;
use crate::protected::ProtectedId;
use crate::session::{Epoch, SessionState};

/// Pause after an attempt that failed, doubled after each further one.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(30);
const MAX_DOUBLINGS: u32 = 16;

/// A znode that must go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "pass it to `Client::guaranteed_delete`"]
pub struct GuaranteedDelete {
    target: Target,
    epoch: Option<Epoch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Path(String),
    /// Whatever the protected create with this id made below this parent.
    Protected {
        parent: String,
        id: ProtectedId,
    },
}

impl GuaranteedDelete {
    /// The znode at `path`, whatever its version.
    pub fn path(path: impl Into<String>) -> Self {
        Self {
            target: Target::Path(path.into()),
            epoch: None,
        }
    }

    /// The znode that a protected create with this id may have left below `parent`.
    pub fn protected(parent: impl Into<String>, id: ProtectedId) -> Self {
        Self {
            target: Target::Protected {
                parent: parent.into(),
                id,
            },
            epoch: None,
        }
    }

    /// Only while this session epoch lasts: for ephemerals, which end with it anyway.
    pub const fn within(mut self, epoch: Epoch) -> Self {
        self.epoch = Some(epoch);
        self
    }
}

/// Deletes remembered at most. Only a client that stays disconnected while thousands
/// of protected creates are dropped comes near.
const MAX_ENTRIES: usize = 65_536;

/// The list, and whether somebody works on it.
#[derive(Debug, Default)]
pub(crate) struct Reaper(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    entries: VecDeque<Entry>,
    is_running: bool,
}

/// A delete that is not proven done.
#[derive(Clone, Debug)]
struct Entry {
    client: WeakClient,
    what: GuaranteedDelete,
    failures: u32,
    /// When to try.
    due: Mono,
}

/// How an attempt ended.
enum Attempt {
    Done,
    Again,
}

impl Reaper {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Takes a delete on; the task runs while there are any.
    pub(crate) fn add(&self, client: &Client, what: GuaranteedDelete) {
        let mut list = self.lock();
        if list.entries.len() >= MAX_ENTRIES {
            tracing::error!(
                ?what,
                limit = MAX_ENTRIES,
                "too many guaranteed deletes, this one is dropped"
            );
            return;
        }
        let (failures, due) = (0, Mono::ZERO);
        list.entries.push_back(Entry {
            client: client.downgrade(),
            what,
            failures,
            due,
        });
        if !std::mem::replace(&mut list.is_running, true) {
            let task = run(Arc::clone(client.env()), client.downgrade(), client.state());
            client.env().spawn("zk-client-reaper", Box::pin(task));
        }
    }

    /// The entry that is due first. It stays in the list until it is proven done.
    fn next(&self) -> Option<Entry> {
        let mut list = self.lock();
        let next = list.entries.iter().min_by_key(|entry| entry.due).cloned();
        list.is_running = next.is_some();
        next
    }

    fn finish(&self, tried: &Entry, attempt: &Attempt, now: Mono) {
        let mut list = self.lock();
        let Some(at) = list
            .entries
            .iter()
            .position(|entry| entry.what == tried.what)
        else {
            return;
        };
        match attempt {
            Attempt::Done => drop(list.entries.remove(at)),
            Attempt::Again => {
                let entry = &mut list.entries[at];
                entry.due = now + (PAUSE * 2_u32.saturating_pow(entry.failures)).min(MAX_PAUSE);
                entry.failures = (entry.failures + 1).min(MAX_DOUBLINGS);
            }
        }
    }
}

/// Ends when the list is empty or the client is gone or terminal; it does not keep
/// the client while it waits.
async fn run(env: Arc<dyn Env>, owner: WeakClient, mut state: watch::Receiver<SessionState>) {
    let mut timer = env.timer();
    while let Some(entry) = owner.upgrade().and_then(|owner| owner.reaper().next()) {
        let due = if env.probe().buggify("client: reaper waits") {
            env.now().max(entry.due) + PAUSE
        } else {
            entry.due
        };
        sleep_until(&mut *timer, due).await;
        // An error means that the client is gone.
        let connected = state.wait_for(|state| !is_between(*state)).await.is_ok();
        let Some(client) = entry
            .client
            .upgrade()
            .filter(|client| connected && !client.is_over())
        else {
            return;
        };
        if !client.state().borrow().is_connected() {
            // Expired, and a new session is on its way.
            env.probe()
                .reached("client: reaper waits for the next session");
            let _ = state.changed().await;
            continue;
        }
        let attempt = try_delete(&client, &entry.what).await;
        client.reaper().finish(&entry, &attempt, env.now());
    }
}

/// Waiting for a connection is worth while.
const fn is_between(state: SessionState) -> bool {
    matches!(
        state,
        SessionState::Connecting | SessionState::Suspended { .. }
    )
}

async fn try_delete(client: &Client, what: &GuaranteedDelete) -> Attempt {
    if what.epoch.is_some_and(|epoch| client.epoch() != epoch) {
        return Attempt::Done;
    }
    match delete(client, &what.target).await {
        Ok(()) => Attempt::Done,
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Attempt::Done,
        Err(error) if is_hopeless(&error) => {
            tracing::error!(%error, ?what, "guaranteed delete given up");
            Attempt::Done
        }
        Err(error) => {
            tracing::warn!(%error, ?what, "guaranteed delete failed, trying again");
            Attempt::Again
        }
    }
}

/// No later attempt could fare better.
const fn is_hopeless(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidPath(_)
            | Error::InvalidArgument { .. }
            | Error::FrameTooLarge { .. }
            | Error::ReplyTooLarge { .. }
            | Error::BadReply(_)
            | Error::Closed
            | Error::AuthFailed
            | Error::SaslFailed(_)
            | Error::SessionExpired
            | Error::EnsembleRegressed { .. }
    )
}

async fn delete(client: &Client, target: &Target) -> Result<(), Error> {
    match target {
        Target::Path(path) => client.delete(path, None).await,
        Target::Protected { parent, id } => {
            // The list must show what the lost create did (CURATOR-45).
            client.transaction().commit().await?;
            let children = client.get_children(parent, None).await?;
            match id.find_in(&children) {
                Some(name) => client.delete(&path::join(parent, name), None).await,
                None => Ok(()),
            }
        }
    }
}
