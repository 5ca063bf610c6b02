//! Leading: the quorum port, and everything a [`Leader`] asks for.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::ReadHalf;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zk_env::{BoxStream, Env, Listener, accept, sleep_until};
use zk_proto::Zxid;

use super::disk::{DiskDone, DiskOp};
use super::link::{Event, Outbound, outbound, read_more};
use super::{Peer, RoleEnd, wait_for_notice};
use crate::net::storage::unless;
use crate::net::{Shell, Spawner};
use crate::quorum::packet::{ForwardedRequest, PacketDecoder, PacketType, QuorumPacket};
use crate::quorum::zab::{Leader, LeaderOptions, LeaderOutput, MAX_OUTSTANDING};
use crate::quorum::{HostPort, LearnerId, LearnerView, QuorumVerifier};
use crate::txn::{Txn, TxnBody, encode_txn};

/// Packets of all learners that may wait to be looked at.
pub(super) const MAX_EVENTS: usize = 1024;
/// Events looked at before other tasks get their turn.
const EVENTS_PER_TURN: usize = 256;
/// Transactions taken from the machine at a time.
const TXNS_PER_TURN: usize = 1024;
/// Memory for the payloads of transactions is taken in pieces of this.
const PAYLOAD_BYTES: usize = 64 << 10;
/// What is left of a piece is left alone when it is less than this.
const LEAST_PAYLOAD_BYTES: usize = 1 << 10;
/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One learner's connection.
pub(super) struct Link {
    outbound: Outbound,
    closed: CancellationToken,
    pub(super) addr: SocketAddr,
    /// Wall-clock time, in milliseconds.
    pub(super) established_ms: i64,
    /// NEWLEADER waits here while a snapshot is being written, so that whatever the
    /// snapshot may hold a part of comes before it (ZOOKEEPER-3104).
    is_sending_snapshot: bool,
    new_leader: Option<QuorumPacket>,
}

impl Link {
    /// Starts the tasks that read and write, which tell of what happens by `report`.
    pub(super) fn open(
        shell: &Arc<Shell>,
        tasks: &RoleTasks,
        report: &mpsc::Sender<Event>,
        learner: LearnerId,
        (stream, addr): (BoxStream, SocketAddr),
    ) -> Self {
        tracing::info!(%addr, ?learner, "a learner has connected");
        let (reader, writer) = tokio::io::split(stream);
        let (outbound, writer) = outbound(shell, writer);
        let closed = tasks.ended.child_token();
        let (sent, lost) = (report.clone(), report.clone());
        let write = async move {
            if let Err(error) = writer.run(Some((sent, learner))).await {
                tracing::info!(?learner, %error, "cannot write to a learner");
            }
            let _ = lost.send(Event::Lost(learner)).await;
        };
        tasks.spawn("zk-server learner out", unless(closed.clone(), write));
        let read = read_packets(reader, learner, report.clone());
        tasks.spawn("zk-server learner in", unless(closed.clone(), read));
        Self {
            outbound,
            closed,
            addr,
            established_ms: shell.wall_ms(),
            is_sending_snapshot: false,
            new_leader: None,
        }
    }

    /// Queues a packet. False if the learner does not keep up, or is gone.
    pub(super) fn send(&mut self, packet: QuorumPacket) -> bool {
        if self.is_sending_snapshot && packet.packet_type == PacketType::NewLeader {
            self.new_leader = Some(packet);
            return true;
        }
        self.outbound.send(packet)
    }

    /// Queues a SNAP packet and the tree behind it.
    pub(super) fn send_snapshot(&mut self, zxid: Zxid) {
        self.is_sending_snapshot = true;
        self.outbound.send_snapshot(zxid);
    }

    /// The snapshot has been written: what had to wait for that.
    pub(super) fn snapshot_sent(&mut self) -> Option<QuorumPacket> {
        self.is_sending_snapshot = false;
        self.new_leader.take()
    }

