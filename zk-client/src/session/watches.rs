//! Who hears of what: the client's registrations, in the server's tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::BytesMut;
use zk_proto::record::{RemoveWatchesRequest, SetWatches, SetWatches2, WatcherEvent};
use zk_proto::{
    Chroot, ErrorCode, EventType, KeeperState, OpCode, RequestHeader, WatcherType, Xid, Zxid,
    encode_frame, path,
};

use super::Output;
use crate::watcher::{WatchedEvent, WatcherId, WatcherQueue};

/// Re-registrations are cut into batches below 128 KiB, Java's figure (less the
/// header), so that no batch comes near the frame limit (ZOOKEEPER-706).
pub(super) const BATCH_BYTES: usize = 128 * 1024 - 64;
/// What each path costs beside its text.
const LENGTH_WORD: usize = 4;

/// What a registration waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Left on a znode that existed.
    Data,
    /// Left by exists on a znode that was missing.
    Exist,
    /// Left on a list of children.
    Child,
    /// Stays until removed.
    Persistent,
    /// Stays until removed and covers the subtree.
    Recursive,
}

impl Table {
    const ALL: [Self; 5] = [
        Self::Data,
        Self::Exist,
        Self::Child,
        Self::Persistent,
        Self::Recursive,
    ];

    /// What removeWatches calls the server's table.
    const fn watcher_type(self) -> WatcherType {
        match self {
            Self::Data | Self::Exist => WatcherType::Data,
            Self::Child => WatcherType::Children,
            Self::Persistent => WatcherType::Persistent,
            Self::Recursive => WatcherType::PersistentRecursive,
        }
    }

    /// The client-made event for a removal.
    const fn removed_event(self) -> EventType {
        match self {
            Self::Data | Self::Exist => EventType::DataWatchRemoved,
            Self::Child => EventType::ChildWatchRemoved,
            Self::Persistent | Self::Recursive => EventType::PersistentWatchRemoved,
        }
    }
}

/// A watcher, and how it sees paths.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) watcher: Arc<WatcherQueue>,
    pub(crate) chroot: Chroot,
}

/// What to do with the tables when the answer to a request comes.
#[derive(Debug)]
pub(crate) struct PendingWatch {
    /// The server's path.
    pub(crate) path: Box<str>,
    pub(crate) kind: WatchKind,
    /// Absent once the watcher was dropped.
    pub(crate) registration: Option<Registration>,
}

/// Which request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchKind {
    /// getData: registers if the znode exists.
    Data,
    /// exists: registers in any case.
    Exists,
    /// getChildren: registers if the znode exists.
    Child,
    /// addWatch.
    Persistent,
    /// addWatch, recursive.
    Recursive,
    /// removeWatches asked for by the user.
    Remove(WatcherType),
}

impl WatchKind {
    /// Whether servers before 3.9 refuse it, so that it may take a second request.
    pub(super) const fn removes_persistent(self) -> bool {
        matches!(
            self,
            Self::Remove(WatcherType::Persistent | WatcherType::PersistentRecursive)
        )
    }

