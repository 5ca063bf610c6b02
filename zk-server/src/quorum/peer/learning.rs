//! Following and observing: the connection to the leader, and everything a [`Learner`]
//! asks for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::ReadHalf;
use zk_env::{BoxStream, Env, Mono, sleep_until};
use zk_proto::{OpCode, Zxid};

use super::disk::{DiskDone, DiskOp};
use super::leading::RoleTasks;
use super::link::{Event, Outbound, outbound, read_more};
use super::observer_master::{self, Master};
use super::{Peer, RoleEnd, wait_for_notice};
use crate::net::Shell;
use crate::quorum::packet::{PacketDecoder, PacketType, QuorumPacket, Revalidated};
use crate::quorum::zab::{
    Asker, Learner, LearnerOptions, LearnerOutput, LearnerShutdown, ObserverMasterOutput,
    SnapshotOutcome, TruncateOutcome,
};
use crate::quorum::{HostPort, LearnerType, ServerId};
use crate::storage::WireSnapshotReader;
use crate::txn::{Txn, decode_txn};
use crate::zookeeper_server::Upstream;

/// Between two dials, doubled from the first to the last: the leader may not be listening
/// yet, since it counts its votes at the same time as we do.
const FIRST_DIAL_PAUSE: Duration = Duration::from_millis(1);
const LAST_DIAL_PAUSE: Duration = Duration::from_millis(50);
/// How long a leader may refuse. One that is alive listens by then: it counts its votes for
/// 200 ms longer than we do, at most. Then it is asked for again, lest a vote that was
/// overtaken by its leader's end cost all of `initLimit`.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
/// While so many bytes wait for the leader, what observers send is not looked at.
const CONGESTED_BYTES: usize = 16 << 20;

/// A peer that learns from a leader.
pub(super) struct Learning<'p> {
    peer: &'p mut Peer,
    learner: Learner,
    reader: ReadHalf<BoxStream>,
    outbound: Outbound,
    input: BytesMut,
    /// A snapshot that is being read from the connection.
    snapshot: Option<Incoming>,
    /// Transactions to be applied, which happens to many at once.
    to_commit: Vec<Txn>,
    tasks: RoleTasks,
    /// The epoch is established, and observers may come.
    master_due: Option<i64>,
    /// What observers learn from here.
    master: Option<Master>,
    end: Option<RoleEnd>,
}

/// A snapshot on its way.
struct Incoming {
    zxid: Zxid,
    reader: WireSnapshotReader,
    /// Until then more of it has to come, or the leader is gone.
    deadline: Mono,
}

impl<'p> Learning<'p> {
    /// Connects to the leader, for which there is all of `initLimit`.
    pub(super) async fn begin(
        peer: &'p mut Peer,
        leader: ServerId,
        learner_type: LearnerType,
        tasks: &RoleTasks,
    ) -> Result<Self, RoleEnd> {
        let (stream, master) = connect(peer, leader, learner_type).await?;
        peer.tell_learner_master(master);
        let (reader, writer) = tokio::io::split(stream);
        let (outbound, writer) = outbound(&peer.shell, writer);
        tasks.spawn("zk-server quorum out", async move {
            if let Err(error) = writer.run(None).await {
                // The reading half notices as well.
                tracing::info!(%error, "cannot write to the leader");
            }
        });
        let now = peer.shell.env.now();
        let options = LearnerOptions {
            config_version: peer.membership.committed.version(),
            reconfig: peer.learner_reconfig(leader),
            wants_snapshot: std::mem::take(&mut peer.wants_snapshot),
            probe: peer.shell.env.probe(),
            ..LearnerOptions::new(peer.config.id, learner_type, peer.timing)
        };
        let mut learner = Learner::new(options, peer.history, now);
        learner.handle_connected(now);
        Ok(Self {
            peer,
            learner,
            reader,
            outbound,
            input: BytesMut::new(),
            snapshot: None,
            to_commit: Vec::new(),
            tasks: tasks.clone(),
            master_due: None,
            master: None,
            end: None,
        })
    }

