//! The client's handle; the operations stand in files by what they do.

mod reading;
mod watching;
mod writing;

use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tracing::Instrument;
use zk_env::{Boot, Env, sleep_until};
use zk_proto::record::{AuthPacket, Credential};
use zk_proto::{Chroot, ConnectString, Encode, HostPort, OpCode, Password, SessionId, Zxid, path};

use crate::config::{ClientBuilder, Config, DEFAULT_OPERATION_DEADLINE, check_auth};
use crate::driver::{Driver, Shared};
use crate::error::{ConnectError, Error};
use crate::hosts::Hosts;
use crate::read;
use crate::reaper::{GuaranteedDelete, Reaper};
use crate::reply::{Asked, Read, Reply, attempt};
use crate::retry::{RetryPolicy, Retrying};
use crate::session::{
    AuthInfo, Call, Epoch, PendingWatch, Registration, Session, SessionState, WatchKind,
};
use crate::wakers::Ticket;
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
/// [`Reply`] is polled: operations take effect, and are answered, in the order of
/// the calls. A watch event is queued in its [`Watcher`] before the reply
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
        let mut session = self.shared.session();
        if !session.is_over() {
            self.shared.probe.reached("client: last handle dropped");
        }
        // Nobody waits for the answer.
        drop(session.close(now, DEFAULT_OPERATION_DEADLINE));
        drop(session);
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
            Some(SessionState::AuthFailed) => match self.inner.shared.session().over() {
                Some(Error::SaslFailed(failure)) => Err(ConnectError::SaslFailed(failure.clone())),
                _ => Err(ConnectError::AuthFailed),
            },
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
            ticket: None,
        };
        std::future::poll_fn(|cx| {
            let mut session = waiting.shared.session();
            session.poll_ready(&mut waiting.ticket, cx.waker())
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
    /// No server could be reached within the session timeout or the handle's deadline,
    /// whichever is shorter; the ephemerals are then gone as soon as the server expires the session by itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) -> Result<(), Error> {
        let closed = {
            let now = self.inner.shared.env.now();
            self.inner.shared.session().close(now, self.deadline)
        };
        self.inner.shared.wake();
        closed.await.unwrap_or(Err(Error::Closed)).map(drop)
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
            let queued =
                shared
                    .session()
                    .submit_auth(shared.env.now(), info, self.deadline, &record)?;
            shared.wake();
            Ok(Reply::waiting(queued, self.asked(""), read::nothing))
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

    /// Whether [`close`](Self::close) was called, or the client is terminal: its session may be
    /// over on the server before any state says so.
    #[doc(hidden)]
    pub fn is_closing(&self) -> bool {
        self.inner.shared.session().is_closing()
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
        let queued = shared.session().submit(now, call, path, record)?;
        shared.wake();
        Ok(Reply::waiting(queued, self.asked(path), read))
    }
}

/// Somebody who waits for room; whoever stops waiting leaves nothing behind.
struct Waiting<'c> {
    shared: &'c Shared,
    ticket: Option<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.shared.session().forget_ticket(self.ticket);
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
