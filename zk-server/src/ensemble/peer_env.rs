//! The world as one peer of an ensemble sees it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::SystemTime;

use tempfile::TempDir;
use zk_env::{
    Boot, BoxFuture, BoxStream, Disk, Env, EnvRng, Listener, Mono, Probe, TaskHandle, Timer,
};

use super::gate::Gate;
use super::links::Links;
use crate::quorum::ServerId;

/// Another environment in everything but these: tasks run behind the peer's gate, other
/// peers are reached over the links, the disk may be the peer's own, and the client port has
/// been had before the peer starts. A peer that is restarted finds all of it again.
pub(super) struct PeerEnv {
    inner: Arc<dyn Env>,
    id: ServerId,
    links: Arc<Links>,
    gate: Arc<Gate>,
    disk: Arc<dyn Disk>,
    /// Ports that nobody else can get before the peer binds them.
    reserved: Mutex<BTreeMap<SocketAddr, Box<dyn Listener>>>,
    /// Removed once no task of the peer can write to it any more, for those hold this.
    _temp_dir: Option<Arc<TempDir>>,
}

impl PeerEnv {
    pub(super) fn new(
        inner: Arc<dyn Env>,
        id: ServerId,
        links: Arc<Links>,
        disk: Arc<dyn Disk>,
        temp_dir: Option<Arc<TempDir>>,
    ) -> Self {
        Self {
            inner,
            id,
            links,
            gate: Arc::default(),
            disk,
            reserved: Mutex::default(),
            _temp_dir: temp_dir,
        }
    }

    /// Binds `addr` for the peer, which finds it bound when it starts; the address with the
    /// port that the system chose.
    pub(super) async fn reserve(&self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let listener = self.inner.bind(addr).await?;
        let bound = listener.local_addr()?;
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.insert(bound, listener);
        Ok(bound)
    }

    /// The gate that the peer's tasks are behind.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl std::fmt::Debug for PeerEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerEnv")
            .field("id", &self.id)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl Env for PeerEnv {
    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        if self.links.knows(addr) {
            Box::pin(Arc::clone(&self.links).connect(self.id, addr))
        } else {
            self.inner.connect(addr)
        }
    }

    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        if self.links.knows(addr) {
            return Box::pin(Arc::clone(&self.links).bind(addr));
        }
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        match reserved.remove(&addr) {
            Some(listener) => Box::pin(std::future::ready(Ok(listener))),
            None => self.inner.bind(addr),
        }
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        self.inner.resolve(host, port)
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        self.gate.spawn(&*self.inner, name, task)
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.inner.timer()
    }

    fn look_again(&self, cx: &mut Context<'_>) {
        self.inner.look_again(cx);
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
        Arc::clone(&self.disk)
    }

    fn probe(&self) -> Probe {
        self.inner.probe()
    }
}

#[cfg(test)]
mod tests {
    use zk_env::{MemoryDisk, TokioEnv, accept};

    use super::*;
    use crate::ensemble::links::Transport;

    const ANY_PORT: &str = "127.0.0.1:0";

    fn peer(id: i64) -> PeerEnv {
        let inner = TokioEnv::new() as Arc<dyn Env>;
        let links = Links::new(Arc::clone(&inner), Transport::Memory);
        links.assign("127.0.0.1:2888".parse().unwrap(), ServerId(1));
        PeerEnv::new(inner, ServerId(id), links, MemoryDisk::new(1 << 20), None)
    }

    #[tokio::test]
    async fn a_reserved_port_is_the_peers_from_then_on_and_again_after_a_stop() {
        let peer = peer(1);
        let addr = peer.reserve(ANY_PORT.parse().unwrap()).await.unwrap();
        let other = TokioEnv::new().bind(addr).await;
        assert_eq!(other.err().unwrap().kind(), io::ErrorKind::AddrInUse);
        // Who has dialled before the peer is there is not lost.
        let _client = peer.inner.connect(addr).await.unwrap();
        for _ in 0..2 {
            let mut listener = peer.bind(addr).await.unwrap();
            let client = peer.inner.connect(addr);
            let (client, accepted) = tokio::join!(client, accept(&mut *listener));
            assert!(client.is_ok() && accepted.is_ok());
        }
    }

    #[tokio::test]
    async fn peers_meet_over_the_links_and_others_outside() {
        let peer = peer(1);
        let of_peers = "127.0.0.1:2888".parse().unwrap();
        let listener = peer.bind(of_peers).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), of_peers);
        let mut outside = peer.bind(ANY_PORT.parse().unwrap()).await.unwrap();
        let addr = outside.local_addr().unwrap();
        let (dialled, accepted) = tokio::join!(peer.connect(addr), accept(&mut *outside));
        assert!(dialled.is_ok() && accepted.is_ok());
        peer.connect(of_peers).await.unwrap();
    }
}