    /// Learns until something ends it.
    pub(super) async fn run(mut self) -> RoleEnd {
        let shell = Arc::clone(&self.peer.shell);
        let mut timer = shell.env.timer();
        loop {
            self.carry_out();
            self.handle_input();
            if let Some(end) = self.end.take() {
                return end;
            }
            self.begin_mastering().await;
            let hears_observers = self.outbound.queued_bytes() < CONGESTED_BYTES;
            let wants_input = self.snapshot.is_some() || self.learner.wants_packets();
            let deadline = self.deadline();
            self.peer.tell_voters().await;
            tokio::select! {
                biased;
                () = self.peer.stopped.cancelled() => return RoleEnd::Stopped,
                done = self.peer.disk.done() => match done {
                    Some(done) => self.handle_done(done),
                    None => return RoleEnd::Stopped,
                },
                () = shell.appended.notified() => self.forward_all(),
                event = observer_master::next_event(&mut self.master), if hears_observers => {
                    self.handle_event(event);
                }
                read = read_more(&mut self.reader, &mut self.input), if wants_input => {
                    self.handle_read(read);
                }
                notice = wait_for_notice(&mut self.peer.election) => self.peer.handle_notice(notice),
                () = sleep_until(&mut *timer, deadline) => self.handle_timeout(),
            }
            shell.resumed().await;
        }
    }

    fn deadline(&self) -> Mono {
        // A snapshot takes as long as it takes, provided that it goes on.
        let snapshot = self.snapshot.as_ref().map(|incoming| incoming.deadline);
        let learner = snapshot.or_else(|| self.learner.poll_timeout());
        let learner = learner.unwrap_or(Mono::MAX);
        learner.min(observer_master::timeout(self.master.as_ref()))
    }

    fn handle_timeout(&mut self) {
        let now = self.peer.shell.env.now();
        if self.snapshot.as_ref().is_some_and(|s| s.deadline <= now) {
            tracing::warn!("the leader's snapshot does not go on");
            return self.disconnected();
        }
        self.learner.handle_timeout(now);
        if let Some(master) = &mut self.master {
            master.machine.handle_timeout(now);
        }
    }

    fn handle_read(&mut self, read: io::Result<bool>) {
        match read {
            Ok(true) => {
                if let Some(incoming) = &mut self.snapshot {
                    incoming.deadline = self.peer.shell.env.now() + self.peer.timing.init_time();
                }
            }
            Ok(false) => self.disconnected(),
            Err(error) => {
                tracing::info!(%error, "cannot read from the leader");
                self.disconnected();
            }
        }
    }

    fn disconnected(&mut self) {
        if self.snapshot.take().is_some() {
            self.snapshot_unusable();
        }
        self.learner.handle_disconnected();
    }

    fn snapshot_unusable(&mut self) {
        let now = self.peer.shell.env.now();
        self.learner
            .handle_snapshot_installed(SnapshotOutcome::Unusable, now);
    }

