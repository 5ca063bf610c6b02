//! The listening sockets of the election port.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use zk_env::{Env, Listener, accept, sleep_until};

use super::ElectionPortOptions;
use super::core::Input;
use crate::error::ServerError;
use crate::quorum::HostPort;

/// Between two tries to listen.
const BIND_PAUSE: Duration = Duration::from_secs(1);
/// The pause after an accept that failed, doubled while it goes on.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// Listens on every address of the options.
pub(super) async fn bind_all(
    env: &dyn Env,
    options: &ElectionPortOptions,
) -> Result<Vec<Box<dyn Listener>>, ServerError> {
    let mut listeners = Vec::new();
    for addr in &options.listen {
        listeners.push(bind(env, addr, options.bind_tries).await?);
    }
    Ok(listeners)
}

async fn bind(
    env: &dyn Env,
    addr: &HostPort,
    tries: u32,
) -> Result<Box<dyn Listener>, ServerError> {
    let mut timer = env.timer();
    let mut tried = 0;
    loop {
        let error = match bind_once(env, addr).await {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        tried += 1;
        tracing::warn!(%addr, %error, "cannot listen for an election");
        if tried == tries {
            return Err(ServerError::Bind {
                addr: SocketAddr::from((Ipv6Addr::UNSPECIFIED, addr.port)),
                source: Arc::new(io::Error::new(error.kind(), format!("{addr}: {error}"))),
            });
        }
        sleep_until(&mut *timer, env.now() + BIND_PAUSE).await;
    }
}

async fn bind_once(env: &dyn Env, addr: &HostPort) -> io::Result<Box<dyn Listener>> {
    let found = env.resolve(&addr.host, addr.port).await?;
    let first = found.first().copied();
    let first = first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))?;
    env.bind(first).await
}

/// Accepts for ever: an error, for want of descriptors as a rule, is waited out.
pub(super) async fn accept_all(
    mut listener: Box<dyn Listener>,
    env: Arc<dyn Env>,
    inputs: mpsc::Sender<Input>,
) {
    let mut timer = env.timer();
    let mut backoff = FIRST_BACKOFF;
    loop {
        match accept(&mut *listener).await {
            Ok((stream, peer)) => {
                backoff = FIRST_BACKOFF;
                tracing::debug!(%peer, "election connection accepted");
                if inputs.send(Input::Accepted(stream)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, retry_after = ?backoff, "cannot accept an election connection");
                sleep_until(&mut *timer, env.now() + backoff).await;
                backoff = LAST_BACKOFF.min(backoff * 2);
            }
        }
    }
}
