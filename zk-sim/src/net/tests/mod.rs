//! The network as its users see it, by subject.

mod close;
mod connect;
mod death;
mod faults;
mod hosts;
mod latency;
mod names;
mod observing;
mod trace;
mod window;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Sim, runtime};
use zk_env::{BoxStream, Env, Listener, accept};

const PORT: u16 = 2181;

fn run<T>(seed: u64, test: impl Future<Output = T>) -> T {
    runtime(seed).unwrap().block_on(test)
}

/// A client, and a server that listens.
struct Pair {
    net: Sim,
    client: Arc<dyn Env>,
    server: Arc<dyn Env>,
    listener: Box<dyn Listener>,
    address: SocketAddr,
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let net = Sim::new(seed);
        let (client, server) = (net.env("client"), net.env("server"));
        let anywhere = SocketAddr::from(([0, 0, 0, 0], PORT));
        let listener = server.bind(anywhere).await.unwrap();
        let address = client.resolve("server", PORT).await.unwrap()[0];
        Self {
            net,
            client,
            server,
            listener,
            address,
        }
    }

    /// Both ends of a new connection.
    async fn connect(&mut self) -> (BoxStream, BoxStream) {
        let near = self.client.connect(self.address).await.unwrap();
        let (far, _) = accept(&mut *self.listener).await.unwrap();
        (near, far)
    }
}

/// Reads exactly `len` bytes.
async fn read(stream: &mut BoxStream, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn assert_reads(stream: &mut BoxStream, expected: &[u8]) {
    assert_eq!(read(stream, expected.len()).await.unwrap(), expected);
}

async fn assert_eof(stream: &mut BoxStream) {
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

/// Whether `future` is still waiting after an hour.
async fn hangs<F: Future + Unpin>(future: &mut F) -> bool {
    let hour = Duration::from_secs(3600);
    tokio::time::timeout(hour, future).await.is_err()
}

async fn poll_once<T>(mut future: Pin<&mut (dyn Future<Output = T> + Send)>) -> Poll<T> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("the call fails").kind()
}

async fn write(stream: &mut BoxStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await
}