    /// Ends the tasks.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

/// A peer that leads.
pub(super) struct Leading<'p> {
    peer: &'p mut Peer,
    leader: Leader,
    links: BTreeMap<LearnerId, Link>,
    events: mpsc::Receiver<Event>,
    report: mpsc::Sender<Event>,
    tasks: RoleTasks,
    /// The last of the transactions to be committed in the machine, which happens for many
    /// at once.
    to_commit: Option<Zxid>,
    /// What payloads are encoded into.
    payloads: BytesMut,
    /// As many proposals are undecided as may be; the machine has more.
    is_full: bool,
    /// Who is in step has changed, and prep has to know.
    is_membership_stale: bool,
    /// As many `sync`s wait, operators have been told.
    shown_syncs: usize,
    end: Option<RoleEnd>,
}

/// Starts tasks that end with the role.
#[derive(Clone)]
pub(super) struct RoleTasks {
    pub(super) spawner: Spawner,
    pub(super) ended: CancellationToken,
}

impl RoleTasks {
    pub(super) fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = unless(self.ended.clone(), task);
        self.spawner.spawn(name, Box::pin(task));
    }
}

impl<'p> Leading<'p> {
    /// Opens the quorum port.
    ///
    /// # Errors
    ///
    /// It could not be had.
    pub(super) async fn begin(peer: &'p mut Peer, tasks: RoleTasks) -> io::Result<Self> {
        let (report, events) = mpsc::channel(MAX_EVENTS);
        for addr in peer.quorum_listen() {
            let listener = listen(&*peer.shell.env, &addr).await?;
            let accepting = accept_all(listener, Arc::clone(&peer.shell), report.clone());
            tasks.spawn("zk-server quorum accept", accepting);
        }
        let options = LeaderOptions {
            reconfig_enabled: peer.config.settings.reconfig_enabled,
            probe: peer.shell.env.probe(),
            ..LeaderOptions::new(peer.config.id, peer.timing)
        };
        let config = peer.membership.clone();
        let now = peer.shell.env.now();
        let committed = peer.committed_to(peer.history.last_zxid);
        let leader = Leader::new(options, config, peer.history, committed, now);
        Ok(Self {
            peer,
            leader,
            links: BTreeMap::new(),
            events,
            report,
            tasks,
            to_commit: None,
            payloads: BytesMut::new(),
            is_full: false,
            is_membership_stale: true,
            shown_syncs: 0,
            end: None,
        })
    }

    /// Leads until something ends it.
    pub(super) async fn run(mut self) -> RoleEnd {
        let shell = Arc::clone(&self.peer.shell);
        let mut timer = shell.env.timer();
        loop {
            self.carry_out();
            self.tell_prep();
            self.tell_syncs();
            if std::mem::take(&mut self.is_full) {
                self.propose_all();
            }
            if let Some(end) = self.end.take() {
                return end;
            }
            let deadline = self.leader.poll_timeout().unwrap_or(zk_env::Mono::MAX);
            self.peer.tell_voters().await;
            tokio::select! {
                biased;
                () = self.peer.stopped.cancelled() => return RoleEnd::Stopped,
                done = self.peer.disk.done() => match done {
                    Some(done) => self.handle_done(done),
                    None => return RoleEnd::Stopped,
                },
                event = self.events.recv() => self.handle_events(event),
                () = shell.appended.notified() => self.propose_all(),
                notice = wait_for_notice(&mut self.peer.election) => self.peer.handle_notice(notice),
                () = sleep_until(&mut *timer, deadline) => {
                    self.leader.handle_timeout(shell.env.now());
                }
            }
            shell.resumed().await;
        }
    }

    fn handle_done(&mut self, done: DiskDone) {
        let now = self.peer.shell.env.now();
        match done {
            DiskDone::Appended(zxid) => self.leader.handle_appended(zxid),
            DiskDone::EpochPersisted(file) => self.leader.handle_epoch_persisted(file, now),
            DiskDone::LogRead { learner, log } => self.leader.handle_log_read(learner, log, now),
            // Of a role before this one, which has looked at them.
            DiskDone::Truncated(_) | DiskDone::Installed(_) => {}
        }
    }

    fn handle_events(&mut self, first: Option<Event>) {
        let mut next = first;
        for _ in 0..EVENTS_PER_TURN {
            let Some(event) = next else {
                return;
            };
            self.handle_event(event);
            self.carry_out();
            next = self.events.try_recv().ok();
        }
        if let Some(event) = next {
            self.handle_event(event);
        }
    }

