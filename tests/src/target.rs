//! What the tests run against.

use std::env;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime;
use zk_client::{Client, ClientBuilder};
use zk_env::{Env, TokioEnv};
use zk_proto::ErrorCode;
use zk_server::Server;

use crate::raw_session::{RawSession, end_session};
use crate::versions::{Feature, Version};
use crate::wait::{eventually, within};

/// Names the ensemble to test, as a connect string without chroot. Of several
/// servers each test has another for its own, and its clients go to all of them by
/// turns: what one writes, another sees at once only after a `sync`.
const CONNECT: &str = "ZK_TEST_CONNECT";

/// When set and not empty, all clients of a test go to the test's own server. Where servers
/// die, one that has just come back may be far behind: longer than a test that has two clients
/// on two servers allows for.
const ONE_SERVER: &str = "ZK_TEST_ONE_SERVER";

/// When set and not empty, tests that repeat something do it less often.
const SHORT: &str = "ZK_TEST_SHORT";

/// Asked for by clients of tests that do not care: no test machine stalls so
/// long that a session expires by accident.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(15);

/// Whether the tests run against an ensemble that is not ours.
pub fn is_foreign() -> bool {
    !foreign_hosts().is_empty()
}

fn foreign_hosts() -> Vec<String> {
    let hosts = env::var(CONNECT).unwrap_or_default();
    let hosts = hosts.split(',').map(str::trim);
    hosts
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `full` repetitions, or `short` if the environment asks for a short run.
pub fn repetitions(full: usize, short: usize) -> usize {
    if is_set(SHORT) { short } else { full }
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The server of one test: the bundled one, started for it, or the ensemble that
/// `ZK_TEST_CONNECT` names. The test owns the subtree [`root`](Self::root), which
/// exists and is empty; on an ensemble it is deleted at the end.
#[derive(Debug)]
pub struct Target {
    server: Option<Server>,
    /// Never empty; the first is this test's own.
    hosts: Vec<String>,
    root: String,
    clients: AtomicUsize,
}

impl Target {
    /// Starts the server, if it is ours, and creates the test's subtree.
    ///
    /// # Panics
    ///
    /// If the server cannot be reached.
    pub async fn start() -> Self {
        static TESTS: AtomicUsize = AtomicUsize::new(0);
        let mut hosts = foreign_hosts();
        if hosts.is_empty() {
            return Self::bundled(Server::start().await.expect("the bundled server")).await;
        }
        let test = TESTS.fetch_add(1, Ordering::Relaxed);
        let own = test % hosts.len();
        hosts.rotate_left(own);
        Self::prepare(None, hosts).await
    }

    /// A bundled server that the test has configured. For tests on the list
    /// [`BUNDLED_ONLY`](crate::bundled_only::BUNDLED_ONLY).
    pub async fn bundled(server: Server) -> Self {
        let hosts = vec![server.connect_string()];
        Self::prepare(Some(server), hosts).await
    }

    async fn prepare(server: Option<Server>, hosts: Vec<String>) -> Self {
        let root = unique_root();
        // A server of an ensemble may be away for a moment.
        eventually("the test's subtree", async || {
            create_root(&hosts, &root).await.is_ok()
        })
        .await;
        Self {
            server,
            hosts,
            root,
            clients: AtomicUsize::new(0),
        }
    }

    /// The bundled server, for tests that are for it alone.
    ///
    /// # Panics
    ///
    /// On a foreign ensemble.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("a test for the bundled server")
    }

    /// The test's own server, `host:port`, for proxies and for sessions without chroot.
    pub fn host(&self) -> &str {
        &self.hosts[0]
    }

    /// The test's own subtree, as a server path.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The test's own server and root as a connect string.
    pub fn connect_string(&self) -> String {
        self.through(self.host())
    }

    /// The test's subtree by way of `host`, a proxy in front of this target.
    pub fn through(&self, host: &str) -> String {
        format!("{host}{}", self.root)
    }

    /// A client whose root is the test's subtree, on the next server.
    pub async fn client(&self) -> Client {
        connect(self.builder()).await
    }

    /// A client whose root is the test's subtree, by way of `host`.
    pub async fn client_through(&self, host: &str) -> Client {
        connect(self.builder_through(host)).await
    }

    /// What [`client`](Self::client) starts from.
    pub fn builder(&self) -> ClientBuilder {
        if is_set(ONE_SERVER) {
            return self.builder_through(self.host());
        }
        let client = self.clients.fetch_add(1, Ordering::Relaxed);
        self.builder_through(&self.hosts[client % self.hosts.len()])
    }

    /// What [`client_through`](Self::client_through) starts from.
    pub fn builder_through(&self, host: &str) -> ClientBuilder {
        Client::builder(&self.through(host)).session_timeout(SESSION_TIMEOUT)
    }

    /// Whether the server under test does it.
    pub fn has(&self, feature: Feature) -> bool {
        Version::under_test().has(feature)
    }

    /// Ends the client's session behind its back, in a way that works with every
    /// server: the client hears "expired" at its next handshake.
    pub async fn expire(&self, client: &Client) {
        end_session(self.host(), client.session_id(), &client.session_password()).await;
    }
}

/// On the first host, and seen by all.
async fn create_root(hosts: &[String], root: &str) -> io::Result<()> {
    let mut session = RawSession::open(&hosts[0]).await?;
    let created = session.create(root).await?;
    // Or by an attempt before this one, whose answer was lost.
    assert!(
        matches!(created, ErrorCode::Ok | ErrorCode::NodeExists),
        "{root}: {created:?}"
    );
    session.close().await?;
    for host in &hosts[1..] {
        let mut session = RawSession::open(host).await?;
        session.sync(root).await?;
        session.close().await?;
    }
    Ok(())
}

/// A session, waited for.
///
/// # Panics
///
/// If there is none.
pub async fn connect(builder: ClientBuilder) -> Client {
    within("a session", builder.connect())
        .await
        .expect("a session")
}

/// On a foreign ensemble, deletes what the test left behind, also when it has
/// failed: with a runtime of its own, since the test's may be ending.
impl Drop for Target {
    fn drop(&mut self) {
        if self.server.is_some() {
            return;
        }
        let (host, root) = (self.host().to_owned(), self.root.clone());
        let cleaner = std::thread::Builder::new().spawn(move || clean_up(&host, &root));
        let cleaned = cleaner.map(std::thread::JoinHandle::join);
        if !std::thread::panicking() {
            assert!(
                matches!(cleaned, Ok(Ok(Ok(())))),
                "{}: {cleaned:?}",
                self.root
            );
        }
    }
}

fn clean_up(host: &str, root: &str) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut outcome = Ok(());
    // As long as servers are away, once more.
    let cleaned = eventually("the end of the test's subtree", async || {
        outcome = delete_root(host, root).await;
        !outcome.as_ref().is_err_and(is_loss)
    });
    runtime.block_on(cleaned);
    outcome
}

async fn delete_root(host: &str, root: &str) -> io::Result<()> {
    let mut session = RawSession::open(host).await?;
    session.authenticate("digest", b"super:admin").await?;
    session.sync(root).await?;
    session.delete_all(root).await?;
    session.close().await
}

/// Whether the connection was lost, or there was none.
fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

/// A name that no other test uses, of this run or another, on this machine or
/// another.
fn unique_root() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let run = TokioEnv::new().rng("root").next_u64();
    format!("/zk-tests-{run:016x}-{count}")
}
