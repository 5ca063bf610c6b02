//! Accepting when the system says no, and accepting a great many.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use zk_env::{Boot, BoxFuture, BoxStream, Disk, Env, EnvRng, Listener, Mono, TaskHandle, Timer};
use zk_server::Server;
use zk_sim::Sim;

use crate::raw::World;

/// An environment in which the first accepts fail, as without descriptors.
#[derive(Debug)]
struct NoDescriptors {
    inner: Arc<dyn Env>,
    failures: u32,
    attempts: Arc<AtomicU32>,
}

struct FailingListener {
    inner: Box<dyn Listener>,
    failures: u32,
    attempts: Arc<AtomicU32>,
}

impl Listener for FailingListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        if self.attempts.fetch_add(1, Ordering::SeqCst) < self.failures {
            return Poll::Ready(Err(io::Error::other("too many open files")));
        }
        self.inner.poll_accept(cx)
    }
}

impl Env for NoDescriptors {
    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        let (bound, failures) = (self.inner.bind(addr), self.failures);
        let attempts = Arc::clone(&self.attempts);
        Box::pin(async move {
            let listener = FailingListener {
                inner: bound.await?,
                failures,
                attempts,
            };
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        self.inner.connect(addr)
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        self.inner.resolve(host, port)
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        self.inner.spawn(name, task)
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.inner.timer()
    }

    fn now(&self) -> Mono {
        self.inner.now()
    }

    fn boot_now(&self) -> Boot {
        self.inner.boot_now()
    }

    fn wall(&self) -> SystemTime {
        self.inner.wall()
    }

    fn rng(&self, name: &str) -> EnvRng {
        self.inner.rng(name)
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.inner.disk()
    }
}

#[tokio::test(start_paused = true)]
async fn failing_accepts_are_retried_without_spinning() {
    let net = Sim::new(7);
    let attempts = Arc::new(AtomicU32::new(0));
    let env = NoDescriptors {
        inner: net.env("server"),
        failures: 20,
        attempts: Arc::clone(&attempts),
    };
    let server = Server::builder().env(Arc::new(env)).start().await.unwrap();
    let client = net.env("server");
    let start = client.now();
    let ask = zk_server::four_letter_word(&*client, server.client_addr(), "ruok", A_MINUTE);
    assert_eq!(ask.await.unwrap(), "imok");
    // 10, 20, 40 … 640 ms, then a second each: 20 failures take some 14 s.
    let took = client.now().since(start);
    assert!(
        took > Duration::from_secs(10) && took < Duration::from_secs(20),
        "{took:?}"
    );
    assert!(attempts.load(Ordering::SeqCst) < 30);
    server.stop().await;
}

const A_MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn five_hundred_connections_come_and_go_without_a_trace() {
    let world = World::start().await;
    for round in 0..500 {
        let mut raw = world.connect().await;
        match round % 4 {
            0 => assert!(raw.handshake(1000).await.timeout_ms > 0),
            1 => raw.send(b"ruok").await,
            2 => raw.send(&[0xff; 4]).await,
            _ => {}
        }
    }
    world.pass(A_MINUTE).await;
    assert_eq!(world.server.tasks().await, 2);
    let counters = world.server.counters();
    assert_eq!((counters.connections, counters.sessions), (0, 0));
    assert_eq!(counters.connections_accepted, 500);
    world.server.stop().await;
}
