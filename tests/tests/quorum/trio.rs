//! A few peers on free ports, with directories of their own.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use zk_server::{EnsembleConfig, PeerState, QuorumPeer};

pub(crate) struct Trio {
    peers: Vec<QuorumPeer>,
    dir: PathBuf,
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
        .collect();
    listeners
        .iter()
        .map(|listener| listener.local_addr().expect("an address").port())
        .collect()
}

impl Trio {
    pub(crate) async fn start(count: usize) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .try_init();
        let ports = free_ports(count * 2);
        let mut text = String::from(
            "tickTime=200\ninitLimit=50\nsyncLimit=10\nclientPort=0\nclientPortAddress=127.0.0.1\n",
        );
        for (i, pair) in ports.chunks(2).enumerate() {
            text += &format!("server.{}=127.0.0.1:{}:{}\n", i + 1, pair[0], pair[1]);
        }
        let name = format!("zk-trio-{}-{}", std::process::id(), ports[0]);
        let dir = std::env::temp_dir().join(name);
        let mut peers = Vec::new();
        for id in 1..=count as i64 {
            let config = EnsembleConfig::parse(&text, id).expect("a configuration");
            let peer = QuorumPeer::builder(config)
                .data_dir(dir.join(id.to_string()))
                .start();
            peers.push(peer.await.expect("started"));
        }
        Self { peers, dir }
    }

    pub(crate) fn peer(&self, id: i64) -> &QuorumPeer {
        &self.peers[id as usize - 1]
    }

    pub(crate) fn connect_string(&self) -> String {
        let hosts: Vec<_> = self.peers.iter().map(QuorumPeer::connect_string).collect();
        hosts.join(",")
    }

    pub(crate) async fn wait_until_all_serve(&self) {
        for peer in &self.peers {
            let mut changes = peer.status_changes();
            let serves = changes.wait_for(|status| status.is_serving);
            let waited = tokio::time::timeout(Duration::from_secs(20), serves).await;
            waited.expect("in time").expect("alive");
        }
    }

    pub(crate) async fn leader(&self) -> i64 {
        let leading = self.peers.iter().find(|peer| {
            let status = peer.status();
            status.state == PeerState::Leading && status.is_serving
        });
        leading.expect("a leader").id()
    }

    pub(crate) async fn wait_until_equal(&self) {
        eventually(async || {
            let digests: BTreeSet<_> = self.peers.iter().map(QuorumPeer::tree_digest).collect();
            digests.len() == 1
        })
        .await;
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        self.peers.clear();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(crate) async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("in time");
}
