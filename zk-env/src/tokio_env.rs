//! The production environment: tokio, the operating system's clocks and its
//! randomness.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::disk::Disk;
use crate::env::{BoxFuture, BoxStream, Env, Listener};
use crate::rng::EnvRng;
use crate::task::TaskHandle;
use crate::time::{Boot, Mono, Timer};
use crate::tokio_disk::TokioDisk;
use crate::tokio_timer::TokioTimer;

/// Connections the system completes before they are accepted; it may cap this.
const BACKLOG: i32 = 1024;

/// The environment of a real process. Its methods must be called inside a tokio
/// runtime with I/O and time enabled.
pub struct TokioEnv {
    /// The instant that [`Mono::ZERO`] stands for.
    origin: Instant,
    /// Where the generators of [`Env::rng`] get their keys.
    keys: Mutex<EnvRng>,
    disk: Arc<TokioDisk>,
    /// Whether others run while a task of ours waits awake.
    is_parallel: bool,
}

impl TokioEnv {
    /// An environment whose monotonic clock starts now.
    ///
    /// # Panics
    ///
    /// If the operating system has no randomness to give: session passwords and
    /// jitter would be guessable.
    pub fn new() -> Arc<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        Arc::new(Self {
            origin: Instant::now(),
            keys: Mutex::new(EnvRng::from_key(key)),
            disk: Arc::default(),
            is_parallel: std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1),
        })
    }
}

impl fmt::Debug for TokioEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioEnv").finish_non_exhaustive()
    }
}

impl Env for TokioEnv {
    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        Box::pin(async move { Ok(Box::new(dial(addr).await?) as BoxStream) })
    }

    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = listen(addr)
                .map_err(|error| io::Error::new(error.kind(), format!("{addr}: {error}")))?;
            Ok(Box::new(TokioListener(listener)) as Box<dyn Listener>)
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        if let Some(ip) = literal(host) {
            return Box::pin(async move { Ok(vec![SocketAddr::new(ip, port)]) });
        }
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), port)).await?;
            Ok(found.collect())
        })
    }

    fn spawn(&self, _name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        TaskHandle::new(tokio::spawn(task))
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(TokioTimer::new(self.origin))
    }

    fn look_again(&self, cx: &mut Context<'_>) {
        if self.is_parallel {
            // Its first poll has the runtime wake this task after looking.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        }
    }

    /// Time since the environment was made, on tokio's clock: it stands still
    /// when a test has paused that.
    fn now(&self) -> Mono {
        Mono::from_origin(self.origin.elapsed())
    }

    /// `CLOCK_BOOTTIME` on Linux and Android, and its equals elsewhere.
    fn boot_now(&self) -> Boot {
        Boot::from_origin(boot_clock())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    /// A generator with a key of its own, whatever its name.
    fn rng(&self, _name: &str) -> EnvRng {
        let mut key = [0; 32];
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(&mut key);
        EnvRng::from_key(key)
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk) as Arc<dyn Disk>
    }
}

/// The address that `host` spells, in brackets or not.
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

async fn dial(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Listens on `addr`; `::` means every address of either family, and those of IPv4
/// alone where the system has no IPv6.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let all_families = SocketAddr::from((Ipv6Addr::UNSPECIFIED, addr.port()));
    if addr != all_families {
        return listen_on(addr);
    }
    listen_on(addr).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => listen_on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()))),
    })
}

/// `SO_REUSEADDR` lets a restarted server have its port back while old
/// connections linger. On Windows the option means something else: a second
/// process could take a port in use.
fn listen_on(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

struct TokioListener(TcpListener);

impl TokioListener {
    fn poll_tcp(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let (stream, peer) = std::task::ready!(self.0.poll_accept(cx))?;
            // Some systems refuse options on a connection its peer has already
            // reset. That is no failure of the listener: take the next one.
            if stream.set_nodelay(true).is_ok() {
                // An IPv4 peer at a socket for both families has its own address.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                return Poll::Ready(Ok((stream, peer)));
            }
        }
    }
}

impl Listener for TokioListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        self.poll_tcp(cx)
            .map_ok(|(stream, peer)| (Box::new(stream) as BoxStream, peer))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_clock() -> Duration {
    unix_clock(rustix::time::ClockId::Boottime)
}