    fn handle_event(&mut self, event: Event) {
        let now = self.peer.shell.env.now();
        match event {
            Event::Connected(stream, addr) => self.connected(stream, addr),
            Event::Packet(learner, packet) => {
                if ForwardedRequest::is_sync(&packet) {
                    // Behind what its client has asked for before, or the answer would
                    // come first.
                    self.propose_all();
                }
                self.leader.handle_packet(learner, packet, now);
            }
            Event::SnapshotProgressed(learner) => {
                self.leader.handle_snapshot_progressed(learner, now);
            }
            Event::SnapshotSent(learner) => {
                self.leader.handle_snapshot_progressed(learner, now);
                let link = self.links.get_mut(&learner);
                if let Some(packet) = link.and_then(Link::snapshot_sent) {
                    self.send(learner, packet);
                }
            }
            Event::Lost(learner) => {
                self.is_membership_stale = true;
                self.links.remove(&learner);
                self.leader.handle_learner_lost(learner);
            }
        }
    }

    fn connected(&mut self, stream: BoxStream, addr: SocketAddr) {
        let learner = self.peer.next_learner_id();
        let (shell, tasks) = (&self.peer.shell, &self.tasks);
        let link = Link::open(shell, tasks, &self.report, learner, (stream, addr));
        self.links.insert(learner, link);
        self.leader
            .handle_learner_connected(learner, self.peer.shell.env.now());
    }

    /// Does what the leader asks for, in order.
    ///
    /// A learner hears of a commit once it is applied here. It tells its clients, and what
    /// they have been told, a client of ours must find after a `sync`.
    fn carry_out(&mut self) {
        loop {
            let mut packets = Vec::new();
            while let Some(output) = self.leader.poll_output() {
                match output {
                    LeaderOutput::Send { to, packet } => packets.push((to, packet)),
                    LeaderOutput::SendSnapshot { .. } | LeaderOutput::Close { .. } => {
                        self.send_all(&mut packets);
                        self.carry_out_one(output);
                    }
                    output => self.carry_out_one(output),
                }
            }
            self.commit();
            if packets.is_empty() {
                return;
            }
            self.send_all(&mut packets);
        }
    }

    fn send_all(&mut self, packets: &mut Vec<(LearnerId, QuorumPacket)>) {
        self.commit();
        for (to, packet) in packets.drain(..) {
            self.send(to, packet);
        }
    }

    fn carry_out_one(&mut self, output: LeaderOutput) {
        match output {
            LeaderOutput::Send { to, packet } => self.send(to, packet),
            LeaderOutput::SendSnapshot { to, zxid } => {
                self.commit();
                if let Some(link) = self.links.get_mut(&to) {
                    link.send_snapshot(zxid);
                }
            }
            LeaderOutput::ReadLog {
                learner,
                from,
                through,
            } => self.peer.disk.ask(DiskOp::ReadLog {
                learner,
                from,
                through,
            }),
            LeaderOutput::Close { learner, loss } => {
                tracing::info!(?learner, %loss, "a learner is dropped");
                self.close(learner);
            }
            LeaderOutput::PersistEpoch { file, epoch } => self.peer.persist_epoch(file, epoch),
            LeaderOutput::Append(proposal) => self.peer.append(proposal, None),
            LeaderOutput::Commit(proposal) => {
                self.to_commit = Some(proposal.zxid);
                self.peer.committed(proposal);
            }
            LeaderOutput::ConfigProposed(text) => self.peer.see_config(&text),
            LeaderOutput::Activate { config, .. } => {
                self.commit();
                self.peer.activate_config(&config);
                self.is_membership_stale = true;
            }
            LeaderOutput::Established { epoch } => self.established(epoch),
            LeaderOutput::Request { from, request } => {
                self.commit();
                let stage = "preparing a request of a learner's";
                self.peer.shell.act(stage, |zks, now, wall| {
                    zks.handle_forwarded(from, &request, now, wall);
                });
            }
            LeaderOutput::Touched { sessions, .. } => {
                self.peer
                    .shell
                    .act("prolonging sessions of learners", |zks, now, _| {
                        zks.handle_touched(&sessions, now);
                    });
            }
            LeaderOutput::Revalidate { from, session } => {
                self.commit();
                let stage = "revalidating a session";
                let is_valid = self.peer.shell.act(stage, |zks, now, _| {
                    zks.handle_revalidate(from, session.session, session.timeout_ms, now)
                });
                self.leader
                    .revalidated(from, session.session, is_valid.unwrap_or(false));
            }
            LeaderOutput::ShutDown(reason) => self.end = Some(RoleEnd::Led(reason)),
        }
    }