    /// Looks at what has been read, as far as it is wanted now.
    fn handle_input(&mut self) {
        let decoder = PacketDecoder::default();
        while self.end.is_none() {
            if self.snapshot.is_some() {
                if !self.read_snapshot() {
                    return;
                }
                continue;
            }
            if !self.learner.wants_packets() {
                return;
            }
            match decoder.decode(&mut self.input) {
                Ok(Some(packet)) => self.handle_packet(packet),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "the leader has sent what is no packet");
                    self.learner.handle_disconnected();
                }
            }
            self.carry_out();
        }
    }

    fn handle_packet(&mut self, packet: QuorumPacket) {
        let now = self.peer.shell.env.now();
        if packet.packet_type == PacketType::Ping {
            let touched = self
                .peer
                .shell
                .act("telling which sessions live", |zks, _, _| {
                    zks.take_touched().collect::<Vec<_>>()
                });
            for (session, timeout_ms) in touched.into_iter().flatten() {
                self.learner.touch(session, timeout_ms);
            }
        }
        self.learner.handle_packet(packet, now);
    }

    /// Goes on with a snapshot. False when more bytes are needed.
    fn read_snapshot(&mut self) -> bool {
        let Some(Incoming { zxid, reader, .. }) = &mut self.snapshot else {
            return true;
        };
        match reader.feed(&mut self.input) {
            Ok(None) => return false,
            Ok(Some(read)) => {
                let op = DiskOp::Install {
                    zxid: *zxid,
                    tree: Box::new(read.tree),
                    sessions: read.sessions,
                };
                self.peer.disk.ask(op);
            }
            Err(error) => {
                tracing::warn!(%error, "the leader's snapshot cannot be read");
                self.snapshot_unusable();
            }
        }
        self.snapshot = None;
        true
    }

    fn handle_done(&mut self, done: DiskDone) {
        let now = self.peer.shell.env.now();
        match done {
            DiskDone::Appended(zxid) => self.learner.handle_appended(zxid, now),
            DiskDone::EpochPersisted(file) => self.learner.handle_epoch_persisted(file, now),
            DiskDone::Truncated(Some(recovered)) => {
                self.peer.replace(*recovered);
                self.learner
                    .handle_truncated(TruncateOutcome::Truncated, now);
            }
            DiskDone::Truncated(None) => {
                self.learner
                    .handle_truncated(TruncateOutcome::NoSuchTransaction, now);
            }
            DiskDone::Installed(recovered) => {
                self.peer.replace(*recovered);
                self.learner
                    .handle_snapshot_installed(SnapshotOutcome::Installed, now);
            }
            DiskDone::LogRead { learner, log } => {
                // Else for a learner of a role before this one.
                if let Some(master) = &mut self.master {
                    master.machine.handle_log_read(learner, log, now);
                }
            }
        }
    }

    /// Does what the learner asks for, in order.
    fn carry_out(&mut self) {
        loop {
            while let Some(output) = self.learner.poll_output() {
                self.carry_out_one(output);
            }
            self.commit();
            // What observers ask for may be for the learner to say.
            if !self.carry_out_mastering() {
                return;
            }
        }
    }

    fn carry_out_one(&mut self, output: LearnerOutput) {
        match output {
            LearnerOutput::Send(packet) => {
                if !self.outbound.send(packet) {
                    self.learner.handle_disconnected();
                }
            }
            LearnerOutput::PersistEpoch { file, epoch } => self.peer.persist_epoch(file, epoch),
            LearnerOutput::Truncate { zxid } => self.peer.disk.ask(DiskOp::Truncate(zxid)),
            LearnerOutput::InstallSnapshot { zxid } => {
                let limit = PacketDecoder::DEFAULT_LIMIT;
                let reader = WireSnapshotReader::new(zxid, self.peer.hashing, limit);
                let deadline = self.peer.shell.env.now() + self.peer.timing.init_time();
                self.snapshot = Some(Incoming {
                    zxid,
                    reader,
                    deadline,
                });
            }
            LearnerOutput::Append(proposal) => match decode_txn(&proposal.payload) {
                Ok(txn) => self.peer.append(proposal, Some(txn)),
                Err(error) => {
                    tracing::error!(zxid = %proposal.zxid, %error, "the leader's transaction cannot be read");
                    self.end = Some(RoleEnd::Broken);
                }
            },
            LearnerOutput::Commit(proposal) => {
                if let Some(master) = &mut self.master {
                    let now = self.peer.shell.env.now();
                    master.machine.handle_committed(proposal.clone(), now);
                }
                match self.peer.committed(proposal) {
                    Some(txn) => self.to_commit.push(txn),
                    None => self.end = Some(RoleEnd::Broken),
                }
            }
            LearnerOutput::ConfigProposed(text) | LearnerOutput::NewConfig(text) => {
                self.peer.see_config(&text);
            }
            LearnerOutput::Activate { config, leader } => {
                self.commit();
                self.peer.activate_config(&config);
                if let (Some(master), Some(leader)) = (&mut self.master, leader) {
                    let config = self.peer.membership.committed.clone();
                    let now = self.peer.shell.env.now();
                    master.machine.handle_activated(config, leader, now);
                }
            }
            LearnerOutput::Established { epoch } => self.established(epoch),
            LearnerOutput::Synced => self.synced(),
            LearnerOutput::Revalidated(answer) => {
                self.commit();
                let asker = self.master.as_mut();
                let asker = asker.map_or(Asker::Own, |m| m.machine.handle_revalidated(answer));
                self.revalidated(asker, answer);
            }
            LearnerOutput::ShutDown(reason) => {
                if let LearnerShutdown::CannotTruncate(_) = reason {
                    self.peer.wants_snapshot = true;
                }
                self.end.get_or_insert(RoleEnd::Learned(reason));
            }
        }
    }

    fn commit(&mut self) {
        if self.to_commit.is_empty() {
            return;
        }
        let txns = std::mem::take(&mut self.to_commit);
        let last = txns.last().map(|txn| txn.header.zxid);
        let differs = self
            .peer
            .shell
            .act("committing what the leader says", |zks, now, _| {
                for txn in txns {
                    zks.handle_learned(txn, now);
                }
                zks.digest_mismatch()
            });
        if let (Some(zxid), Some(last)) = (differs.flatten(), last) {
            self.fence(zxid, last);
        }
    }

    /// The tree is not the leader's, for whatever reason: nobody may read it any more, and it is
    /// made anew from the disk, as after a restart. Apache goes on and only tells. (A snapshot of
    /// the leader's would replace a log of which the leader may count that we have it.)
    fn fence(&mut self, zxid: Zxid, committed: Zxid) {
        let logged = self.peer.logged.back();
        let last = logged.map_or(committed, |logged| logged.proposal.zxid);
        self.peer.disk.ask(DiskOp::Truncate(last));
        self.peer
            .shell
            .env
            .probe()
            .reached("ensemble: fenced itself off");
        self.end.get_or_insert(RoleEnd::TreeDiffers(zxid));
    }

    fn established(&mut self, epoch: i64) {
        self.commit();
        let first = Zxid(epoch << 32);
        self.peer
            .shell
            .act("beginning to follow", |zks, _, _| zks.learn(first));
        self.peer.established(epoch);
        self.master_due = Some(epoch);
    }

    fn synced(&mut self) {
        self.commit();
        let now = self.peer.shell.env.now();
        let asker = self.master.as_mut();
        let asker = asker.map_or(Asker::Own, |master| master.machine.handle_synced(now));
        if asker == Asker::Own {
            self.peer
                .shell
                .act("answering a sync", |zks, _, _| zks.handle_synced());
        }
    }

    fn revalidated(&self, asker: Asker, answer: Revalidated) {
        match asker {
            Asker::Own => {
                self.peer.shell.act("renewing a session", |zks, now, _| {
                    zks.handle_revalidated(answer.session, answer.is_valid, now);
                });
            }
            // The leader knows that the session is ours and not that it has moved.
            Asker::Observer(_) if answer.is_valid => {
                self.peer.shell.drop_connections(Some(answer.session));
            }
            Asker::Observer(_) => {}
        }
    }

    /// Hands on what clients want of the leader.
    fn forward_all(&mut self) {
        let upstream = self
            .peer
            .shell
            .act("handing requests to the leader", |zks, _, _| {
                std::iter::from_fn(|| zks.poll_upstream()).collect::<Vec<_>>()
            });
        for next in upstream.into_iter().flatten() {
            match next {
                Upstream::Request(request) => {
                    if let Some(master) = &mut self.master
                        && request.op == i32::from(OpCode::Sync)
                    {
                        master.machine.note_sync();
                    }
                    self.learner.forward(request);
                }
                Upstream::Revalidate {
                    session,
                    timeout_ms,
                } => {
                    if let Some(master) = &mut self.master {
                        master.machine.note_revalidation(session);
                    }
                    self.learner.revalidate(session, timeout_ms);
                }
            }
            self.carry_out();
        }
    }
}

