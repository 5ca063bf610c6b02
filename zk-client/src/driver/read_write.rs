//! While connected to a read-only server: looking for a read-write one.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_env::{BoxFuture, BoxStream, Env, sleep_until};
use zk_proto::HostPort;

use super::Driver;
use crate::config::{Connector, Resolver};
use crate::session::SessionState;

/// Java's schedule: doubled before each probe.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// How long one probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks one server after the other whether it is read-write.
pub(super) struct ReadWriteSearch {
    probe: Option<BoxFuture<bool>>,
    pause: Duration,
}

impl ReadWriteSearch {
    pub(super) const fn new() -> Self {
        Self {
            probe: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Ready once one was found. Idle unless the session is read-only.
    pub(super) fn poll(&mut self, driver: &Driver, cx: &mut Context<'_>) -> Poll<()> {
        if self.probe.is_none() && !is_read_only(driver) {
            return Poll::Pending;
        }
        loop {
            let probe = self.probe.get_or_insert_with(|| {
                self.pause = (self.pause * 2).min(MAX_PAUSE);
                let host = driver.shared.host_book().hosts.rotate();
                probe_later(driver, host, self.pause)
            });
            match probe.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(true) => return Poll::Ready(()),
                Poll::Ready(false) => self.probe = None,
            }
        }
    }
}

fn is_read_only(driver: &Driver) -> bool {
    matches!(
        *driver.shared.state.borrow(),
        SessionState::ConnectedReadOnly { .. }
    )
}

fn probe_later(driver: &Driver, host: HostPort, pause: Duration) -> BoxFuture<bool> {
    let env = Arc::clone(&driver.shared.env);
    let (connector, resolver) = (Arc::clone(&driver.connector), Arc::clone(&driver.resolver));
    let shared = Arc::clone(&driver.shared);
    Box::pin(async move {
        let mut timer = env.timer();
        sleep_until(&mut *timer, env.now() + pause).await;
        let is_read_write = ask(&*env, &*connector, &*resolver, &host)
            .await
            .unwrap_or(false);
        tracing::debug!(%host, is_read_write, "probed for a read-write server");
        if is_read_write {
            shared.host_book().hosts.prefer(&host);
        }
        is_read_write
    })
}

/// The four-letter word `isro` answers `rw`, `ro` or `null`.
async fn ask(
    env: &dyn Env,
    connector: &dyn Connector,
    resolver: &dyn Resolver,
    host: &HostPort,
) -> io::Result<bool> {
    let mut timer = env.timer();
    timer.reset(env.now() + PROBE_TIMEOUT);
    let asking = async {
        let mut stream = connect_to_any(connector, resolver, host).await?;
        stream.write_all(b"isro").await?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await?;
        Ok(answer == *b"rw")
    };
    let mut asking = std::pin::pin!(asking);
    std::future::poll_fn(|cx| match asking.as_mut().poll(cx) {
        Poll::Pending => timer
            .poll_expired(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into())),
        ready => ready,
    })
    .await
}

/// A name may have addresses of which only some are served.
async fn connect_to_any(
    connector: &dyn Connector,
    resolver: &dyn Resolver,
    host: &HostPort,
) -> io::Result<BoxStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in resolver.resolve(&host.host, host.port).await? {
        match connector.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
