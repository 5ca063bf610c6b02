//! The one task that owns both machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use zk_env::{BoxStream, Mono, sleep_until};

use super::cnx_task::CnxTask;
use super::{Command, ElectionPortOptions, Notice, Tasks};
use crate::quorum::election::cnx::{self, CnxManager, CnxOptions, ConnId, DialError};
use crate::quorum::election::machine::{self, Decision, FastLeaderElection};
use crate::quorum::election::notification::Notification;
use crate::quorum::{HostPort, QuorumVerifier, ServerId};

/// What tasks may have waiting for the core; who has more waits itself.
const MAX_INPUTS: usize = 256;
/// Writes of one connection: the machine has one under way at a time.
const MAX_WRITES: usize = 2;

/// What tasks tell.
pub(super) enum Input {
    Accepted(BoxStream),
    Dialed(ConnId),
    DialFailed(ConnId, DialError),
    Bytes(ConnId, Bytes),
    Written(ConnId),
    Closed(ConnId),
}

/// The machines and the ends of everything around them.
pub(super) struct Core {
    options: ElectionPortOptions,
    tasks: Tasks,
    election: FastLeaderElection,
    cnx: CnxManager,
    committed: QuorumVerifier,
    last_seen: Option<QuorumVerifier>,
    conns: BTreeMap<ConnId, Handle>,
    commands: mpsc::Receiver<Command>,
    notices: mpsc::Sender<Notice>,
    /// Who waits for a decision.
    reply: Option<oneshot::Sender<Decision>>,
    inputs: mpsc::Receiver<Input>,
    /// For the tasks.
    to_inputs: mpsc::Sender<Input>,
}

/// The core's end of a connection.
struct Handle {
    to_write: mpsc::Sender<Bytes>,
    closing: CancellationToken,
}

impl Core {
    pub(super) fn new(
        options: ElectionPortOptions,
        tasks: Tasks,
        commands: mpsc::Receiver<Command>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let (to_inputs, inputs) = mpsc::channel(MAX_INPUTS);
        let id = options.election.id;
        let committed = options.config.clone();
        let listed = listed(&committed, None);
        let cnx = CnxOptions {
            id,
            addrs: listed
                .get(&id)
                .cloned()
                .unwrap_or_else(|| options.listen.clone()),
            is_multi_address: options.is_multi_address,
            handshake_timeout: options.handshake_timeout,
        };
        Self {
            election: FastLeaderElection::new(options.election.clone(), committed.clone()),
            cnx: CnxManager::new(cnx, listed),
            options,
            tasks,
            committed,
            last_seen: None,
            conns: BTreeMap::new(),
            commands,
            notices,
            reply: None,
            inputs,
            to_inputs,
        }
    }

    /// Where tasks tell what happens.
    pub(super) fn inputs(&self) -> mpsc::Sender<Input> {
        self.to_inputs.clone()
    }

