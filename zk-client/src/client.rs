//! The client's handle: every operation in view.

use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tracing::Instrument;
use zk_env::{Boot, Env, sleep_until};
use zk_proto::data::AddWatchMode;
use zk_proto::record::{
    AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, ClientInfo,
    CreateRequest, CreateTtlRequest, Credential, DeleteRequest, ExistsRequest, GetAclRequest,
    GetAllChildrenNumberRequest, GetChildren2Request, GetChildrenRequest, GetDataRequest,
    GetEphemeralsRequest, MultiOp, MultiRequest, ReconfigRequest, RemoveWatchesRequest,
    SetAclRequest, SetDataRequest, SyncRequest,
};
use zk_proto::{
    Acl, Chroot, ConnectString, CreateMode, CreateOptions, Encode, HostPort, OpCode, Password,
    SessionId, Stat, WatcherType, Zxid, path,
};

use crate::config::{ClientBuilder, Config, check_auth};
use crate::driver::{Driver, Shared};
use crate::error::{ConnectError, Error};
use crate::hosts::Hosts;
use crate::multi_read::MultiRead;
use crate::options::{check_acl, check_create};
use crate::read;
use crate::reaper::{GuaranteedDelete, Reaper};
use crate::reply::{Asked, Read, Reply, attempt};
use crate::retry::{RetryPolicy, Retrying};
use crate::session::{
    AuthInfo, Call, Epoch, PendingWatch, Registration, Session, SessionState, WatchKind,
};
use crate::transaction::Transaction;
use crate::watcher::{Watcher, WatcherHome};

/// The ensemble's configuration, outside every chroot.
const CONFIG_PATH: &str = "/zookeeper/config";

/// A session with a ZooKeeper ensemble.
///
/// Cheap to clone; clones and [`chroot`](Self::chroot) handles share the session.
/// The session ends when [`close`](Self::close) is called, and soon after the last
/// handle is dropped.
///
/// # Ordering
///
/// An operation takes its place in line when its method is called, not when its
/// [`Reply`] is polled: operations take effect, and replies become ready, in the
/// order of the calls. A watch event is queued in its [`Watcher`] before the reply
/// to any read that could show the change.
///
/// # Connection loss
///
/// Calls that were on the wire fail; [`Error::outcome`] says whether they may have
/// taken effect. Calls made while disconnected wait for the connection or their
/// deadline. Nothing is ever sent twice unless asked for by
/// [`retrying`](Self::retrying).
///
/// # Expiry
///
/// When the server says that the session has expired, ephemerals and one-shot
/// watches are gone, waiting calls fail with [`Error::EpochEnded`], and the client
/// opens a new session (unless told not to) with the next [`Epoch`].
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
    chroot: Chroot,
    deadline: Duration,
}

#[derive(Debug)]
pub(crate) struct Inner {
    shared: Arc<Shared>,
    home: Weak<dyn WatcherHome>,
    reaper: Reaper,
}

/// Best effort: the session is closed as soon as what was called is answered.
impl Drop for Inner {
    fn drop(&mut self) {
        let now = self.shared.env.now();
        // Nobody waits for the answer.
        drop(self.shared.session().close(now));
        self.shared.wake();
    }
}

pub(crate) async fn connect(config: Config) -> Result<Client, ConnectError> {
    let env = Arc::clone(&config.env);
    let rng = env.rng("zk-client-hosts");
    let hosts = Hosts::new(
        config.servers.hosts.clone(),
        config.should_shuffle,
        config.backoff,
        rng,
    );
    let shared = Arc::new(Shared::new(
        Arc::clone(&env),
        Session::new(config.session.clone()),
        hosts,
    ));
    let driver = Driver::new(Arc::clone(&shared), &config);
    let home = Arc::downgrade(&shared);
    let client = Client {
        inner: Arc::new(Inner {
            shared,
            home,
            reaper: Reaper::default(),
        }),
        chroot: config.servers.chroot.clone(),
        deadline: config.operation_deadline,
    };
    let span = tracing::info_span!("zk_client", servers = %config.servers);
    env.spawn("zk-client", Box::pin(driver.run().instrument(span)));
    client.wait_connected(config.connect_deadline).await?;
    Ok(client)
}

