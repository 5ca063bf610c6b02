//! The trait behind which the outside world lives.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::disk::Disk;
use crate::probe::Probe;
use crate::rng::EnvRng;
use crate::task::TaskHandle;
use crate::time::{Boot, Mono, Timer};

/// A boxed, sendable future, the shape in which work crosses the seam.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A byte stream: a TCP connection in production, a pipe in simulation.
///
/// Dropping it closes both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A stream boxed once, at connect or accept.
pub type BoxStream = Box<dyn Stream>;

/// An accepting socket.
pub trait Listener: Send + Unpin + 'static {
    /// The address it is bound to, with the port the system chose.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection and its peer's address.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>>;
}

/// Everything the outside world decides. Passed explicitly as `Arc<dyn Env>`,
/// never ambient, so that one runtime can hold many hosts.
pub trait Env: fmt::Debug + Send + Sync + 'static {
    /// Opens a connection; TCP_NODELAY is set. No deadline of its own: race it
    /// with a [`Timer`].
    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>>;

    /// Listens on `addr`; port 0 lets the system choose.
    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>>;

    /// Looks a host name up, without a cache. An address literal answers itself.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>>;

    /// Runs `task` to its end or until the handle aborts it. The only way to
    /// start a task; `name` shows up in censuses and traces.
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> TaskHandle;

    /// A timer that can be reset, far in the future until then.
    fn timer(&self) -> Box<dyn Timer>;

    /// Polls the task of `cx` again once the runtime has looked for events and other
    /// tasks had their turn: to wait awake for what is expected at once. Does
    /// nothing where that cannot help, on one CPU or under simulation.
    fn look_again(&self, _cx: &mut Context<'_>) {}

    /// Monotonic time; may stand still while the machine is suspended.
    fn now(&self) -> Mono;

    /// Monotonic time that runs through machine suspend.
    fn boot_now(&self) -> Boot;

    /// Wall-clock time. May jump in either direction.
    fn wall(&self) -> SystemTime;

    /// A generator of its own for the task or component called `name`: under
    /// simulation its values depend on seed, host, name and how often the host was
    /// asked for that name before, so that a new task does not shift the others and
    /// no two share their values.
    fn rng(&self, name: &str) -> EnvRng;

    /// The disk of this host.
    fn disk(&self) -> Arc<dyn Disk>;

    /// What a simulator sees and disturbs; nothing in production.
    fn probe(&self) -> Probe {
        Probe::default()
    }
}

/// Waits for the next connection on `listener`.
pub async fn accept(listener: &mut dyn Listener) -> io::Result<(BoxStream, SocketAddr)> {
    std::future::poll_fn(|cx| listener.poll_accept(cx)).await
}
