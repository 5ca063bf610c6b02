//! One server of an ensemble, and its life between crashes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use zk_env::{Disk, OpenMode};
use zk_server::config::ServerConfigBuilder;
use zk_server::{EnsembleConfig, PeerStatus, QuorumPeer, ServerError, StorageError, observe};

use super::records::Records;
use super::shape::{CLIENT_PORT, Ensemble, OBSERVER, id_of};
use crate::Sim;
use crate::history::{PeerSeen, PeerState, TreeSeen};
use crate::observe::Observation;
use crate::runner::server::{Log, Wanted};

/// Where servers keep what they have, on their hosts.
pub(super) const DATA_DIR: &str = "/zookeeper";
/// Until whoever looks after a server starts it again that has ended by itself.
const AGAIN: Duration = Duration::from_millis(500);

/// What servers have in common.
pub(in crate::runner) struct Common {
    pub(super) sim: Sim,
    pub(super) shape: Ensemble,
    pub(super) config: ServerConfigBuilder,
    pub(super) records: Records,
    pub(super) log: Log,
}

/// A server of an ensemble.
pub(super) struct Peer {
    pub(super) host: Arc<str>,
    pub(super) wanted: watch::Sender<Wanted>,
    /// What it was brought to last.
    pub(super) reached: watch::Sender<Wanted>,
    server: Mutex<Option<Arc<QuorumPeer>>>,
    /// Why it does not start.
    trouble: Mutex<Option<String>>,
    /// It has a new disk, and has not served since.
    is_vacant: AtomicBool,
}

impl Peer {
    pub(super) fn new(host: &str) -> Self {
        Self {
            host: host.into(),
            wanted: watch::Sender::default(),
            reached: watch::Sender::default(),
            server: Mutex::default(),
            trouble: Mutex::default(),
            is_vacant: AtomicBool::new(false),
        }
    }

    pub(super) fn is_vacant(&self) -> bool {
        self.is_vacant.load(Ordering::Relaxed)
    }

    pub(super) fn vacate(&self, common: &Common) {
        self.is_vacant.store(true, Ordering::Relaxed);
        self.note_gone(common, PeerState::Emptied);
    }

