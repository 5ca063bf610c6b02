//! A watched part of the tree, shared between the task that keeps it and those who look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use zk_client::Client;
use zk_env::{Boot, TaskHandle};

use super::mirror::{Depth, Mirror};
use super::pending::{Change, Pending, Update, Znode};
use super::pump::pump;
use crate::error::Error;

/// How far it has got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Counts what there was to hear.
    pub(crate) revision: u64,
    /// Everything has been read once.
    pub(crate) is_loaded: bool,
    /// The state was known to be complete at this time, and may be so still.
    pub(crate) confirmed: Option<Boot>,
    /// Connected, and nothing is left to be read.
    pub(crate) is_current: bool,
    /// It will not change any more.
    pub(crate) ended: Option<Error>,
}

#[derive(Debug)]
struct State {
    znodes: BTreeMap<String, Arc<Znode>>,
    subscribers: Vec<Weak<Mutex<Pending>>>,
}

/// What the task writes and others read.
#[derive(Debug)]
pub(crate) struct Feed {
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
}

/// A subscriber's part of a feed.
pub(crate) type Mailbox = Arc<Mutex<Pending>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                znodes: BTreeMap::new(),
                subscribers: Vec::new(),
            }),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    /// Takes changes over.
    pub(crate) fn publish(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        for change in changes {
            match &change.after {
                Some(znode) => state.znodes.insert(change.path.clone(), Arc::clone(znode)),
                None => state.znodes.remove(&change.path),
            };
        }
        state.subscribers.retain(|mailbox| {
            let Some(mailbox) = mailbox.upgrade() else {
                return false;
            };
            let mut pending = lock(&mailbox);
            changes.iter().for_each(|change| pending.push(change));
            true
        });
        drop(state);
        self.progress.send_modify(|progress| progress.revision += 1);
    }

    /// Says how far it has got; `proven` is when the server last was known to answer.
    pub(crate) fn settle(&self, is_current: bool, proven: Option<Boot>) {
        self.progress.send_if_modified(|progress| {
            let is_news = progress.is_current != is_current;
            if is_current || (is_news && progress.is_current) {
                progress.confirmed = proven.max(progress.confirmed);
            }
            progress.is_current = is_current;
            progress.is_loaded |= is_current;
            is_news
        });
    }

    /// Nothing more comes.
    pub(crate) fn end(&self, error: Error) {
        self.progress.send_modify(|progress| {
            progress.is_current = false;
            progress.ended.get_or_insert(error);
        });
    }

    fn pop(&self, mailbox: &Mailbox, is_loaded: bool) -> Option<Update> {
        // The feed first, always: a snapshot and the changes after it fit together.
        let state = lock(&self.state);
        lock(mailbox).pop(|| is_loaded.then(|| state.znodes.clone()))
    }
}

/// A feed and its task, which ends with the last of those who hold it.
#[derive(Debug)]
pub(crate) struct Watched {
    client: Client,
    feed: Arc<Feed>,
    task: TaskHandle,
}

impl Watched {
    /// Starts to watch; `path` is valid.
    pub(crate) fn start(client: &Client, path: &str, depth: Depth, limit: usize) -> Arc<Self> {
        let feed = Arc::new(Feed::new());
        let mirror = Mirror::new(path, depth, limit);
        let task = pump(client.clone(), Arc::clone(&feed), mirror, limit);
        Arc::new(Self {
            task: client.env().spawn("zk-recipes-watch", Box::pin(task)),
            client: client.clone(),
            feed,
        })
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.feed.progress.subscribe()
    }

    pub(crate) fn get(&self, path: &str) -> Option<Arc<Znode>> {
        lock(&self.feed.state).znodes.get(path).cloned()
    }

    pub(crate) fn znodes(&self) -> BTreeMap<String, Arc<Znode>> {
        lock(&self.feed.state).znodes.clone()
    }

    /// A subscriber that keeps up to `limit` changes.
    pub(crate) fn subscribe(&self, limit: usize) -> Mailbox {
        let mailbox = Arc::new(Mutex::new(Pending::new(limit)));
        let mut state = lock(&self.feed.state);
        state.subscribers.push(Arc::downgrade(&mailbox));
        mailbox
    }

    /// The mailbox's next update.
    pub(crate) async fn next(&self, mailbox: &Mailbox) -> Result<Update, Error> {
        let mut progress = self.progress();
        loop {
            let (is_loaded, ended) = {
                let progress = progress.borrow_and_update();
                (progress.is_loaded, progress.ended.clone())
            };
            if let Some(update) = self.feed.pop(mailbox, is_loaded) {
                return Ok(update);
            }
            if let Some(error) = ended {
                return Err(error);
            }
            // The sender lives as long as `self` does.
            if progress.changed().await.is_err() {
                return Err(Error::Client(zk_client::Error::Closed));
            }
        }
    }

    /// Waits until everything has been read once.
    pub(crate) async fn loaded(&self) -> Result<(), Error> {
        let mut progress = self.progress();
        let loaded = progress
            .wait_for(|progress| progress.is_loaded || progress.ended.is_some())
            .await;
        let Ok(progress) = loaded else {
            return Err(Error::Client(zk_client::Error::Closed));
        };
        match &progress.ended {
            Some(error) if !progress.is_loaded => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// How long ago the state was last known to be complete.
    pub(crate) fn age(&self) -> Option<Duration> {
        let progress = self.feed.progress.borrow();
        let confirmed = if progress.is_current {
            self.client.last_proof_of_life().max(progress.confirmed)
        } else {
            progress.confirmed
        };
        confirmed.map(|at| self.client.env().boot_now().since(at))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}