    /// Who is in the ensemble and in step, where requests are prepared and shown.
    fn tell_prep(&mut self) {
        if !std::mem::take(&mut self.is_membership_stale) {
            return;
        }
        let peer = &self.peer;
        if peer.config.settings.reconfig_enabled && self.leader.is_established() {
            let membership = self
                .leader
                .membership(peer.config.settings.is_standalone_enabled);
            peer.shell.act("telling who is in step", |zks, _, _| {
                zks.set_membership(Some(membership));
            });
        }
        let learners = self.leader.learners();
        let learners = learners.filter_map(|(learner, id, learner_type, is_synced)| {
            let link = self.links.get(&learner)?;
            Some(LearnerView {
                id,
                learner_type,
                is_synced,
                addr: link.addr,
                established_ms: link.established_ms,
            })
        });
        let learners = learners.collect();
        peer.shell.with_view(|view| {
            if let Some(leading) = &mut view.leading {
                leading.learners = learners;
            }
        });
    }

    /// Shows how many `sync`s wait, if that has changed.
    fn tell_syncs(&mut self) {
        let syncs = self.leader.pending_syncs();
        if std::mem::replace(&mut self.shown_syncs, syncs) == syncs {
            return;
        }
        self.peer.shell.with_view(|view| {
            if let Some(leading) = &mut view.leading {
                leading.pending_syncs = syncs;
            }
        });
    }

    fn send(&mut self, to: LearnerId, packet: QuorumPacket) {
        self.is_membership_stale |= packet.packet_type == PacketType::UpToDate;
        let Some(link) = self.links.get_mut(&to) else {
            return;
        };
        if !link.send(packet) {
            tracing::warn!(learner = ?to, "a learner does not keep up, closing its connection");
            self.close(to);
            self.leader.handle_learner_lost(to);
        }
    }

    fn close(&mut self, learner: LearnerId) {
        self.is_membership_stale = true;
        if let Some(link) = self.links.remove(&learner) {
            link.close();
        }
    }

    /// Commits in the machine what is decided, all at once.
    fn commit(&mut self) {
        if let Some(zxid) = self.to_commit.take() {
            self.peer
                .shell
                .act("committing", |zks, _, _| zks.handle_committed(zxid));
        }
    }

    fn established(&mut self, epoch: i64) {
        let first = Zxid(epoch << 32);
        self.peer
            .shell
            .act("beginning to lead", |zks, now, _| zks.lead(first, now));
        self.peer.established(epoch);
        self.is_membership_stale = true;
    }

    /// Proposes what the machine has prepared.
    fn propose_all(&mut self) {
        if !self.leader.is_established() {
            return;
        }
        let shell = Arc::clone(&self.peer.shell);
        loop {
            let room = MAX_OUTSTANDING - self.leader.outstanding();
            self.is_full = room == 0;
            if self.is_full {
                return;
            }
            let mut prepared = Vec::new();
            let payloads = &mut self.payloads;
            shell.take_txns(|txn| {
                prepared.push(Prepared::of(txn, payloads));
                prepared.len() < room.min(TXNS_PER_TURN)
            });
            if prepared.is_empty() {
                return;
            }
            shell.with_view(|view| {
                let sizes = prepared.iter().map(|prepared| prepared.payload.len());
                sizes.for_each(|bytes| view.proposed(bytes as u64));
            });
            for prepared in prepared {
                if !self.propose(prepared) {
                    return;
                }
            }
        }
    }

