//! The reaper: deletes that are kept until they are proven done.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_env::sleep_until;
use zk_proto::{ErrorCode, path};

use crate::client::{Client, WeakClient};
use crate::error::Error;
use crate::protected::ProtectedId;
use crate::session::{Epoch, SessionState};

/// Pause after an attempt that failed for a reason a reconnect does not mend.
const PAUSE: Duration = Duration::from_millis(500);

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

/// The list, and whether somebody works on it.
#[derive(Debug, Default)]
pub(crate) struct Reaper(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    entries: VecDeque<(WeakClient, GuaranteedDelete)>,
    is_running: bool,
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
        list.entries.push_back((client.downgrade(), what));
        if !std::mem::replace(&mut list.is_running, true) {
            client
                .env()
                .spawn("zk-client-reaper", Box::pin(run(client.downgrade())));
        }
    }

    /// The first entry stays in the list until it is proven done.
    fn first(&self) -> Option<(WeakClient, GuaranteedDelete)> {
        let mut list = self.lock();
        let first = list.entries.front().cloned();
        list.is_running = first.is_some();
        first
    }

    fn finish_first(&self, attempt: &Attempt) {
        let mut list = self.lock();
        if let Some(first) = list.entries.pop_front()
            && matches!(attempt, Attempt::Again)
        {
            list.entries.push_back(first);
        }
    }
}

/// Ends when the list is empty or the client is gone; it does not keep the client.
async fn run(owner: WeakClient) {
    while let Some((client, what)) = owner.upgrade().and_then(|owner| owner.reaper().first()) {
        let attempt = match client.upgrade() {
            Some(client) => try_delete(&client, &what).await,
            None => Attempt::Done,
        };
        let Some(owner) = owner.upgrade() else {
            return;
        };
        owner.reaper().finish_first(&attempt);
    }
}

async fn try_delete(client: &Client, what: &GuaranteedDelete) -> Attempt {
    if !wait_connected(client).await {
        return Attempt::Done;
    }
    if what.epoch.is_some_and(|epoch| client.epoch() != epoch) {
        return Attempt::Done;
    }
    match delete(client, &what.target).await {
        Ok(()) => Attempt::Done,
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Attempt::Done,
        Err(Error::Closed | Error::AuthFailed | Error::SessionExpired) => Attempt::Done,
        Err(error) => {
            tracing::warn!(%error, ?what, "guaranteed delete failed, trying again");
            if error.code().is_some() {
                let env = client.env();
                sleep_until(&mut *env.timer(), env.now() + PAUSE).await;
            }
            Attempt::Again
        }
    }
}

/// False once the client is terminal.
async fn wait_connected(client: &Client) -> bool {
    let mut state = client.state();
    let settled = state
        .wait_for(|state| {
            matches!(
                state,
                SessionState::Connected { .. } | SessionState::AuthFailed | SessionState::Closed
            )
        })
        .await;
    settled.is_ok_and(|state| state.is_connected())
}

async fn delete(client: &Client, target: &Target) -> Result<(), Error> {
    match target {
        Target::Path(path) => client.delete(path, None).await,
        Target::Protected { parent, id } => {
            // The list must show what the lost create did (CURATOR-45).
            let sync = client.sync(parent);
            let children = client.get_children(parent, None).after(sync).await?;
            match id.find_in(&children) {
                Some(name) => client.delete(&path::join(parent, name), None).await,
                None => Ok(()),
            }
        }
    }
}