    /// One input, then all that follows from it, until the owner has gone.
    pub(super) async fn run(mut self) {
        let mut timer = self.tasks.env.timer();
        loop {
            let deadlines = self.election.poll_timeout().into_iter();
            let next = deadlines.chain(self.cnx.poll_timeout()).min();
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                () = given_up(&mut self.reply) => {
                    self.reply = None;
                    self.election.stop_looking();
                }
                // Before the inputs, so that no flood of them holds time up.
                () = sleep_until(&mut *timer, next.unwrap_or(Mono::MAX)) => self.handle_timeout(),
                Some(input) = self.inputs.recv() => self.handle_input(input),
            }
            self.drain();
        }
    }

    fn now(&self) -> Mono {
        self.tasks.env.now()
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Look { initial, reply } => {
                self.reply = Some(reply);
                self.election.look(initial, self.now());
            }
            Command::SetPeerEpoch(epoch) => self.election.set_peer_epoch(epoch),
            Command::SetLeader { leader, zxid, role } => {
                self.election.set_leader(leader, zxid, role);
            }
            Command::SetConfig {
                committed,
                last_seen,
            } => {
                self.election
                    .set_config(committed.clone(), last_seen.clone());
                self.committed = committed;
                self.last_seen = last_seen;
                self.list();
            }
        }
    }

    /// Tells the connections where members are.
    fn list(&mut self) {
        self.cnx
            .set_listed(listed(&self.committed, self.last_seen.as_ref()));
    }

    fn handle_timeout(&mut self) {
        let now = self.now();
        self.election.handle_timeout(now);
        self.cnx.handle_timeout(now);
    }

    fn handle_input(&mut self, input: Input) {
        match input {
            Input::Accepted(stream) => {
                let conn = self.cnx.handle_accepted(self.now());
                let task = self.new_task(conn);
                self.tasks.spawn(
                    "zk-server election connection",
                    Box::pin(task.carry(stream)),
                );
            }
            Input::Dialed(conn) => self.cnx.handle_dialed(conn, self.now()),
            Input::DialFailed(conn, error) => {
                self.conns.remove(&conn);
                self.cnx.handle_dial_failed(conn, error);
            }
            Input::Bytes(conn, bytes) => self.cnx.handle_bytes(conn, &bytes),
            Input::Written(conn) => self.cnx.handle_written(conn),
            Input::Closed(conn) => {
                self.conns.remove(&conn);
                self.cnx.handle_closed(conn);
            }
        }
    }

    fn new_task(&mut self, conn: ConnId) -> CnxTask {
        let (to_write, writes) = mpsc::channel(MAX_WRITES);
        let closing = CancellationToken::new();
        let handle = Handle {
            to_write,
            closing: closing.clone(),
        };
        self.conns.insert(conn, handle);
        CnxTask {
            env: Arc::clone(&self.tasks.env),
            conn,
            inputs: self.to_inputs.clone(),
            to_write: writes,
            closing,
        }
    }

    /// Carries out what the machines ask for, until neither has anything left. What one
    /// asks of the other is part of it; it ends because a message from outside causes a
    /// bounded number of answers.
    fn drain(&mut self) {
        loop {
            if let Some(output) = self.election.poll_output() {
                self.elect(output);
            } else if let Some(output) = self.cnx.poll_output() {
                self.carry_out(output);
            } else {
                return;
            }
        }
    }

    fn elect(&mut self, output: machine::Output) {
        match output {
            machine::Output::Send { to, notification } => {
                tracing::debug!(%to, vote = %notification.vote, "vote sent");
                self.cnx.send(to, &notification.encode());
            }
            machine::Output::Redial(peer) => self.cnx.connect(peer),
            machine::Output::Reconnect(peer) => self.cnx.reconnect(peer),
            machine::Output::Decided(decision) => {
                tracing::info!(vote = %decision.vote, "election decided");
                if let Some(reply) = self.reply.take()
                    && reply.send(decision).is_err()
                {
                    tracing::debug!("nobody waits for the decision any more");
                }
            }
            machine::Output::ConfigAdopted(config) => {
                self.committed = config.clone();
                self.list();
                self.notify(Notice::ConfigAdopted(config));
            }
            machine::Output::ConfigConflict { from, theirs } => {
                tracing::error!(
                    %from,
                    theirs = theirs.to_text(),
                    ours = self.committed.to_text(),
                    "the lists of two servers could elect a leader each: no election here \
                     until they agree",
                );
                self.notify(Notice::ConfigConflict { from, theirs });
            }
            machine::Output::VoterIsLooking { from, vote } => {
                self.notify(Notice::VoterIsLooking { from, vote });
            }
        }
    }

    fn notify(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            tracing::debug!("a notice that nobody takes is dropped");
        }
    }

    fn carry_out(&mut self, output: cnx::Output) {
        match output {
            cnx::Output::Dial { conn, addrs, .. } => {
                let task = self.new_task(conn).dial(addrs, self.options.cnx_timeout);
                self.tasks
                    .spawn("zk-server election connection", Box::pin(task));
            }
            cnx::Output::Write { conn, bytes } => {
                let handle = self.conns.get(&conn);
                let is_taken = handle.is_some_and(|handle| handle.to_write.try_send(bytes).is_ok());
                if !is_taken {
                    // The task has ended and says so in a moment.
                    tracing::debug!("a write to a connection that has ended");
                }
            }
            cnx::Output::Close(conn) => {
                if let Some(handle) = self.conns.remove(&conn) {
                    handle.closing.cancel();
                }
            }
            cnx::Output::Deliver { from, message } => match Notification::decode(&message) {
                Ok(notification) => {
                    tracing::debug!(%from, vote = %notification.vote, "vote received");
                    let now = self.now();
                    self.election.handle_notification(from, notification, now);
                }
                Err(error) => tracing::warn!(%from, %error, "a message is dropped"),
            },
            cnx::Output::Link { peer, event } => {
                tracing::debug!(%peer, ?event, "election connection");
                let now = self.now();
                self.election.handle_link(peer, event, now);
            }
        }
    }
}

/// Ends when whoever waits for a decision has given up.
async fn given_up(reply: &mut Option<oneshot::Sender<Decision>>) {
    match reply {
        Some(reply) => reply.closed().await,
        None => std::future::pending().await,
    }
}

/// Where the members of both lists are, those of the committed one first.
fn listed(
    committed: &QuorumVerifier,
    last_seen: Option<&QuorumVerifier>,
) -> BTreeMap<ServerId, Vec<HostPort>> {
    let mut listed: BTreeMap<ServerId, Vec<HostPort>> = BTreeMap::new();
    for member in committed
        .members()
        .chain(last_seen.into_iter().flat_map(QuorumVerifier::members))
    {
        let known = listed.entry(member.id).or_default();
        for addr in &member.addrs {
            if !known.contains(&addr.election()) {
                known.push(addr.election());
            }
        }
    }
    listed
}
