//! One call, drawn from everything a client can do.

use std::future::Future;
use std::time::Duration;

use zk_client::{Acl, AclId, AddWatchMode, CreateMode, CreateOptions, Error, Perms, WatcherType};
use zk_env::{BoxFuture, EnvRng};

use crate::history::{RecordedClient, RecordedWatcher};

use super::super::clients::one_of;

/// Shared znodes, and own ones of each worker.
const ZNODES: u64 = 8;
/// Events a watcher keeps; few, so that some lag.
const WATCHER_CAPACITY: usize = 16;

/// What to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Create,
    CreateEphemeral,
    CreateSequential,
    CreateContainer,
    CreateTtl,
    Delete,
    SetData,
    SetDataIf,
    GetData,
    Exists,
    GetChildren,
    GetChildren2,
    CountDescendants,
    GetEphemerals,
    GetAcl,
    SetAcl,
    Sync,
    Check,
    Transaction,
    MultiRead,
    WhoAmI,
    AddAuth,
    AddWatch,
    RemoveWatches,
    CheckWatches,
}

use Choice::{
    AddAuth, AddWatch, Check, CheckWatches, CountDescendants, Create, CreateContainer,
    CreateEphemeral, CreateSequential, CreateTtl, Delete, Exists, GetAcl, GetChildren,
    GetChildren2, GetData, GetEphemerals, MultiRead, RemoveWatches, SetAcl, SetData, SetDataIf,
    Sync, Transaction, WhoAmI,
};

/// How often each is drawn, roughly: what happens more often stands more often.
const CHOICES: &[Choice] = &[
    Create,
    Create,
    Create,
    Create,
    CreateEphemeral,
    CreateEphemeral,
    CreateSequential,
    CreateContainer,
    CreateTtl,
    Delete,
    Delete,
    Delete,
    Delete,
    SetData,
    SetData,
    SetData,
    SetData,
    SetDataIf,
    SetDataIf,
    GetData,
    GetData,
    GetData,
    GetData,
    Exists,
    Exists,
    Exists,
    GetChildren,
    GetChildren,
    GetChildren2,
    GetChildren2,
    CountDescendants,
    GetEphemerals,
    GetAcl,
    SetAcl,
    Sync,
    Check,
    Transaction,
    Transaction,
    Transaction,
    MultiRead,
    WhoAmI,
    AddAuth,
    AddWatch,
    RemoveWatches,
    CheckWatches,
];

impl Choice {
    pub(super) fn draw(rng: &mut EnvRng) -> Self {
        *one_of(rng, CHOICES)
    }
}

/// Where a worker calls, and its watchers.
#[derive(Debug)]
pub(super) struct Menu {
    shared: String,
    own: String,
    user: String,
    watchers: Vec<RecordedWatcher>,
    calls: u64,
}