    /// Prep counts zxids as the leader does; if they should ever differ, going on would
    /// mix transactions up.
    fn propose(&mut self, prepared: Prepared) -> bool {
        let now = self.peer.shell.env.now();
        let payload = |_| prepared.payload;
        let proposed = match prepared.next {
            Some(next) => self.leader.propose_reconfig(next, payload, now),
            None => self.leader.propose(payload, now),
        };
        match proposed {
            Ok(zxid) if zxid == prepared.zxid => {
                self.carry_out();
                true
            }
            Ok(zxid) => {
                tracing::error!(%zxid, prepared = %prepared.zxid, "a transaction got another zxid than it was made for");
                self.end = Some(RoleEnd::Broken);
                false
            }
            Err(error) => {
                tracing::warn!(%error, "a transaction cannot be proposed");
                if !self.leader.has_ended() {
                    // Its zxid is spent, and what comes behind it cannot be proposed.
                    self.end = Some(RoleEnd::Broken);
                }
                false
            }
        }
    }
}

/// A transaction that waits to be proposed.
struct Prepared {
    zxid: Zxid,
    payload: Bytes,
    /// The configuration that comes with it, if it is a reconfiguration.
    next: Option<QuorumVerifier>,
}

impl Prepared {
    fn of(txn: &Txn, payloads: &mut BytesMut) -> Self {
        if payloads.capacity() < LEAST_PAYLOAD_BYTES {
            payloads.reserve(PAYLOAD_BYTES);
        }
        encode_txn(txn, payloads);
        let next = match &txn.body {
            TxnBody::Reconfig(set) => {
                let text = String::from_utf8_lossy(set.data.as_deref().unwrap_or_default());
                // Prep has made it of one.
                QuorumVerifier::parse(&text).ok()
            }
            _ => None,
        };
        Self {
            zxid: txn.header.zxid,
            payload: payloads.split().freeze(),
            next,
        }
    }
}

/// For the log.
impl std::fmt::Display for RoleEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("the server stops"),
            Self::Led(reason) => reason.fmt(f),
            Self::Learned(reason) => reason.fmt(f),
            Self::TreeDiffers(zxid) => {
                write!(
                    f,
                    "the tree was not the leader's at {zxid}, it is read anew"
                )
            }
            Self::NoPort => f.write_str("the quorum port cannot be had"),
            Self::Unreachable => f.write_str("the leader cannot be reached"),
            Self::Broken => f.write_str("a bug of this server's"),
        }
    }
}

pub(super) async fn listen(env: &dyn Env, addr: &HostPort) -> io::Result<Box<dyn Listener>> {
    let found = env.resolve(&addr.host, addr.port).await?;
    let first = found.first().copied();
    let first = first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))?;
    env.bind(first).await
}

pub(super) async fn accept_all(
    mut listener: Box<dyn Listener>,
    shell: Arc<Shell>,
    report: mpsc::Sender<Event>,
) {
    let mut timer = shell.env.timer();
    loop {
        match accept(&mut *listener).await {
            Ok((stream, addr)) => {
                if report.send(Event::Connected(stream, addr)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a learner");
                sleep_until(&mut *timer, shell.env.now() + ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Reads until the connection ends, and says so.
async fn read_packets(
    mut reader: ReadHalf<BoxStream>,
    learner: LearnerId,
    report: mpsc::Sender<Event>,
) {
    if let Err(error) = try_read_packets(&mut reader, learner, &report).await {
        tracing::info!(?learner, %error, "cannot read from a learner");
    }
    let _ = report.send(Event::Lost(learner)).await;
}

async fn try_read_packets(
    reader: &mut ReadHalf<BoxStream>,
    learner: LearnerId,
    report: &mpsc::Sender<Event>,
) -> io::Result<()> {
    let decoder = PacketDecoder::default();
    let mut input = BytesMut::new();
    loop {
        let decoded = decoder.decode(&mut input);
        match decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Some(packet) => {
                let sent = report.send(Event::Packet(learner, packet)).await;
                if sent.is_err() {
                    return Ok(());
                }
            }
            None => {
                if !read_more(reader, &mut input).await? {
                    return Ok(());
                }
            }
        }
    }
}
