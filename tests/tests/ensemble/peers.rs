//! The servers, and what is done to them.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets"
)]

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};
use zk_tests::wait::{eventually, within};

use crate::say;

/// The servers' directories, in the order of `ZK_TEST_CONNECT`.
const PEERS: &str = "ZK_TEST_PEERS";
const CONNECT: &str = "ZK_TEST_CONNECT";

/// Whoever ends servers wants them for itself.
static TURN: Mutex<()> = Mutex::const_new(());

/// An ensemble that `scripts/apache.sh` has started.
pub(crate) struct Peers {
    peers: Vec<Peer>,
    _turn: MutexGuard<'static, ()>,
}

struct Peer {
    host: String,
    dir: PathBuf,
}

impl Peers {
    /// The ensemble that the environment names, all of it serving; this test has it for
    /// itself. `None`, and a word about it, without one.
    pub(crate) async fn named(test: &str) -> Option<Self> {
        let dirs = env::var(PEERS).unwrap_or_default();
        let hosts = env::var(CONNECT).unwrap_or_default();
        if dirs.is_empty() {
            say(&format!(
                "SKIPPED {test}: {PEERS} names no servers (scripts/apache.sh with-ensemble)"
            ));
            return None;
        }
        let (dirs, hosts) = (dirs.split(','), hosts.split(','));
        let peers: Vec<Peer> = hosts
            .zip(dirs)
            .map(|(host, dir)| Peer {
                host: host.to_owned(),
                dir: dir.into(),
            })
            .collect();
        assert!(peers.len() >= 3, "{PEERS} and {CONNECT} name three or more");
        let peers = Self {
            peers,
            _turn: TURN.lock().await,
        };
        peers.until_all_serve().await;
        Some(peers)
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn host(&self, peer: usize) -> &str {
        &self.peers[peer].host
    }

    /// All of them, for a connect string.
    pub(crate) fn hosts(&self) -> String {
        let hosts: Vec<&str> = self.peers.iter().map(|peer| &*peer.host).collect();
        hosts.join(",")
    }

    pub(crate) async fn leader(&self) -> usize {
        for peer in 0..self.len() {
            if self.mode(peer).await.as_deref() == Some("leader") {
                return peer;
            }
        }
        panic!("nobody leads")
    }

    /// Those that do not lead.
    pub(crate) async fn followers(&self) -> Vec<usize> {
        let leader = self.leader().await;
        (0..self.len()).filter(|peer| *peer != leader).collect()
    }

    /// Ends a server as a crash would; its process is gone when this returns.
    pub(crate) async fn kill(&self, peer: usize) {
        self.script("kill", peer, None).await;
    }

    /// Starts a server that was killed, with what it knew.
    pub(crate) async fn restart(&self, peer: usize) {
        self.script("restart", peer, None).await;
    }

    /// Starts a server that was killed, without what it knew.
    pub(crate) async fn restart_empty(&self, peer: usize) {
        self.script("restart", peer, Some("--empty")).await;
    }

    /// Stops a server in its tracks; its sockets stay open.
    pub(crate) async fn pause(&self, peer: usize) {
        self.script("pause", peer, None).await;
    }

    /// Has a server that was paused go on.
    pub(crate) async fn resume(&self, peer: usize) {
        self.script("resume", peer, None).await;
    }

    pub(crate) async fn until_all_serve(&self) {
        for peer in 0..self.len() {
            let what = format!("{} serves", self.host(peer));
            eventually(&what, async || self.mode(peer).await.is_some()).await;
        }
    }

    async fn script(&self, verb: &str, peer: usize, option: Option<&str>) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/apache.sh");
        let mut command = Command::new("bash");
        command.arg(script).arg(verb).arg(&self.peers[peer].dir);
        command.args(option).stdout(Stdio::null());
        let status = within(verb, command.status()).await.unwrap();
        assert!(status.success(), "{verb}: {status}");
    }

    /// "leader" or "follower", of a server that serves.
    async fn mode(&self, peer: usize) -> Option<String> {
        let answer = srvr(self.host(peer)).await.ok()?;
        let mut lines = answer.lines();
        Some(lines.find_map(|line| line.strip_prefix("Mode: "))?.into())
    }
}

async fn srvr(host: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(b"srvr").await?;
    let mut answer = String::new();
    within("srvr", stream.read_to_string(&mut answer)).await?;
    Ok(answer)
}