impl Client {
    /// Connects to one of the servers of `host[:port][,host[:port]…][/chroot]`, with
    /// good defaults; [`builder`](Self::builder) for everything else. Returns once a
    /// session exists.
    ///
    /// # Errors
    ///
    /// See [`ClientBuilder::connect`].
    pub async fn connect(servers: &str) -> Result<Self, ConnectError> {
        Self::builder(servers).connect().await
    }

    /// Chooses timeouts, credentials, limits.
    pub fn builder(servers: &str) -> ClientBuilder {
        ClientBuilder::new(servers)
    }

    async fn wait_connected(&self, deadline: Duration) -> Result<(), ConnectError> {
        let env = &self.inner.shared.env;
        let (mut timer, at) = (env.timer(), env.now() + deadline);
        let mut state = self.state();
        let settled = state.wait_for(|state| !matches!(state, SessionState::Connecting));
        let late = sleep_until(&mut *timer, at);
        let settled =
            match futures_util::future::select(std::pin::pin!(settled), std::pin::pin!(late)).await
            {
                futures_util::future::Either::Left((Ok(state), _)) => Some(*state),
                futures_util::future::Either::Left((Err(_), _))
                | futures_util::future::Either::Right(_) => None,
            };
        match settled {
            Some(SessionState::AuthFailed) => Err(ConnectError::AuthFailed),
            Some(SessionState::Expired { epoch }) if epoch == Epoch::default() => {
                Err(ConnectError::SessionExpired)
            }
            Some(_) => Ok(()),
            None => {
                let attempts = self.inner.shared.host_book().attempts.clone();
                Err(ConnectError::NoServer { deadline, attempts })
            }
        }
    }

    // --- Handles -----------------------------------------------------------------

    /// A handle that sees only the subtree at `path`; it shares the session. The
    /// znode is not created.
    ///
    /// # Errors
    ///
    /// `path` is not valid.
    pub fn chroot(&self, path: &str) -> Result<Self, Error> {
        Ok(Self {
            chroot: self.chroot.join(path)?,
            ..self.clone()
        })
    }

    /// A handle whose calls wait this long for their answer, time in the queue
    /// included.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// Runs operations again as `policy` allows. Each attempt takes a new place in
    /// line.
    pub fn retrying(&self, policy: RetryPolicy) -> Retrying {
        Retrying::new(self.clone(), policy)
    }

    // --- The session ---------------------------------------------------------------

