//! What operators ask over HTTP: Apache's admin commands as JSON, and metrics as Prometheus
//! reads them.
//!
//! One request per connection. There may be [`MAX_CONNECTIONS`] at a time, each for
//! `admin.idleTimeout` at most; heads of requests are bounded, bodies are not read. Nobody is
//! authenticated, and nothing that is done here changes data.

#[cfg(feature = "admin")]
mod command;
#[cfg(feature = "admin")]
mod http;
#[cfg(feature = "admin")]
mod payload;
#[cfg(feature = "admin")]
mod prometheus;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zk_env::{BoxFuture, BoxStream, Listener, accept, sleep_until};

use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::net::{Shell, bind};

/// Connections at a time, of both ports; one more is closed at once.
const MAX_CONNECTIONS: usize = 32;

/// The pause after an accept that failed, for want of descriptors as a rule.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

/// Where it is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AdminAddrs {
    /// Commands and metrics.
    pub(crate) server: Option<SocketAddr>,
    /// Metrics alone.
    pub(crate) metrics: Option<SocketAddr>,
}

impl AdminAddrs {
    /// As the configuration has it.
    pub(crate) fn wanted(config: &ServerConfig) -> Self {
        Self {
            server: config.admin.server_addr,
            metrics: config.admin.metrics_addr,
        }
    }
}

/// What a port serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    CommandsAndMetrics,
    Metrics,
}

/// Whatever is served over HTTP, from start to stop.
pub(crate) struct AdminServer {
    /// As bound, with the ports the system chose.
    pub(crate) addrs: AdminAddrs,
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl AdminServer {
    /// Starts serving at `addrs` until `stopped`; nothing if there are none. Like Apache's the server does
    /// without its commands if their port cannot be had.
    ///
    /// # Errors
    ///
    /// The port of the metrics could not be had.
    pub(crate) async fn start(
        shell: &Arc<Shell>,
        addrs: AdminAddrs,
        stopped: CancellationToken,
    ) -> Result<Self, ServerError> {
        let mut admin = Self {
            addrs: AdminAddrs::default(),
            stopped,
            tasks: TaskTracker::new(),
        };
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        if let Some(addr) = addrs.server {
            match bind(&*shell.env, addr).await {
                Ok(bound) => {
                    admin.addrs.server = Some(bound.addr);
                    admin.serve(
                        shell,
                        bound.listener,
                        Surface::CommandsAndMetrics,
                        &connections,
                    );
                    tracing::info!(addr = %bound.addr, "admin server started");
                }
                Err(error) => tracing::warn!(%addr, %error, "no admin server"),
            }
        }
        if let Some(addr) = addrs.metrics {
            let bound = bind(&*shell.env, addr).await?;
            admin.addrs.metrics = Some(bound.addr);
            admin.serve(shell, bound.listener, Surface::Metrics, &connections);
            tracing::info!(addr = %bound.addr, "metrics are served");
        }
        Ok(admin)
    }

    fn serve(
        &self,
        shell: &Arc<Shell>,
        listener: Box<dyn Listener>,
        surface: Surface,
        connections: &Arc<Semaphore>,
    ) {
        let port = Port {
            surface,
            shell: Arc::clone(shell),
            connections: Arc::clone(connections),
            stopped: self.stopped.clone(),
            tasks: self.tasks.clone(),
        };
        port.spawn(
            "zk-server admin accept",
            Box::pin(port.clone().accept_all(listener)),
        );
    }

    /// Ends everything at once, and waits until no task is left.
    pub(crate) async fn stop(self) {
        self.stopped.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Without [`AdminServer::stop`] the tasks still end, but nobody waits for them.
impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl fmt::Debug for AdminServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminServer")
            .field("addrs", &self.addrs)
            .finish_non_exhaustive()
    }
}

/// A port's part of all that.
#[derive(Clone)]
struct Port {
    surface: Surface,
    shell: Arc<Shell>,
    connections: Arc<Semaphore>,
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Port {
    /// Starts a task that ends with the server.
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        let stopped = self.stopped.clone();
        let task = self.tasks.track_future(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = task => {}
            }
        });
        let _detached = self.shell.env.spawn(name, Box::pin(task));
    }

    async fn accept_all(self, mut listener: Box<dyn Listener>) {
        let mut timer = self.shell.env.timer();
        loop {
            match accept(&mut *listener).await {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection of the admin server");
                    sleep_until(&mut *timer, self.shell.env.now() + ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    /// Gives the connection a task, or closes it by dropping it.
    fn admit(&self, stream: BoxStream, peer: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
            tracing::warn!(%peer, limit = MAX_CONNECTIONS, "too many connections of the admin server");
            return;
        };
        let port = self.clone();
        let task = async move {
            port.converse(stream, peer).await;
            drop(permit);
        };
        self.spawn("zk-server admin connection", Box::pin(task));
    }

    /// Answers a request, if it comes and is read in time.
    async fn converse(self, stream: BoxStream, peer: SocketAddr) {
        let env = Arc::clone(&self.shell.env);
        let mut timer = env.timer();
        let deadline = env.now() + self.shell.config.admin.idle_timeout;
        tokio::select! {
            biased;
            () = answer(stream, self.shell, self.surface) => {}
            () = sleep_until(&mut *timer, deadline) => {
                tracing::debug!(%peer, "closing a connection of the admin server, it takes too long");
            }
        }
    }
}

#[cfg(feature = "admin")]
use http::answer;

/// Never called: no configuration asks for it.
#[cfg(not(feature = "admin"))]
async fn answer(_: BoxStream, _: Arc<Shell>, _: Surface) {}
