//! Carries the election and its connections: the tasks of the election port.

mod cnx_task;
mod core;
mod listen;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zk_env::{BoxFuture, Env};

use self::core::Core;
use super::machine::{Decision, ElectionOptions, InitialVote};
use super::vote::{PeerState, Vote};
use crate::config::ensemble::EnsembleConfig;
use crate::error::ServerError;
use crate::quorum::{HostPort, QuorumVerifier, ServerId};

/// Commands that may wait; each is a call of the owner's.
const MAX_COMMANDS: usize = 16;
/// Notices that may wait for the owner. More of them are dropped: the first says it all.
const MAX_NOTICES: usize = 64;

/// What the election port needs to know.
#[derive(Clone, Debug)]
pub(crate) struct ElectionPortOptions {
    /// Who this is.
    pub(crate) election: ElectionOptions,
    /// The committed list. This peer's own election addresses are taken from it.
    pub(crate) config: QuorumVerifier,
    /// Where to listen; port 0 is of use to tests alone, since others are told the list's.
    pub(crate) listen: Vec<HostPort>,
    /// Tries to listen, a second apart; 0 is for ever. `electionPortBindRetry`.
    pub(crate) bind_tries: u32,
    /// `multiAddress.enabled`
    pub(crate) is_multi_address: bool,
    /// `cnxTimeout`: a dial of one address, with its look-up.
    pub(crate) cnx_timeout: Duration,
    /// How long an accepted connection may take to say who it is.
    pub(crate) handshake_timeout: Duration,
}

impl ElectionPortOptions {
    /// What a configuration file says.
    pub(crate) fn from_config(config: &EnsembleConfig) -> Self {
        let settings = &config.settings;
        let election = ElectionOptions {
            id: config.id,
            learner_type: config.learner_type,
            reconfig_enabled: settings.reconfig_enabled,
            min_notification_interval: settings.min_notification_interval,
            max_notification_interval: settings.max_notification_interval,
        };
        Self {
            election,
            config: config.verifier.clone(),
            listen: config.election_listen(),
            bind_tries: settings.election_port_bind_retry,
            is_multi_address: settings.is_multi_address,
            cnx_timeout: settings.cnx_timeout,
            handshake_timeout: config.handshake_timeout(),
        }
    }

    /// Apache's defaults for this member of `config`, listening where the list says.
    pub(crate) fn new(id: ServerId, config: QuorumVerifier) -> Self {
        let own = config.member(id).map(|own| own.addrs.clone());
        let own = own.unwrap_or_default();
        Self {
            election: ElectionOptions::new(id),
            listen: own.iter().map(|addr| addr.election()).collect(),
            config,
            bind_tries: 3,
            is_multi_address: false,
            cnx_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// Something that happens beside an election.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    /// A newer configuration was adopted and has to be stored.
    ConfigAdopted(QuorumVerifier),
    /// A voter's list and ours could elect a leader each.
    ConfigConflict {
        /// Whose.
        from: ServerId,
        /// Its list.
        theirs: QuorumVerifier,
    },
    /// While this peer leads, a voter is in an election.
    VoterIsLooking {
        /// The voter.
        from: ServerId,
        /// Its vote.
        vote: Vote,
    },
}

/// What an owner asks for.
#[derive(Debug)]
enum Command {
    Look {
        initial: InitialVote,
        reply: oneshot::Sender<Decision>,
    },
    SetPeerEpoch(i64),
    SetLeader {
        leader: ServerId,
        zxid: i64,
        role: PeerState,
    },
    SetConfig {
        committed: QuorumVerifier,
        last_seen: Option<QuorumVerifier>,
    },
}

/// The election port of a running peer: it votes when asked to, and answers those who
/// are looking at all times.
///
/// Dropping it ends its tasks without waiting for them.
pub(crate) struct ElectionPort {
    commands: mpsc::Sender<Command>,
    notices: mpsc::Receiver<Notice>,
    tasks: Tasks,
}

/// Starts tasks that a stop ends and waits for.
#[derive(Clone)]
struct Tasks {
    env: Arc<dyn Env>,
    stopped: CancellationToken,
    tracker: TaskTracker,
}

impl Tasks {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        let stopped = self.stopped.clone();
        let until_stopped = async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = task => {}
            }
        };
        let task = self.tracker.track_future(until_stopped);
        // Every task ends by itself once the port has stopped.
        let _detached = self.env.spawn(name, Box::pin(task));
    }
}

impl ElectionPort {
    /// Listens, and answers from here on, until it is dropped or `stopped`.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on, after `bind_tries`.
    pub(crate) async fn start(
        env: Arc<dyn Env>,
        options: ElectionPortOptions,
        stopped: &CancellationToken,
    ) -> Result<Self, ServerError> {
        let listeners = listen::bind_all(&*env, &options).await?;
        let tasks = Tasks {
            env,
            stopped: stopped.child_token(),
            tracker: TaskTracker::new(),
        };
        let (commands, asked) = mpsc::channel(MAX_COMMANDS);
        let (notify, notices) = mpsc::channel(MAX_NOTICES);
        let core = Core::new(options, tasks.clone(), asked, notify);
        for listener in listeners {
            let accept = listen::accept_all(listener, Arc::clone(&tasks.env), core.inputs());
            tasks.spawn("zk-server election accept", Box::pin(accept));
        }
        tasks.spawn("zk-server election", Box::pin(core.run()));
        Ok(Self {
            commands,
            notices,
            tasks,
        })
    }

    /// Looks for a leader until there is one. `None` if the port has stopped.
    ///
    /// Not cancel safe as far as the others are concerned: a future that is dropped
    /// gives the election up, and they see a peer that has stopped voting until it is
    /// called again.
    pub(crate) async fn look_for_leader(&self, initial: InitialVote) -> Option<Decision> {
        let (reply, decided) = oneshot::channel();
        self.ask(Command::Look { initial, reply }).await;
        decided.await.ok()
    }

    /// The leader's epoch has become the current one.
    pub(crate) async fn set_peer_epoch(&self, epoch: i64) {
        self.ask(Command::SetPeerEpoch(epoch)).await;
    }

    /// A reconfiguration hands leadership over without an election.
    pub(crate) async fn set_leader(&self, leader: ServerId, zxid: i64, role: PeerState) {
        self.ask(Command::SetLeader { leader, zxid, role }).await;
    }

    /// The configuration in force, and one that is being agreed on.
    pub(crate) async fn set_config(
        &self,
        committed: QuorumVerifier,
        last_seen: Option<QuorumVerifier>,
    ) {
        self.ask(Command::SetConfig {
            committed,
            last_seen,
        })
        .await;
    }

    /// The next thing to know; `None` once the port has stopped. Cancel safe.
    pub(crate) async fn next_notice(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// What there is to know already, if anything.
    pub(crate) fn try_next_notice(&mut self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }

    /// Ends every task and connection, and waits for that.
    pub(crate) async fn stop(self) {
        self.tasks.stopped.cancel();
        self.tasks.tracker.close();
        self.tasks.tracker.wait().await;
    }

    async fn ask(&self, command: Command) {
        // Nobody is there to ask once the port has stopped.
        let _ = self.commands.send(command).await;
    }
}

impl Drop for ElectionPort {
    fn drop(&mut self) {
        self.tasks.stopped.cancel();
    }
}

impl fmt::Debug for ElectionPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElectionPort")
            .field("tasks", &self.tasks.tracker.len())
            .finish_non_exhaustive()
    }
}