    /// Where the session stands, as a value that can be read, awaited, and not missed.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.inner.shared.state.subscribe()
    }

    /// The session's id, to be stored with its password for
    /// [`ClientBuilder::resume`]; it changes with the epoch.
    pub fn session_id(&self) -> SessionId {
        self.inner.shared.session().identity().id
    }

    /// The session's password. Whoever has it can take the session over.
    pub fn session_password(&self) -> Password {
        self.inner.shared.session().identity().password.clone()
    }

    /// The negotiated session timeout.
    pub fn session_timeout(&self) -> Duration {
        self.inner.shared.session().identity().timeout
    }

    /// The current session's number, counted from 1; after an expiry that of the
    /// session to come.
    pub fn epoch(&self) -> Epoch {
        self.inner.shared.session().identity().epoch
    }

    /// The newest transaction this session has seen; no server that is behind it
    /// will be used.
    pub fn last_zxid(&self) -> Zxid {
        self.inner.shared.session().last_zxid()
    }

    /// When the last answered request was sent, on the clock that runs through
    /// machine suspend: then the session was alive. A soft proof: a follower cut off
    /// from its leader answers pings while the leader may expire the session.
    pub fn last_proof_of_life(&self) -> Option<Boot> {
        self.inner.shared.session().identity().proof
    }

    /// The server connected to, as configured.
    pub fn connected_host(&self) -> Option<HostPort> {
        let is_connected = self.inner.shared.state.borrow().is_connected();
        self.inner
            .shared
            .host_book()
            .current
            .clone()
            .filter(|_| is_connected)
    }

    /// The environment this client lives in, for recipes.
    #[doc(hidden)]
    pub fn env(&self) -> &Arc<dyn Env> {
        &self.inner.shared.env
    }

    /// Waits until the queue has room for a call.
    ///
    /// # Errors
    ///
    /// The client is terminal.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; nothing is reserved either.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut waiting = Waiting {
            shared: &self.inner.shared,
            waker: None,
        };
        std::future::poll_fn(|cx| {
            let room = waiting.shared.session().poll_ready(cx.waker());
            waiting.waker = room.is_none().then(|| cx.waker().clone());
            room.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Replaces the list of servers; a chroot in `servers` is refused. If clients
    /// should spread anew over the list, this one may move to another server, by
    /// Java's rule (ZOOKEEPER-1355); the session goes with it.
    ///
    /// # Errors
    ///
    /// The connect string is invalid or has a chroot.
    pub fn update_hosts(&self, servers: &str) -> Result<(), Error> {
        let servers: ConnectString = servers.parse()?;
        if servers.chroot != Chroot::none() {
            return Err(Error::invalid(
                "servers",
                "a new list of servers takes no chroot",
            ));
        }
        let should_move = {
            let mut book = self.inner.shared.host_book();
            let current = book.current.clone();
            book.hosts.update(servers.hosts, current.as_ref())
        };
        if should_move {
            self.inner.shared.request_move();
        }
        Ok(())
    }

    /// Ends the session: waits for the calls made so far, then removes the session
    /// and its ephemerals at once. Later calls fail with [`Error::Closed`]. Guaranteed
    /// deletes that are not proven done are given up: wait for
    /// [`guaranteed_deletes`](Self::guaranteed_deletes) to reach 0 if they matter.
    ///
    /// # Errors
    ///
    /// No server could be reached within the session timeout; the ephemerals are
    /// then gone as soon as the server expires the session by itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) -> Result<(), Error> {
        let closed = {
            let now = self.inner.shared.env.now();
            self.inner.shared.session().close(now)
        };
        self.inner.shared.wake();
        closed.await.unwrap_or(Err(Error::Closed)).map(drop)
    }

    // --- Writing -------------------------------------------------------------------

    /// Creates a znode and gives its path, with the counter of a sequential one.
    ///
    /// # Errors
    ///
    /// `NodeExists`, `NoNode` (the parent is missing), `NoChildrenForEphemerals`,
    /// `NoAuth`, `InvalidAcl`, `QuotaExceeded`.
    pub fn create(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Reply<String> {
        let options = options.into();
        let read = match options.mode() {
            CreateMode::Persistent
            | CreateMode::Ephemeral
            | CreateMode::PersistentSequential
            | CreateMode::EphemeralSequential => read::created,
            CreateMode::Container
            | CreateMode::PersistentWithTtl(_)
            | CreateMode::PersistentSequentialWithTtl(_) => read::created2_path,
        };
        self.create_as(path, data.as_ref(), &options, false, read)
    }

    /// As [`create`](Self::create), and gives the new znode's `Stat` too. A server
    /// before 3.5 needs two requests for it.
    ///
    /// # Errors
    ///
    /// As `create`.
    pub fn create2(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Reply<(String, Stat)> {
        self.create_as(path, data.as_ref(), &options.into(), true, read::created2)
    }

    fn create_as<T>(
        &self,
        path: &str,
        data: &[u8],
        options: &CreateOptions,
        with_stat: bool,
        read: Read<T>,
    ) -> Reply<T> {
        attempt(|| {
            let record = self.create_record(path, data, options)?;
            let op = options.mode().op_code(with_stat);
            match options.mode().ttl() {
                None => self.send(op, path, None, &record, read),
                Some(ttl) => {
                    let CreateRequest {
                        path: server_path,
                        data,
                        acl,
                        flags,
                    } = record;
                    let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
                    self.send(
                        op,
                        path,
                        None,
                        &CreateTtlRequest {
                            path: server_path,
                            data,
                            acl,
                            flags,
                            ttl_ms,
                        },
                        read,
                    )
                }
            }
        })
    }

    /// The record of a create, checked.
    pub(crate) fn create_record<'a>(
        &self,
        path: &'a str,
        data: &'a [u8],
        options: &CreateOptions,
    ) -> Result<CreateRequest<'a>, Error> {
        check_create(options)?;
        let server_path = if options.mode().is_sequential() {
            self.sequential_path(path)?
        } else {
            self.server_path(path)?
        };
        Ok(CreateRequest {
            path: server_path,
            data: Some(data.into()),
            acl: Some(options.acl()),
            flags: options.mode().flags(),
        })
    }

    /// A sequential name may be empty: `/` then names children of the chroot, not
    /// siblings.
    fn sequential_path<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Error> {
        path::validate_sequential(path)?;
        Ok(match (path, self.chroot.as_str()) {
            ("/", chroot) if chroot != "/" => Cow::Owned(format!("{chroot}/")),
            _ => self.chroot.to_server(path),
        })
    }

    /// Deletes a znode without children; `None` for any version.
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NotEmpty`, `NoAuth`.
    pub fn delete(&self, path: &str, version: impl Into<Option<i32>>) -> Reply<()> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            let record = DeleteRequest {
                path: self.server_path(path)?,
                version,
            };
            self.send(OpCode::Delete, path, None, &record, read::nothing)
        })
    }

    /// Replaces a znode's data; `None` for any version. Gives the `Stat` after the
    /// change.
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NoAuth`, `QuotaExceeded`.
    pub fn set_data(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<i32>>,
    ) -> Reply<Stat> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            let data = Some(Cow::Borrowed(data.as_ref()));
            let record = SetDataRequest {
                path: self.server_path(path)?,
                data,
                version,
            };
            self.send(OpCode::SetData, path, None, &record, read::stat)
        })
    }

    /// Replaces a znode's ACL; the version is the `aversion`, `None` for any.
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NoAuth`, `InvalidAcl`.
    pub fn set_acl(
        &self,
        path: &str,
        acl: Vec<Acl>,
        version: impl Into<Option<i32>>,
    ) -> Reply<Stat> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            check_acl(&acl)?;
            let record = SetAclRequest {
                path: self.server_path(path)?,
                acl: Some(acl),
                version,
            };
            self.send(OpCode::SetAcl, path, None, &record, read::stat)
        })
    }

    /// Checks that a znode exists and its data has the version; `None` for any. Sent
    /// as a transaction of one: a check alone damages the log of servers before
    /// 3.8.5 and 3.9.3 (ZOOKEEPER-2623).
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NoAuth`.
    pub fn check(&self, path: &str, version: impl Into<Option<i32>>) -> Reply<()> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            let check = CheckVersionRequest {
                path: self.server_path(path)?,
                version,
            };
            let record = MultiRequest {
                ops: vec![MultiOp::Check(check)],
            };
            self.send(OpCode::Multi, path, None, &record, read::checked)
        })
    }

    /// Collects writes that take effect together or not at all.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// Changes the ensemble's membership; `config_version` is the version the
    /// configuration must have (the `zxid` in its last line), `None` for any. Gives
    /// the new configuration.
    ///
    /// # Errors
    ///
    /// `ReconfigDisabled`, `ReconfigInProgress`, `NewConfigNoQuorum`, `BadVersion`,
    /// `BadArguments`, `NoAuth`.
    pub fn reconfig(
        &self,
        change: &Reconfig,
        config_version: impl Into<Option<i64>>,
    ) -> Reply<(Bytes, Stat)> {
        let config_id = config_version.into().unwrap_or(-1);
        let (joining, leaving, members) = match change {
            Reconfig::Incremental { joining, leaving } => (Some(joining), Some(leaving), None),
            Reconfig::Whole(members) => (None, None, Some(members)),
        };
        let text = |servers: Option<&Vec<String>>| servers.map(|servers| servers.join(",").into());
        attempt(|| {
            let record = ReconfigRequest {
                joining_servers: text(joining),
                leaving_servers: text(leaving),
                new_members: text(members),
                config_id,
            };
            self.send(OpCode::Reconfig, CONFIG_PATH, None, &record, read::data)
        })
    }

    // --- Reading -------------------------------------------------------------------

    /// A znode's `Stat`, or `None` if it is missing. A watch is left in either case.
    ///
    /// # Errors
    ///
    /// `NoAuth` since 3.8.4.
    pub fn exists<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<Option<Stat>> {
        let watch = watch.into();
        attempt(|| {
            let record = ExistsRequest {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::Exists,
                path,
                self.watch(watch, WatchKind::Exists, &record.path),
                &record,
                read::found,
            )
        })
    }

    /// A znode's data and `Stat`; null data reads as empty. A watch is left if the
    /// znode exists.
    ///
    /// The bytes share the chunk they were received in, up to 64 KiB: copy what you
    /// keep.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_data<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<(Bytes, Stat)> {
        let watch = watch.into();
        attempt(|| {
            let record = GetDataRequest {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetData,
                path,
                self.watch(watch, WatchKind::Data, &record.path),
                &record,
                read::data,
            )
        })
    }

    /// The names of a znode's children, in no order. A watch is left if the znode
    /// exists.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_children<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<Vec<String>> {
        let watch = watch.into();
        attempt(|| {
            let record = GetChildrenRequest {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetChildren,
                path,
                self.watch(watch, WatchKind::Child, &record.path),
                &record,
                read::children,
            )
        })
    }

    /// As [`get_children`](Self::get_children), with the parent's `Stat`.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_children2<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<(Vec<String>, Stat)> {
        let watch = watch.into();
        attempt(|| {
            let record = GetChildren2Request {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetChildren2,
                path,
                self.watch(watch, WatchKind::Child, &record.path),
                &record,
                read::children2,
            )
        })
    }

    /// How many descendants a znode has. Since 3.6.0.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`; [`Error::Unsupported`] on older servers.
    pub fn get_all_children_number(&self, path: &str) -> Reply<i32> {
        attempt(|| {
            let record = GetAllChildrenNumberRequest {
                path: self.server_path(path)?,
            };
            self.send(
                OpCode::GetAllChildrenNumber,
                path,
                None,
                &record,
                read::number,
            )
        })
    }

    /// The paths of this session's ephemerals that start with `prefix` (as text, not
    /// by components) and lie within the chroot. Since 3.6.0.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on older servers.
    pub fn get_ephemerals(&self, prefix: &str) -> Reply<Vec<String>> {
        attempt(|| {
            let prefix_path = Some(self.chroot.to_server(prefix));
            let record = GetEphemeralsRequest { prefix_path };
            self.send(
                OpCode::GetEphemerals,
                prefix,
                None,
                &record,
                read::ephemerals,
            )
        })
    }

    /// A znode's ACL and `Stat`; digest ids are masked from those without ADMIN.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_acl(&self, path: &str) -> Reply<(Vec<Acl>, Stat)> {
        attempt(|| {
            let record = GetAclRequest {
                path: self.server_path(path)?,
            };
            self.send(OpCode::GetAcl, path, None, &record, read::acl)
        })
    }

    /// Waits until the connected server has caught up with the leader. Reads called
    /// after it see everything committed before it; there is no need to await it
    /// first.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`] on a read-only server.
    pub fn sync(&self, path: &str) -> Reply<()> {
        attempt(|| {
            let record = SyncRequest {
                path: self.server_path(path)?,
            };
            self.send(OpCode::Sync, path, None, &record, read::nothing)
        })
    }

    /// A sync and a read in one round trip: the read is not older than the call.
    ///
    /// Its limit: Apache's sync is no quorum round. A leader that was deposed and has
    /// not noticed yet may answer it, so that for that moment the read can miss
    /// writes acknowledged elsewhere (ZOOKEEPER-1675).
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync) and [`get_data`](Self::get_data).
    pub fn read_linearizable(&self, path: &str) -> Reply<(Bytes, Stat)> {
        let sync = self.sync(path);
        self.get_data(path, None).after(sync)
    }

    /// Collects reads that travel as one request.
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(self)
    }

    /// The ensemble's configuration and its `Stat`, whatever the chroot; events of
    /// the watch carry the full path.
    ///
    /// # Errors
    ///
    /// `NoNode` before 3.5, `NoAuth`.
    pub fn get_config<'w>(&self, watch: impl Into<Option<&'w Watcher>>) -> Reply<(Bytes, Stat)> {
        let watch = watch.into();
        attempt(|| {
            let record = GetDataRequest {
                path: CONFIG_PATH.into(),
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetData,
                CONFIG_PATH,
                self.watch(watch, WatchKind::Data, &record.path),
                &record,
                read::data,
            )
        })
    }

    /// The identities the server knows this connection by. A server before 3.7 is
    /// not asked: then the answer is what this client presented.
    ///
    /// # Errors
    ///
    /// Connection and session errors only.
    pub fn who_am_i(&self) -> Reply<Vec<ClientInfo>> {
        attempt(|| self.send(OpCode::WhoAmI, "", None, &(), read::identities))
    }

    // --- Watches ---------------------------------------------------------------------

    /// Leaves a watch that stays until it is removed, on a znode that need not
    /// exist. Since 3.6.0.
    ///
    /// What happens during a disconnection is lost (ZOOKEEPER-4698): after a reconnect
    /// the watcher receives an event of type `None` and state `SyncConnected`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on older servers.
    pub fn add_watch(&self, path: &str, mode: AddWatchMode, watcher: &Watcher) -> Reply<()> {
        let kind = match mode {
            AddWatchMode::Persistent => WatchKind::Persistent,
            AddWatchMode::PersistentRecursive => WatchKind::Recursive,
        };
        attempt(|| {
            let record = AddWatchRequest {
                path: self.server_path(path)?,
                mode: mode.into(),
            };
            self.send(
                OpCode::AddWatch,
                path,
                self.watch(Some(watcher), kind, &record.path),
                &record,
                read::nothing,
            )
        })
    }

    /// Removes every watch of a kind from a path, for all watchers of this client;
    /// each gets a client-made event. To remove the watches of one watcher, drop it.
    ///
    /// # Errors
    ///
    /// `NoWatcher` if there was none.
    pub fn remove_watches(&self, path: &str, which: WatcherType) -> Reply<()> {
        attempt(|| {
            let record = RemoveWatchesRequest {
                path: self.server_path(path)?,
                watcher_type: which.into(),
            };
            let watch = PendingWatch {
                path: Box::from(&*record.path),
                kind: WatchKind::Remove(which),
                registration: None,
            };
            self.send(
                OpCode::RemoveWatches,
                path,
                Some(Box::new(watch)),
                &record,
                read::nothing,
            )
        })
    }

    /// Asks the server whether this connection has such a watch.
    ///
    /// # Errors
    ///
    /// `NoWatcher` if it has none.
    pub fn check_watches(&self, path: &str, which: WatcherType) -> Reply<()> {
        attempt(|| {
            let record = CheckWatchesRequest {
                path: self.server_path(path)?,
                watcher_type: which.into(),
            };
            self.send(OpCode::CheckWatches, path, None, &record, read::nothing)
        })
    }

    // --- Credentials -----------------------------------------------------------------

    /// Presents credentials, now and on every later connection before anything else.
    /// Calls made after this one carry them. For scheme `digest` the bytes are
    /// `user:password`, and any password is accepted: a wrong one merely opens
    /// nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` once 256 different credentials are remembered. Refused
    /// credentials are terminal: the client ends in
    /// [`SessionState::AuthFailed`]. After a connection loss the credentials are
    /// presented again on the next connection, whatever became of this call.
    pub fn add_auth(&self, scheme: &str, auth: impl AsRef<[u8]>) -> Reply<()> {
        attempt(|| {
            check_auth(scheme)?;
            let auth = Bytes::copy_from_slice(auth.as_ref());
            let record = AuthPacket {
                kind: 0,
                scheme: scheme.into(),
                auth: Credential(Some((&auth[..]).into())),
            };
            let info = AuthInfo {
                scheme: scheme.to_owned(),
                auth: auth.clone(),
            };
            let shared = &self.inner.shared;
            let answer =
                shared
                    .session()
                    .submit_auth(shared.env.now(), info, self.deadline, &record)?;
            shared.wake();
            Ok(Reply::waiting(answer, self.asked(""), read::nothing))
        })
    }

    // --- Guaranteed deletes ------------------------------------------------------------

    /// Deletes a znode for certain: in the background, through connection losses, until
    /// it is proven gone or, if so bound, its session epoch is over. For recipes that
    /// must not leave an orphan behind.
    pub fn guaranteed_delete(&self, what: GuaranteedDelete) {
        self.inner.reaper.add(self, what);
    }

    /// Guaranteed deletes that are not proven done yet.
    pub fn guaranteed_deletes(&self) -> usize {
        self.inner.reaper.len()
    }

    // --- Inside ------------------------------------------------------------------------

    pub(crate) fn server_path<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Error> {
        path::validate(path)?;
        Ok(self.chroot.to_server(path))
    }

    pub(crate) const fn chroot_of(&self) -> &Chroot {
        &self.chroot
    }

    /// Whether the client is terminal.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.shared.session().is_over()
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The same session without a chroot.
    pub(crate) fn unrooted(&self) -> Self {
        Self {
            chroot: Chroot::none(),
            ..self.clone()
        }
    }

    pub(crate) fn downgrade(&self) -> WeakClient {
        WeakClient {
            inner: Arc::downgrade(&self.inner),
            chroot: self.chroot.clone(),
            deadline: self.deadline,
        }
    }

    pub(crate) fn reaper(&self) -> &Reaper {
        &self.inner.reaper
    }

    fn asked(&self, path: &str) -> Asked {
        Asked {
            path: path.into(),
            chroot: self.chroot.clone(),
            ops: 0,
        }
    }

    fn watch(
        &self,
        watcher: Option<&Watcher>,
        kind: WatchKind,
        server_path: &str,
    ) -> Option<Box<PendingWatch>> {
        let watcher = watcher?;
        if watcher.attach(&self.inner.home) {
            self.inner.shared.session().attach(watcher.queue());
        }
        let registration = Registration {
            watcher: Arc::clone(watcher.queue()),
            chroot: self.chroot.clone(),
        };
        Some(Box::new(PendingWatch {
            path: server_path.into(),
            kind,
            registration: Some(registration),
        }))
    }

    pub(crate) fn send<T>(
        &self,
        op: OpCode,
        path: &str,
        watch: Option<Box<PendingWatch>>,
        record: &impl Encode,
        read: Read<T>,
    ) -> Result<Reply<T>, Error> {
        let shared = &self.inner.shared;
        let call = Call {
            op,
            watch,
            deadline: self.deadline,
        };
        let now = shared.env.now();
        let answer = shared.session().submit(now, call, path, record)?;
        shared.wake();
        Ok(Reply::waiting(answer, self.asked(path), read))
    }
}

/// Somebody who waits for room; whoever stops waiting leaves nothing behind.
struct Waiting<'c> {
    shared: &'c Shared,
    waker: Option<Waker>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            self.shared.session().forget_waker(waker);
        }
    }
}

/// How to change the ensemble's membership, in the terms of `zoo.cfg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconfig {
    /// Add and remove some servers.
    Incremental {
        /// `server.N=host:port:port[:role];clientPort`, each.
        joining: Vec<String>,
        /// Ids.
        leaving: Vec<String>,
    },
    /// Replace the whole list.
    Whole(Vec<String>),
}

/// A handle that does not keep the session open.
#[derive(Clone, Debug)]
pub(crate) struct WeakClient {
    inner: Weak<Inner>,
    chroot: Chroot,
    deadline: Duration,
}

impl WeakClient {
    pub(crate) fn upgrade(&self) -> Option<Client> {
        let inner = self.inner.upgrade()?;
        Some(Client {
            inner,
            chroot: self.chroot.clone(),
            deadline: self.deadline,
        })
    }
}