    /// As an operator does with a new ensemble: whoever has an empty directory later on, and no
    /// permission, has lost what was in it.
    pub(super) async fn permit_to_begin(&self, common: &Common) -> io::Result<()> {
        let (disk, dir) = (common.sim.env(&self.host).disk(), Path::new(DATA_DIR));
        disk.create_dir_all(dir).await?;
        disk.open(&dir.join("initialize"), OpenMode::Create).await?;
        disk.sync_dir(dir).await
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<QuorumPeer>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server, while there is one.
    pub(super) fn server(&self) -> Option<Arc<QuorumPeer>> {
        self.slot().clone()
    }

    /// Why it does not start, if it was tried.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server is gone, without a word.
    pub(super) fn forget(&self, common: &Common) {
        drop(self.slot().take());
        self.note_down(common);
    }

    /// Starts the process.
    pub(super) async fn start(&self, common: &Common) -> Result<(), ServerError> {
        self.note_log(common).await;
        let started = self.try_start(common).await;
        let trouble = started.as_ref().err().map(ToString::to_string);
        self.note_trouble(common, trouble);
        let server = started?;
        let status = server.status();
        *self.slot() = Some(server);
        self.note(common, &status);
        Ok(())
    }

    /// What keeps the server from starting now, if anything does.
    fn note_trouble(&self, common: &Common, trouble: Option<String>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == trouble {
            return;
        }
        let tell = |trouble: &String, begins| {
            let what = &format!("{} does not start: {trouble}", self.host);
            common.sim.tell(&Observation::Fault { what, begins });
        };
        if let Some(before) = &*known {
            tell(before, false);
        }
        if let Some(now) = &trouble {
            tell(now, true);
        }
        *known = trouble;
    }

    async fn try_start(&self, common: &Common) -> Result<Arc<QuorumPeer>, ServerError> {
        let id = id_of(&self.host).and_then(|id| i64::try_from(id).ok());
        let ensemble = EnsembleConfig::parse(&common.shape.zoo_cfg(&self.host), id.unwrap_or(0))?;
        let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), CLIENT_PORT);
        let tick = common.shape.tick_time();
        let config = common.config.clone().client_addr(addr).tick_time(tick);
        let is_dynamic = common.shape.is_dynamic();
        let config = config.autocreate(false).reconfig(is_dynamic);
        let (records, clock, host) = (
            common.records.clone(),
            common.sim.clone(),
            Arc::clone(&self.host),
        );
        let server = QuorumPeer::builder(ensemble)
            .config(config.build()?)
            .data_dir(DATA_DIR)
            .env(common.sim.env(&self.host))
            .on_transaction(move |made| records.applied(&host, made, clock.elapsed()))
            .start()
            .await?;
        Ok(Arc::new(server))
    }

    /// Brings the server to what is wanted, for as long as this is polled.
    pub(super) async fn keep(&self, common: &Common) {
        let mut wanted = self.wanted.subscribe();
        let mut now = Wanted::default();
        loop {
            let next = *wanted.borrow_and_update();
            let is_there = self.bring(now, next, common).await;
            if is_there {
                now = next;
                self.reached.send_replace(now);
            }
            tokio::select! {
                biased;
                changed = wanted.changed() => if changed.is_err() {
                    return;
                },
                () = self.ended(common), if is_there => {
                    self.forget(common);
                    sleep(AGAIN).await;
                    now.down += 1;
                }
                () = sleep(AGAIN), if !is_there => {}
            }
        }
    }

    /// From what was wanted to what is; whether that worked.
    async fn bring(&self, before: Wanted, now: Wanted, common: &Common) -> bool {
        let is_killed = before.kills != now.kills;
        if now.down > 0 {
            let server = self.slot().take();
            if let Some(server) = server
                && !is_killed
            {
                server.stop().await;
            }
            self.note_down(common);
            return true;
        }
        if before.down == 0 && !is_killed {
            return true;
        }
        // Its host was killed and is up again, all while it was being started.
        let outlived = self.slot().take();
        if let Some(server) = outlived {
            server.stop().await;
            self.note_down(common);
        }
        common.log.restarted(common.sim.elapsed());
        match self.start(common).await {
            Ok(()) => true,
            Err(error) => {
                self.replace_disk(common, &error).await;
                false
            }
        }
    }

    /// Notes what the server does, until it has ended by itself. For ever if there is none.
    async fn ended(&self, common: &Common) {
        let Some(server) = self.server() else {
            return std::future::pending().await;
        };
        let mut statuses = server.status_changes();
        loop {
            let status = *statuses.borrow_and_update();
            self.note(common, &status);
            if status.state == zk_server::PeerState::Leading && status.is_serving {
                self.note_log(common).await;
            }
            tokio::select! {
                biased;
                _ = server.failed() => return self.note_failure(common, &status),
                changed = statuses.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
            }
        }
    }

    fn note_failure(&self, common: &Common, status: &PeerStatus) {
        let probe = common.sim.env(&self.host).probe();
        probe.reached("ensemble: server ended by its disk");
        if status.state == zk_server::PeerState::Leading {
            probe.reached("ensemble: leader ended by its disk");
        }
    }

    fn note(&self, common: &Common, status: &PeerStatus) {
        use zk_server::PeerState as State;
        let Some(server) = self.server() else { return };
        if status.is_serving && self.is_vacant.swap(false, Ordering::Relaxed) {
            let probe = common.sim.env(&self.host).probe();
            probe.reached("ensemble: voter with a new disk serves");
        }
        let state = match status.state {
            State::Looking => PeerState::Looking,
            State::Following => PeerState::Following,
            State::Leading => PeerState::Leading,
            State::Observing => PeerState::Observing,
        };
        common.records.peer(PeerSeen {
            at: common.sim.elapsed(),
            peer: Arc::clone(&self.host),
            state,
            is_serving: status.is_serving,
            epoch: status.epoch,
            accepted_epoch: status.accepted_epoch,
            last_zxid: server.tree_digest().0,
        });
    }

    fn note_down(&self, common: &Common) {
        self.note_gone(common, PeerState::Down);
    }

    fn note_gone(&self, common: &Common, state: PeerState) {
        common.records.peer(PeerSeen {
            at: common.sim.elapsed(),
            peer: Arc::clone(&self.host),
            state,
            is_serving: false,
            epoch: -1,
            accepted_epoch: -1,
            last_zxid: zk_proto::Zxid::ZERO,
        });
    }

    /// Looks at the tree, if there is one.
    pub(super) fn look(&self, common: &Common) {
        let Some(server) = self.server() else { return };
        let (zxid, digest) = server.tree_digest();
        common.records.tree(TreeSeen {
            at: common.sim.elapsed(),
            peer: Arc::clone(&self.host),
            zxid,
            digest,
        });
    }

    /// What an operator does with an observer whose disk holds nonsense. A voter is never
    /// emptied: it would have forgotten what it has acknowledged.
    async fn replace_disk(&self, common: &Common, error: &ServerError) {
        let is_damage = matches!(
            error,
            ServerError::Storage(
                StorageError::Damaged { .. }
                    | StorageError::Gap { .. }
                    | StorageError::NoValidSnapshot { .. }
                    | StorageError::NotANumber { .. }
            )
        );
        if !is_damage || !self.host.starts_with(OBSERVER) {
            return;
        }
        let env = common.sim.env(&self.host);
        env.probe().reached("ensemble: damaged disk replaced");
        // What fails now is tried again with the next start.
        drop(empty(&*env.disk()).await);
        self.note_gone(common, PeerState::Emptied);
    }

    /// Takes note of what the log holds as long as it holds it: by the end it may have been
    /// purged, or replaced by somebody's snapshot. What cannot be read is left out.
    async fn note_log(&self, common: &Common) {
        drop(self.read_log(common).await);
    }

    /// Reads the log of a server.
    pub(super) async fn read_log(&self, common: &Common) -> Result<(), StorageError> {
        let disk = common.sim.env(&self.host).disk();
        let log = observe::logged(disk, Path::new(DATA_DIR)).await?;
        common.records.logged(&log, common.sim.elapsed());
        Ok(())
    }
}

async fn empty(disk: &dyn Disk) -> io::Result<()> {
    let dir = Path::new(DATA_DIR).join("version-2");
    for name in disk.list(&dir).await? {
        disk.remove(&dir.join(name)).await?;
    }
    disk.sync_dir(&dir).await
}
