//! The listening socket and the tasks of one run of a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zk_env::{BoxFuture, BoxStream, Env, Listener, accept, sleep_until};

use super::cnxn::Admitted;
use super::fail_stop::Vital;
use super::handshake::Meeting;
use super::outbox::End;
use super::ports::ClientPorts;
use super::shell::Shell;
use super::storage;
use super::ticker;
use crate::error::ServerError;

/// The pause after an accept that failed, for want of descriptors as a rule;
/// doubled while it goes on.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// Opens a port, the clients' or another.
pub(crate) async fn bind(env: &dyn Env, addr: SocketAddr) -> Result<Bound, ServerError> {
    let failed = |source: io::Error| ServerError::Bind {
        addr,
        source: Arc::new(source),
    };
    let listener = env.bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, addr })
}

/// A port nobody accepts on yet.
pub(crate) struct Bound {
    pub(crate) listener: Box<dyn Listener>,
    /// With the port the system chose.
    pub(crate) addr: SocketAddr,
}

/// The tasks of a server from its start to its stop.
pub(crate) struct Run {
    shell: Arc<Shell>,
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Run {
    /// Starts serving on `ports`, until `stopped` or told so.
    pub(crate) fn start(shell: Arc<Shell>, ports: ClientPorts, stopped: CancellationToken) -> Self {
        let addrs = ports.addrs();
        let secure_port = addrs.secure.map(|addr| addr.port());
        shell.open(addrs.plain.port(), secure_port);
        let run = Self {
            stopped,
            shell,
            tasks: TaskTracker::new(),
        };
        let spawner = Spawner {
            shell: Arc::clone(&run.shell),
            tasks: run.tasks.clone(),
        };
        let ticker = ticker::run(Arc::clone(&run.shell), run.stopped.clone());
        spawner.spawn("zk-server ticker", Box::pin(ticker));
        if let Some(storage) = run.shell.take_storage() {
            let log = storage::run(
                Arc::clone(&run.shell),
                storage,
                run.stopped.clone(),
                spawner.clone(),
            );
            spawner.spawn("zk-server log", Box::pin(log));
        }
        let (plain, tls) = ports.plain;
        let secure = ports.secure;
        let secure = secure.map(|(bound, tls)| (bound, Meeting::Secure(tls)));
        let plain = (plain, tls.map_or(Meeting::Plain, Meeting::Either));
        for (bound, meeting) in [plain].into_iter().chain(secure) {
            let acceptor = Acceptor {
                listener: bound.listener,
                meeting,
                stopped: run.stopped.clone(),
                spawner: spawner.clone(),
            };
            spawner.spawn("zk-server accept", Box::pin(acceptor.run()));
        }
        run
    }

    /// How many tasks there are: the ticker, one per port, one per connection, and those that store.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// In the order of the data: no new connections, then the ones there are
    /// write what they owe and end, then nothing is left.
    pub(crate) async fn stop(self) {
        self.stopped.cancel();
        self.shell.close(End::Flush);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Without [`Run::stop`] the tasks still end, but nobody waits for them.
impl Drop for Run {
    fn drop(&mut self) {
        self.stopped.cancel();
        self.shell.close(End::Abort);
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("tasks", &self.tasks())
            .finish_non_exhaustive()
    }
}

/// Starts tasks that a stop waits for.
#[derive(Clone)]
pub(crate) struct Spawner {
    pub(crate) shell: Arc<Shell>,
    pub(crate) tasks: TaskTracker,
}

impl Spawner {
    pub(crate) fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        // Every task ends by itself once the run has stopped.
        let _detached = self
            .shell
            .env
            .spawn(name, Box::pin(self.tasks.track_future(task)));
    }
}

/// The task that accepts.
struct Acceptor {
    listener: Box<dyn Listener>,
    meeting: Meeting,
    stopped: CancellationToken,
    spawner: Spawner,
}

impl Acceptor {
    async fn run(mut self) {
        let _vital = Vital {
            shell: Arc::clone(&self.spawner.shell),
            stage: "accepting connections",
        };
        let stopped = self.stopped.clone();
        tokio::select! {
            biased;
            () = stopped.cancelled() => {}
            () = self.accept_all() => {}
        }
    }

    async fn accept_all(&mut self) {
        let shell = Arc::clone(&self.spawner.shell);
        let mut timer = shell.env.timer();
        let mut backoff = FIRST_BACKOFF;
        loop {
            match accept(&mut *self.listener).await {
                Ok((stream, peer)) => {
                    backoff = FIRST_BACKOFF;
                    if shell.probe.buggify("server: accept late") {
                        sleep_until(&mut *timer, shell.env.now() + FIRST_BACKOFF).await;
                    }
                    shell.resumed().await;
                    self.admit(stream, peer);
                }
                Err(error) => {
                    shell.probe.reached("server: accept failed");
                    tracing::warn!(%error, retry_after = ?backoff, "cannot accept a connection");
                    sleep_until(&mut *timer, shell.env.now() + backoff).await;
                    backoff = LAST_BACKOFF.min(backoff * 2);
                }
            }
        }
    }

    /// Gives the connection a task, or closes it by dropping it.
    fn admit(&self, stream: BoxStream, peer: SocketAddr) {
        // An IPv4 client of a dual-stack socket is that client to limits and ACLs.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let shell = &self.spawner.shell;
        if let Some(admitted) = shell.admit(peer) {
            let admitted = Admitted::new(Arc::clone(shell), admitted);
            let meeting = self.meeting.clone();
            let task = meeting.run(Arc::clone(shell), admitted, peer, stream);
            self.spawner.spawn("zk-server connection", Box::pin(task));
        }
    }
}