fn told<T>(
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> BoxFuture<Result<(), Error>> {
    Box::pin(async move { call.await.map(drop) })
}

impl Menu {
    pub(super) fn new(root: &str, host: &str) -> Self {
        Self {
            shared: root.to_owned(),
            own: format!("{root}/{host}"),
            user: format!("{host}:secret"),
            watchers: Vec::new(),
            calls: 0,
        }
    }

    /// Takes what was heard.
    pub(super) fn listen(&self) {
        for watcher in &self.watchers {
            while watcher.try_next().is_some() {}
        }
    }

    /// A path that may or may not be a znode: shared, own, or a child of either.
    fn path(&self, rng: &mut EnvRng) -> String {
        let parent = if rng.below(3) == 0 {
            &self.own
        } else {
            &self.shared
        };
        let znode = format!("{parent}/n{}", rng.below(ZNODES));
        match rng.below(4) {
            0 => format!("{znode}/c{}", rng.below(3)),
            _ => znode,
        }
    }

    /// Data that no other call writes.
    fn data(&mut self) -> String {
        self.calls += 1;
        format!("{} {}", self.own, self.calls)
    }

    /// Sometimes a watcher, old or new; sometimes an old one is dropped.
    fn watcher(&mut self, client: &RecordedClient, rng: &mut EnvRng) -> Option<usize> {
        match rng.below(8) {
            0..=3 => return None,
            4 if self.watchers.len() > 2 => {
                let dropped = rng.below(self.watchers.len() as u64);
                self.watchers.swap_remove(dropped as usize);
            }
            _ => {}
        }
        if self.watchers.len() < 4 {
            self.watchers.push(client.watcher(WATCHER_CAPACITY));
        }
        Some(rng.below(self.watchers.len() as u64) as usize)
    }

    fn options(&self, rng: &mut EnvRng, mode: CreateMode) -> CreateOptions {
        let options = CreateOptions::from(mode);
        match rng.below(8) {
            0 => options.with_acl(vec![Acl::open()]),
            1 => options.with_acl(vec![
                Acl::new(Perms::READ | Perms::DELETE, AclId::anyone()),
                Acl::new(Perms::WRITE, AclId::new("ip", "10.0.0.0/8")),
            ]),
            _ => options,
        }
    }

    pub(super) fn call(
        &mut self,
        client: &RecordedClient,
        choice: Choice,
        rng: &mut EnvRng,
    ) -> BoxFuture<Result<(), Error>> {
        let path = self.path(rng);
        match choice {
            Create | CreateEphemeral | CreateSequential | CreateContainer | CreateTtl => {
                self.create(client, choice, &path, rng)
            }
            Delete => told(client.delete(&path, version(rng))),
            SetData => told(client.set_data(&path, self.data(), None)),
            SetDataIf => told(client.set_data(&path, self.data(), version(rng))),
            GetData | Exists | GetChildren | GetChildren2 => self.read(client, choice, &path, rng),
            CountDescendants => told(client.get_all_children_number(&self.shared)),
            GetEphemerals => told(client.get_ephemerals(&self.shared)),
            GetAcl => told(client.get_acl(&path)),
            SetAcl => told(client.set_acl(&path, vec![Acl::open()], version(rng))),
            Sync => told(client.sync(&path)),
            Check => told(client.transaction().check(&path, version(rng)).commit()),
            Transaction => self.transaction(client, &path, rng),
            MultiRead => {
                let other = self.path(rng);
                told(client.multi_read(|read| read.get_data(&path).get_children(&other)))
            }
            WhoAmI => told(client.who_am_i()),
            AddAuth => told(client.add_auth("digest", &self.user)),
            AddWatch | RemoveWatches | CheckWatches => self.watch(client, choice, &path, rng),
        }
    }

    fn create(
        &mut self,
        client: &RecordedClient,
        choice: Choice,
        path: &str,
        rng: &mut EnvRng,
    ) -> BoxFuture<Result<(), Error>> {
        let ttl = Duration::from_millis(200 + rng.below(3_000));
        let mode = match choice {
            CreateEphemeral => CreateMode::Ephemeral,
            CreateSequential if rng.below(2) == 0 => CreateMode::EphemeralSequential,
            CreateSequential => CreateMode::PersistentSequential,
            CreateContainer => CreateMode::Container,
            CreateTtl if rng.below(2) == 0 => CreateMode::PersistentSequentialWithTtl(ttl),
            CreateTtl => CreateMode::PersistentWithTtl(ttl),
            _ => CreateMode::Persistent,
        };
        let (data, options) = (self.data(), self.options(rng, mode));
        let is_plain = !matches!(choice, CreateContainer | CreateTtl);
        if is_plain && rng.below(2) == 0 {
            told(client.create(path, data, options))
        } else {
            told(client.create2(path, data, options))
        }
    }

    fn read(
        &mut self,
        client: &RecordedClient,
        choice: Choice,
        path: &str,
        rng: &mut EnvRng,
    ) -> BoxFuture<Result<(), Error>> {
        let watcher = self.watcher(client, rng);
        let watcher = watcher.map(|index| &self.watchers[index]);
        match choice {
            Exists => told(client.exists(path, watcher)),
            GetChildren => told(client.get_children(path, watcher)),
            GetChildren2 => told(client.get_children2(path, watcher)),
            _ => told(client.get_data(path, watcher)),
        }
    }

    fn watch(
        &mut self,
        client: &RecordedClient,
        choice: Choice,
        path: &str,
        rng: &mut EnvRng,
    ) -> BoxFuture<Result<(), Error>> {
        let kinds = [WatcherType::Any, WatcherType::Data, WatcherType::Children];
        let kind = *one_of(rng, &kinds);
        match (choice, self.watcher(client, rng)) {
            (RemoveWatches, _) => told(client.remove_watches(path, kind)),
            (AddWatch, Some(watcher)) => {
                let modes = [AddWatchMode::Persistent, AddWatchMode::PersistentRecursive];
                let mode = *one_of(rng, &modes);
                told(client.add_watch(path, mode, &self.watchers[watcher]))
            }
            _ => told(client.check_watches(path, kind)),
        }
    }

    fn transaction(
        &mut self,
        client: &RecordedClient,
        path: &str,
        rng: &mut EnvRng,
    ) -> BoxFuture<Result<(), Error>> {
        let mut transaction = client.transaction();
        let mut path = path.to_owned();
        for _ in 0..=rng.below(4) {
            transaction = match rng.below(5) {
                0 => transaction.check(&path, version(rng)),
                1 => transaction.delete(&path, version(rng)),
                2 => transaction.create2(&path, self.data(), CreateMode::PersistentSequential),
                3 => transaction.create2(&path, self.data(), CreateMode::Ephemeral),
                _ => transaction.set_data(&path, self.data(), None),
            };
            if rng.below(2) == 0 {
                path = self.path(rng);
            }
        }
        told(transaction.commit())
    }
}

/// Mostly any, sometimes one that may fit.
fn version(rng: &mut EnvRng) -> Option<i32> {
    match rng.below(4) {
        0 => Some(0),
        1 => Some(1),
        _ => None,
    }
}