/// For observers, if this peer is an observer master.
impl Learning<'_> {
    /// Opens the port for observers once that is due. Without it they find another master.
    async fn begin_mastering(&mut self) {
        let Some(epoch) = self.master_due.take() else {
            return;
        };
        if !self.peer.serves_observers() {
            return;
        }
        match Master::begin(self.peer, epoch, self.tasks.clone()).await {
            Ok(master) => self.master = Some(master),
            Err(error) => tracing::error!(%error, "cannot listen for observers"),
        }
    }

    fn handle_event(&mut self, event: Event) {
        let Some(master) = &mut self.master else {
            return;
        };
        match event {
            Event::Connected(stream, addr) => {
                let learner = self.peer.next_learner_id();
                master.connected(&self.peer.shell, learner, (stream, addr));
            }
            Event::Packet(learner, packet) => {
                let now = self.peer.shell.env.now();
                master.machine.handle_packet(learner, packet, now);
            }
            Event::SnapshotProgressed(learner) => {
                let now = self.peer.shell.env.now();
                master.machine.handle_snapshot_progressed(learner, now);
            }
            Event::SnapshotSent(learner) => {
                let now = self.peer.shell.env.now();
                master.machine.handle_snapshot_progressed(learner, now);
                master.snapshot_sent(learner);
            }
            Event::Lost(learner) => master.lost(learner),
        }
    }

    /// Does what the master asks for, in order. False if that is nothing.
    fn carry_out_mastering(&mut self) -> bool {
        let mut has_done = false;
        while let Some(master) = &mut self.master
            && let Some(output) = master.machine.poll_output()
        {
            has_done = true;
            self.carry_out_for_observers(output);
        }
        if let Some(master) = &mut self.master {
            master.show(&self.peer.shell);
        }
        has_done
    }

    fn carry_out_for_observers(&mut self, output: ObserverMasterOutput) {
        let Some(master) = &mut self.master else {
            return;
        };
        match output {
            ObserverMasterOutput::Send { to, packet } => {
                let has_progressed = packet.packet_type == PacketType::UpToDate;
                master.send(to, packet);
                if has_progressed {
                    master.note_progress();
                }
            }
            ObserverMasterOutput::SendSnapshot { to, zxid } => master.send_snapshot(to, zxid),
            ObserverMasterOutput::ReadLog {
                learner,
                from,
                through,
            } => self.peer.disk.ask(DiskOp::ReadLog {
                learner,
                from,
                through,
            }),
            ObserverMasterOutput::Close { learner, loss } => master.close(learner, &loss),
            ObserverMasterOutput::Forward(request) => self.learner.forward(request),
            ObserverMasterOutput::Revalidate(question) => self
                .learner
                .revalidate(question.session, question.timeout_ms),
            ObserverMasterOutput::Touched(touches) => {
                for touch in touches {
                    self.learner.touch(touch.session, touch.timeout_ms);
                }
            }
        }
    }
}

