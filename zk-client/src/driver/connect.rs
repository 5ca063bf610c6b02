//! Finding a server: each attempt looks the name up anew (ZOOKEEPER-2184) and tries
//! every address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use zk_env::{BoxStream, sleep_until};
use zk_proto::HostPort;

use super::Driver;

/// A stream to a server.
pub(super) struct Connection {
    pub(super) stream: BoxStream,
    pub(super) host: HostPort,
    pub(super) address: SocketAddr,
    /// How long the handshake may take.
    pub(super) timeout: Duration,
}

/// Addresses tried for one name in one attempt.
const MAX_ADDRESSES: usize = 16;
/// No attempt gets less, however many servers share the session timeout.
const MIN_ATTEMPT: Duration = Duration::from_millis(50);

impl Driver {
    /// Tries servers until one accepts a connection; `None` once the client is
    /// terminal.
    pub(super) async fn connect(&mut self) -> Option<Connection> {
        loop {
            let (next, servers) = {
                let mut book = self.shared.host_book();
                if self.shared.probe.buggify("client: skip a server") {
                    book.hosts.rotate();
                }
                let next = book.hosts.next_host();
                if book.hosts.is_backed_off() {
                    self.shared.probe.reached("client: back-off at its longest");
                }
                (next, book.hosts.len())
            };
            let timeout = self.attempt_timeout(servers);
            self.pause(self.whim_of(next.delay)).await?;
            match self.try_host(&next.host, timeout).await? {
                Ok((stream, address)) => {
                    return Some(Connection {
                        stream,
                        host: next.host,
                        address,
                        timeout,
                    });
                }
                Err(reason) => {
                    self.refusals.reset();
                    self.shared.host_book().failed(&next.host, reason);
                }
            }
        }
    }

    /// Java's figure: the servers share the session timeout. It starts anew for the
    /// lookup, for the addresses together and for the handshake.
    fn attempt_timeout(&self, servers: usize) -> Duration {
        if self
            .shared
            .probe
            .buggify("client: give up an attempt early")
        {
            return MIN_ATTEMPT;
        }
        let servers = u32::try_from(servers).unwrap_or(u32::MAX);
        let session = self.shared.session().identity().timeout;
        (session / servers.max(1)).max(MIN_ATTEMPT)
    }

    /// A simulator may have it sooner or later.
    fn whim_of(&self, delay: Duration) -> Duration {
        const SOON: Duration = Duration::from_millis(1);
        const LATER: Duration = Duration::from_secs(1);

        let probe = &self.shared.probe;
        if probe.buggify("client: reconnect at once") {
            delay.min(SOON)
        } else if probe.buggify("client: reconnect late") {
            delay + LATER
        } else {
            delay
        }
    }

    async fn pause(&mut self, delay: Duration) -> Option<()> {
        if delay.is_zero() {
            return self.attend(std::future::ready(())).await;
        }
        let mut timer = self.shared.env.timer();
        let deadline = self.shared.env.now() + delay;
        self.attend(sleep_until(&mut *timer, deadline)).await
    }

    async fn try_host(
        &mut self,
        host: &HostPort,
        timeout: Duration,
    ) -> Option<Result<(BoxStream, SocketAddr), String>> {
        let lookup = self.resolver.resolve(&host.host, host.port);
        let mut addresses = match self.within(timeout, lookup).await? {
            Ok(addresses) => addresses,
            Err(error) => {
                self.shared.probe.reached(place_of_lookup(&error));
                return Some(Err(format!("name lookup: {error}")));
            }
        };
        self.rng.shuffle(&mut addresses);
        if addresses.is_empty() {
            self.shared.probe.reached("client: name without an address");
        } else if addresses.len() > MAX_ADDRESSES {
            self.shared
                .probe
                .reached("client: name with very many addresses");
        }
        let mut reason = "the name has no address".to_owned();
        addresses.truncate(MAX_ADDRESSES);
        let deadline = self.shared.env.now() + timeout;
        let mut left = addresses.len() as u32; // at most 16
        for address in addresses {
            // A name with many dead addresses must not hide the other servers, nor
            // what the name means by now.
            let share = deadline.since(self.shared.env.now()) / left;
            left -= 1;
            let connecting = self.connector.connect_to(&host.host, address);
            match self.within(share.max(MIN_ATTEMPT), connecting).await? {
                Ok(stream) => return Some(Ok((stream, address))),
                Err(error) => {
                    self.shared.probe.reached(place_of_attempt(&error));
                    reason = format!("{address}: {error}");
                }
            }
        }
        Some(Err(reason))
    }

    /// `work`, for as long as `timeout`; `None` once the client is terminal.
    async fn within<T>(
        &mut self,
        timeout: Duration,
        work: impl Future<Output = io::Result<T>>,
    ) -> Option<io::Result<T>> {
        let mut timer = self.shared.env.timer();
        let deadline = self.shared.env.now() + timeout;
        let late = || {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {timeout:?}"),
            )
        };
        let mut work = std::pin::pin!(work);
        timer.reset(deadline);
        let race = std::future::poll_fn(|cx| {
            if let std::task::Poll::Ready(done) = work.as_mut().poll(cx) {
                return std::task::Poll::Ready(done);
            }
            timer.poll_expired(cx).map(|()| Err(late()))
        });
        self.attend(race).await
    }
}

fn place_of_lookup(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::TimedOut {
        "client: name lookup timed out"
    } else {
        "client: name lookup failed"
    }
}

fn place_of_attempt(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::TimedOut {
        "client: connect attempt timed out"
    } else {
        "client: connect attempt failed"
    }
}