    /// The table an answer registers in, if it does.
    const fn table(self, err: ErrorCode) -> Option<Table> {
        match (self, err) {
            (Self::Data | Self::Exists, ErrorCode::Ok) => Some(Table::Data),
            (Self::Exists, ErrorCode::NoNode) => Some(Table::Exist),
            (Self::Child, ErrorCode::Ok) => Some(Table::Child),
            (Self::Persistent, ErrorCode::Ok) => Some(Table::Persistent),
            (Self::Recursive, ErrorCode::Ok) => Some(Table::Recursive),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Watches {
    registered: BTreeMap<(Table, Arc<str>), Vec<Registration>>,
    /// Every watcher ever attached and not dropped yet, and where it stands.
    watchers: BTreeMap<WatcherId, Places>,
}

#[derive(Debug)]
struct Places {
    queue: Arc<WatcherQueue>,
    at: BTreeSet<(Table, Arc<str>)>,
}

impl Watches {
    /// A watcher was passed to this session for the first time.
    pub(super) fn attach(&mut self, queue: &Arc<WatcherQueue>) {
        let places = Places {
            queue: Arc::clone(queue),
            at: BTreeSet::new(),
        };
        self.watchers.insert(queue.id(), places);
    }

    /// A request that leaves a watch was answered. Returns a removal that became
    /// necessary because its watcher was dropped meanwhile.
    pub(super) fn handle_answer(
        &mut self,
        watch: PendingWatch,
        err: ErrorCode,
        outputs: &mut impl Extend<Output>,
    ) -> Option<Removal> {
        if let WatchKind::Remove(which) = watch.kind {
            if matches!(err, ErrorCode::Ok | ErrorCode::NoWatcher) {
                self.remove(&watch.path, which, outputs);
            }
            return None;
        }
        let table = watch.kind.table(err)?;
        let key = (table, Arc::from(&*watch.path));
        match watch.registration {
            Some(registration) => {
                self.insert(key, registration);
                None
            }
            None if self.registered.contains_key(&key) => None,
            None => Some(Removal {
                table,
                path: watch.path,
            }),
        }
    }

    fn insert(&mut self, key: (Table, Arc<str>), registration: Registration) {
        let id = registration.watcher.id();
        let Some(places) = self.watchers.get_mut(&id) else {
            return;
        };
        if places.at.insert(key.clone()) {
            self.registered.entry(key).or_default().push(registration);
        }
    }

    fn take(&mut self, table: Table, path: &Arc<str>) -> Vec<Registration> {
        let key = (table, Arc::clone(path));
        let taken = self.registered.remove(&key).unwrap_or_default();
        for registration in &taken {
            if let Some(places) = self.watchers.get_mut(&registration.watcher.id()) {
                places.at.remove(&key);
            }
        }
        taken
    }

    fn get(&self, table: Table, path: &Arc<str>) -> &[Registration] {
        self.registered
            .get(&(table, Arc::clone(path)))
            .map_or(&[], Vec::as_slice)
    }

    /// A watch event came in: who hears of it, each watcher once.
    pub(super) fn handle_event(
        &mut self,
        event: &WatcherEvent<'_>,
        zxid: Zxid,
        outputs: &mut impl Extend<Output>,
    ) {
        let Some(event_type) = event_type(event.event_type) else {
            return;
        };
        let path: Arc<str> = Arc::from(&*event.path);
        let mut heard = Vec::new();
        for table in one_shots(event_type) {
            heard.append(&mut self.take(*table, &path));
        }
        heard.extend_from_slice(self.get(Table::Persistent, &path));
        // Another watch may have caused a child event; recursive ones never hear
        // of it (ZOOKEEPER-4475).
        if event_type != EventType::NodeChildrenChanged {
            for ancestor in path::ancestors(&path) {
                heard.extend_from_slice(self.get(Table::Recursive, &Arc::from(ancestor)));
            }
        }
        heard.sort_by_key(|registration| registration.watcher.id());
        heard.dedup_by_key(|registration| registration.watcher.id());
        let zxid = (zxid.0 > 0).then_some(zxid);
        outputs.extend(heard.into_iter().map(|registration| {
            deliver(
                &registration,
                event_type,
                KeeperState::SyncConnected,
                &path,
                zxid,
            )
        }));
    }

    /// The user removed every watch of a kind from a path.
    fn remove(&mut self, path: &str, which: WatcherType, outputs: &mut impl Extend<Output>) {
        let path: Arc<str> = Arc::from(path);
        for table in Table::ALL {
            if which == WatcherType::Any || table.watcher_type() == which {
                let removed = self.take(table, &path);
                outputs.extend(removed.iter().map(|registration| {
                    deliver(
                        registration,
                        table.removed_event(),
                        KeeperState::SyncConnected,
                        &path,
                        None,
                    )
                }));
            }
        }
    }

    /// A watcher was dropped. Returns what nobody on this client waits for any more.
    pub(super) fn forget(&mut self, watcher: WatcherId) -> Vec<Removal> {
        let Some(places) = self.watchers.remove(&watcher) else {
            return Vec::new();
        };
        let mut removals = Vec::new();
        for key in places.at {
            if let Some(registrations) = self.registered.get_mut(&key) {
                registrations.retain(|registration| registration.watcher.id() != watcher);
                if registrations.is_empty() {
                    self.registered.remove(&key);
                    removals.push(Removal {
                        table: key.0,
                        path: Box::from(&*key.1),
                    });
                }
            }
        }
        removals
    }

    /// Whether the server's watch can be removed without harming another one.
    /// Before 3.9 removing a one-shot watch strips a persistent one of the same
    /// path (ZOOKEEPER-4471), so that is left to fire unheard; data and exists
    /// watches share the server's table.
    pub(super) fn may_remove(&self, removal: &Removal) -> bool {
        let path: Arc<str> = Arc::from(&*removal.path);
        let is_used = |table| !self.get(table, &path).is_empty();
        let is_persistent = is_used(Table::Persistent) || is_used(Table::Recursive);
        match removal.table {
            Table::Data | Table::Exist => {
                !is_used(Table::Data) && !is_used(Table::Exist) && !is_persistent
            }
            Table::Child => !is_used(Table::Child) && !is_persistent,
            Table::Persistent => !is_used(Table::Persistent),
            Table::Recursive => !is_used(Table::Recursive),
        }
    }

    /// Whether a refused removal can be had as the removal of every watch of the
    /// path: servers before 3.9 know no other for persistent watches, and it must
    /// not take others with it.
    pub(super) fn needs_removal_of_any(&self, watch: &PendingWatch, err: ErrorCode) -> bool {
        let others = match watch.kind {
            WatchKind::Remove(WatcherType::Persistent) => {
                [Table::Data, Table::Exist, Table::Child, Table::Recursive]
            }
            WatchKind::Remove(WatcherType::PersistentRecursive) => {
                [Table::Data, Table::Exist, Table::Child, Table::Persistent]
            }
            _ => return false,
        };
        let path: Arc<str> = Arc::from(&*watch.path);
        err == ErrorCode::MarshallingError
            && others
                .into_iter()
                .all(|table| self.get(table, &path).is_empty())
    }

    pub(super) fn has_persistent(&self) -> bool {
        self.in_table(Table::Persistent).next().is_some()
            || self.in_table(Table::Recursive).next().is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.registered.is_empty()
    }

    fn in_table(&self, table: Table) -> impl Iterator<Item = (&Arc<str>, &Vec<Registration>)> {
        self.registered
            .range((table, Arc::from(""))..)
            .take_while(move |((at, _), _)| *at == table)
            .map(|((_, path), registrations)| (path, registrations))
    }

    /// What to send after a reconnect, in batches of `limit` bytes.
    pub(super) fn batches(&self, relative_zxid: Zxid, limit: usize) -> Vec<SetWatches2<'static>> {
        let mut batches = Vec::new();
        let mut batch = empty_batch(relative_zxid);
        let mut bytes = 0;
        for (table, path) in self.registered.keys() {
            let size = LENGTH_WORD + path.len();
            if bytes > 0 && bytes + size > limit {
                batches.push(std::mem::replace(&mut batch, empty_batch(relative_zxid)));
                bytes = 0;
            }
            bytes += size;
            list_of(&mut batch, *table).push(path.to_string().into());
        }
        if bytes > 0 {
            batches.push(batch);
        }
        batches
    }

    /// After a reconnect: events under persistent watches were lost meanwhile.
    pub(super) fn announce_gap(&self, outputs: &mut impl Extend<Output>) {
        for table in [Table::Persistent, Table::Recursive] {
            for (path, registrations) in self.in_table(table) {
                outputs.extend(registrations.iter().map(|registration| {
                    deliver(
                        registration,
                        EventType::None,
                        KeeperState::SyncConnected,
                        path,
                        None,
                    )
                }));
            }
        }
    }

    /// The server knows no persistent watches: their watchers hear that they are gone.
    pub(super) fn drop_persistent(&mut self, outputs: &mut impl Extend<Output>) {
        for table in [Table::Persistent, Table::Recursive] {
            let paths: Vec<Arc<str>> = self
                .in_table(table)
                .map(|(path, _)| Arc::clone(path))
                .collect();
            for path in paths {
                let removed = self.take(table, &path);
                outputs.extend(removed.iter().map(|registration| {
                    deliver(
                        registration,
                        table.removed_event(),
                        KeeperState::SyncConnected,
                        &path,
                        None,
                    )
                }));
            }
        }
    }

    /// The session epoch ended: every registration hears of it and is gone.
    pub(super) fn end_epoch(&mut self, outputs: &mut impl Extend<Output>) {
        for ((_, path), registrations) in std::mem::take(&mut self.registered) {
            outputs.extend(registrations.iter().map(|registration| {
                deliver(
                    registration,
                    EventType::None,
                    KeeperState::Expired,
                    &path,
                    None,
                )
            }));
        }
        for places in self.watchers.values_mut() {
            places.at.clear();
        }
    }

    /// The client is terminal: no watcher will hear from it again.
    pub(super) fn end(&mut self, outputs: &mut impl Extend<Output>) {
        self.registered.clear();
        let watchers = std::mem::take(&mut self.watchers);
        outputs.extend(
            watchers
                .into_values()
                .map(|places| Output::Detach(places.queue)),
        );
    }
}

/// A server-side watch that nobody waits for.
#[derive(Debug)]
pub(super) struct Removal {
    table: Table,
    pub(super) path: Box<str>,
}

impl Removal {
    /// Whether it would harm the watch that a call on its way leaves. Before 3.9 the
    /// removal of a one-shot watch strips persistent ones, see `may_remove`.
    pub(super) fn is_needed_by(&self, pending: &PendingWatch) -> bool {
        let is_same_table = match pending.kind {
            WatchKind::Data | WatchKind::Exists => {
                matches!(self.table, Table::Data | Table::Exist)
            }
            WatchKind::Child => self.table == Table::Child,
            WatchKind::Persistent => self.table != Table::Recursive,
            WatchKind::Recursive => self.table != Table::Persistent,
            WatchKind::Remove(_) => false,
        };
        is_same_table && pending.path == self.path && pending.registration.is_some()
    }

    /// Should the server refuse, it is tried in another form.
    pub(super) fn pending(&self) -> PendingWatch {
        let kind = WatchKind::Remove(self.table.watcher_type());
        PendingWatch {
            path: self.path.clone(),
            kind,
            registration: None,
        }
    }

    pub(super) fn request(&self) -> RemoveWatchesRequest<'_> {
        RemoveWatchesRequest {
            path: (&*self.path).into(),
            watcher_type: self.table.watcher_type().into(),
        }
    }
}

/// The kinds of event that servers send; the client makes the others itself.
fn event_type(code: i32) -> Option<EventType> {
    let event_type = EventType::try_from(code).ok()?;
    match event_type {
        EventType::NodeCreated
        | EventType::NodeDeleted
        | EventType::NodeDataChanged
        | EventType::NodeChildrenChanged => Some(event_type),
        EventType::None
        | EventType::DataWatchRemoved
        | EventType::ChildWatchRemoved
        | EventType::PersistentWatchRemoved => None,
    }
}

/// The one-shot watches an event uses up.
const fn one_shots(event: EventType) -> &'static [Table] {
    match event {
        EventType::NodeCreated | EventType::NodeDataChanged => &[Table::Data, Table::Exist],
        EventType::NodeChildrenChanged => &[Table::Child],
        EventType::NodeDeleted => &[Table::Data, Table::Exist, Table::Child],
        EventType::None
        | EventType::DataWatchRemoved
        | EventType::ChildWatchRemoved
        | EventType::PersistentWatchRemoved => &[],
    }
}