/// On macOS and iOS `CLOCK_MONOTONIC` runs through sleep, whereas the standard
/// library's `Instant` is `CLOCK_UPTIME_RAW`, which does not.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn boot_clock() -> Duration {
    unix_clock(rustix::time::ClockId::Monotonic)
}

#[cfg(unix)]
fn unix_clock(id: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(id);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(secs, nanos)
}

/// The standard library reads the performance counter, which counts the time
/// asleep (Windows 7 and newer).
#[cfg(not(unix))]
fn boot_clock() -> Duration {
    static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    ORIGIN.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::env::accept;
    use crate::time::sleep_until;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn bytes_travel_over_loopback_until_the_stream_is_dropped() {
        let env = TokioEnv::new();
        let mut listener = env.bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let echo = env.spawn(
            "echo",
            Box::pin(async move {
                let (stream, peer) = accept(&mut *listener).await.unwrap();
                assert!(peer.ip().is_loopback());
                let (mut from, mut to) = tokio::io::split(stream);
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            }),
        );
        let mut stream = env.connect(address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        drop(stream);
        assert!(echo.await);
    }

    #[tokio::test]
    async fn a_port_in_use_is_refused_with_its_address() {
        let env = TokioEnv::new();
        let listener = env.bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = env.bind(address).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()));
    }

    #[tokio::test]
    async fn both_ends_send_without_delay() {
        let listener = TokioListener(listen(LOOPBACK).unwrap());
        let near = dial(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = std::future::poll_fn(|cx| listener.poll_tcp(cx))
            .await
            .unwrap();
        assert!(near.nodelay().unwrap() && far.nodelay().unwrap());
    }

    #[tokio::test]
    async fn addresses_are_reused_on_unix_alone() {
        let listener = listen(LOOPBACK).unwrap();
        let reused = socket2::SockRef::from(&listener).reuse_address().unwrap();
        assert_eq!(reused, cfg!(unix));
    }

    #[tokio::test]
    async fn a_port_nobody_listens_on_refuses() {
        // Bound, so that nobody else can get the port meanwhile.
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        held.bind(&LOOPBACK.into()).unwrap();
        let address = held.local_addr().unwrap().as_socket().unwrap();
        let error = TokioEnv::new().connect(address).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// On a system without IPv6 this shows the other branch: both listen.
    #[tokio::test]
    async fn every_address_means_those_of_ipv4_too() {
        let env = TokioEnv::new();
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let mut listener = env.bind(any).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = env.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let (_stream, accepted) = tokio::join!(client, accept(&mut *listener));
        let (_, peer) = accepted.unwrap();
        assert_eq!(peer.ip(), Ipv4Addr::LOCALHOST);
    }

    #[tokio::test]
    async fn literals_and_localhost_resolve() {
        let env = TokioEnv::new();
        for (host, address) in [
            ("192.0.2.7", "192.0.2.7:2181"),
            ("2001:db8::7", "[2001:db8::7]:2181"),
            ("[2001:db8::7]", "[2001:db8::7]:2181"),
        ] {
            let found = env.resolve(host, 2181).await.unwrap();
            assert_eq!(found, [address.parse().unwrap()]);
        }
        let found = env.resolve("localhost", 2181).await.unwrap();
        assert!(!found.is_empty());
        assert!(
            found
                .iter()
                .all(|at| at.ip().is_loopback() && at.port() == 2181)
        );
    }

    #[test]
    fn brackets_are_for_ipv6_alone() {
        assert_eq!(literal("[192.0.2.7]"), None);
        assert_eq!(literal("[::1"), None);
        assert_eq!(literal("host"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_monotonic_clock_is_the_one_timers_run_on() {
        let env = TokioEnv::new();
        let start = env.now();
        let deadline = start + Duration::from_secs(30);
        sleep_until(&mut *env.timer(), deadline).await;
        assert_eq!(env.now(), deadline);
    }

    #[tokio::test]
    async fn the_boot_clock_runs_forward() {
        let env = TokioEnv::new();
        let start = env.boot_now();
        // Two readings of a coarse clock may agree.
        while env.boot_now() == start {}
        assert!(env.boot_now() > start);
    }

    #[tokio::test]
    async fn generators_differ_even_under_one_name() {
        let env = TokioEnv::new();
        let drawn = [env.rng("a"), env.rng("a"), TokioEnv::new().rng("a")];
        let [a, b, c] = drawn.map(|mut rng| rng.next_u64());
        assert!(a != b && b != c && a != c);
    }
}