/// Dials until it works; the budget is that of the learner for the whole beginning. Whom it
/// has reached: the leader, or an observer master.
async fn connect(
    peer: &Peer,
    leader: ServerId,
    learner_type: LearnerType,
) -> Result<(BoxStream, ServerId), RoleEnd> {
    let shell = Arc::clone(&peer.shell);
    let deadline = shell.env.now() + peer.connect_time();
    let stopped = peer.stopped.clone();
    let mut timer = shell.env.timer();
    let dialed = tokio::select! {
        biased;
        () = stopped.cancelled() => return Err(RoleEnd::Stopped),
        dialed = dial_any(peer, leader, learner_type) => dialed,
        () = sleep_until(&mut *timer, deadline) => return Err(RoleEnd::Unreachable),
    };
    dialed.ok_or(RoleEnd::Unreachable)
}

/// An observer goes to a master, if there are any, and to the leader if there is none that
/// accepts it.
async fn dial_any(
    peer: &Peer,
    leader: ServerId,
    learner_type: LearnerType,
) -> Option<(BoxStream, ServerId)> {
    let shell = &peer.shell;
    if learner_type == LearnerType::Observer && peer.has_observer_masters() {
        let mut rng = shell.env.rng("zk-server observer masters");
        let verifier = &peer.membership.committed;
        let masters = observer_master::masters(verifier, leader, peer.last_master, &mut rng);
        let mut addrs = Vec::new();
        for id in masters {
            addrs.extend(peer.observer_addrs(id).into_iter().map(|addr| (id, addr)));
        }
        if let Some(found) = dial_masters(peer, &addrs).await {
            return Some(found);
        }
        tracing::warn!("no observer master can be reached, observing the leader");
    }
    let stream = dial(shell, &peer.quorum_addrs(leader)).await?;
    Some((stream, leader))
}

/// Masters begin to listen once they follow, which may be a moment from now.
async fn dial_masters(
    peer: &Peer,
    masters: &[(ServerId, HostPort)],
) -> Option<(BoxStream, ServerId)> {
    let env = &peer.shell.env;
    let mut timer = env.timer();
    let mut pause = FIRST_DIAL_PAUSE;
    let patience = env.now() + REFUSAL_LIMIT;
    while !masters.is_empty() && env.now() <= patience {
        for (master, addr) in masters {
            let until = env.now() + peer.config.settings.cnx_timeout.min(REFUSAL_LIMIT);
            let dialed = tokio::select! {
                biased;
                dialed = dial_one(&**env, addr) => dialed,
                () = sleep_until(&mut *timer, until) => Err(io::ErrorKind::TimedOut.into()),
            };
            match dialed {
                Ok(stream) => return Some((stream, *master)),
                Err(error) => tracing::debug!(%addr, %error, "cannot dial an observer master"),
            }
        }
        sleep_until(&mut *timer, env.now() + pause).await;
        pause = LAST_DIAL_PAUSE.min(pause * 2);
    }
    None
}

/// Nothing if the leader has refused for long.
async fn dial(shell: &Shell, addrs: &[HostPort]) -> Option<BoxStream> {
    let mut timer = shell.env.timer();
    let mut pause = FIRST_DIAL_PAUSE;
    let patience = shell.env.now() + REFUSAL_LIMIT;
    loop {
        let mut is_refused = true;
        for addr in addrs {
            match dial_one(&*shell.env, addr).await {
                Ok(stream) => return Some(stream),
                Err(error) => {
                    tracing::debug!(%addr, %error, "cannot dial the leader");
                    is_refused &= error.kind() == io::ErrorKind::ConnectionRefused;
                }
            }
        }
        if is_refused && shell.env.now() > patience {
            return None;
        }
        sleep_until(&mut *timer, shell.env.now() + pause).await;
        pause = LAST_DIAL_PAUSE.min(pause * 2);
    }
}

/// A name is looked up with every dial.
async fn dial_one(env: &dyn Env, addr: &HostPort) -> io::Result<BoxStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for addr in env.resolve(&addr.host, addr.port).await? {
        match env.connect(addr).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