/// Paths outside the chroot (`/zookeeper/config`) keep their full name (ZOOKEEPER-4565).
fn deliver(
    registration: &Registration,
    event_type: EventType,
    state: KeeperState,
    path: &str,
    zxid: Option<Zxid>,
) -> Output {
    let path = registration
        .chroot
        .to_client(path)
        .unwrap_or(path)
        .to_owned();
    let event = WatchedEvent {
        event_type,
        state,
        path,
        zxid,
        lagged: 0,
    };
    Output::Event(Arc::clone(&registration.watcher), event)
}

const fn empty_batch(relative_zxid: Zxid) -> SetWatches2<'static> {
    SetWatches2 {
        relative_zxid,
        data_watches: Vec::new(),
        exist_watches: Vec::new(),
        child_watches: Vec::new(),
        persistent_watches: Vec::new(),
        persistent_recursive_watches: Vec::new(),
    }
}

fn list_of<'b>(
    batch: &'b mut SetWatches2<'static>,
    table: Table,
) -> &'b mut Vec<std::borrow::Cow<'static, str>> {
    match table {
        Table::Data => &mut batch.data_watches,
        Table::Exist => &mut batch.exist_watches,
        Table::Child => &mut batch.child_watches,
        Table::Persistent => &mut batch.persistent_watches,
        Table::Recursive => &mut batch.persistent_recursive_watches,
    }
}

/// Encodes a batch; one without persistent watches goes out in the form that every
/// server knows.
pub(super) fn encode_batch(batch: SetWatches2<'_>, out: &mut BytesMut) {
    let header = |op: OpCode| RequestHeader {
        xid: Xid::SET_WATCHES,
        op: op.into(),
    };
    if batch.persistent_watches.is_empty() && batch.persistent_recursive_watches.is_empty() {
        let batch = SetWatches {
            relative_zxid: batch.relative_zxid,
            data_watches: batch.data_watches,
            exist_watches: batch.exist_watches,
            child_watches: batch.child_watches,
        };
        encode_frame(out, &(header(OpCode::SetWatches), batch));
    } else {
        encode_frame(out, &(header(OpCode::SetWatches2), batch));
    }
}
