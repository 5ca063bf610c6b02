//! What a server is in its ensemble, and what changes when that changes.

use tracing::info;
use zk_env::Mono;
use zk_proto::{SessionId, Zxid};

use super::commit::{InFlight, Proposal};
use super::{ZooKeeperServer, id_origin};
use crate::quorum::{ForwardedRequest, Membership};
use crate::session::{Expiring, SessionIds, Sessions, Strangers};
use crate::storage::Recovered;
use crate::tree::DataTree;
use crate::txn::{Txn, TxnBody};

/// Who decides what becomes of requests and when sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// This server, alone.
    Standalone,
    /// Nobody: clients are not served.
    Looking,
    /// This server, for all of the ensemble.
    Leader,
    /// Another one, to which requests are forwarded.
    Learner,
    /// Nobody: clients that can do with that read what is here.
    ReadOnly,
}

impl Role {
    /// Whether sessions expire here and containers are reaped.
    pub(super) const fn decides(self) -> bool {
        match self {
            Self::Standalone | Self::Leader => true,
            Self::Looking | Self::Learner | Self::ReadOnly => false,
        }
    }

    pub(super) const fn expiring(self) -> Expiring {
        if self.decides() {
            Expiring::All
        } else {
            Expiring::Local
        }
    }
}

/// What a learner has for its leader, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// A client's request.
    Request(ForwardedRequest),
    /// A client presents this session here.
    Revalidate {
        /// Which.
        session: SessionId,
        /// The timeout it is granted, in milliseconds.
        timeout_ms: i32,
    },
}

/// The life of a peer: roles begin and end, and the tree goes on.
impl ZooKeeperServer {
    /// A member of an ensemble, with no role yet. `server_id` makes its sessions' ids.
    pub(crate) fn in_ensemble(mut self, server_id: u8, wall_ms: i64, seed: u64) -> Self {
        self.role = Role::Looking;
        self.session_ids = SessionIds::new(server_id, id_origin(wall_ms, seed));
        self.in_flight = InFlight::deferred();
        self
    }

    /// The epoch `first_zxid` begins is established, and this server leads it. Every
    /// session gets its full timeout: none ends because of an election.
    pub(crate) fn lead(&mut self, first_zxid: Zxid, now: Mono) {
        self.role = Role::Leader;
        let strangers = Strangers::of_leader(self.local_sessions, self.session_ids.server());
        self.sessions.set_strangers(strangers);
        self.prep.resume_after(first_zxid);
        self.prep.predict_digests();
        self.tree.set_last_processed(first_zxid);
        self.handle_restarted(now);
    }

    /// This server has the history of the epoch that `first_zxid` begins, and serves.
    pub(crate) fn learn(&mut self, first_zxid: Zxid) {
        self.role = Role::Learner;
        self.digest_mismatch = None;
        // As its leader does. A client that has been told of this zxid by another member
        // must not be told of a smaller one here, and there is nothing in between.
        if self.tree.last_processed() < first_zxid {
            self.tree.set_last_processed(first_zxid);
        }
    }

    /// The role is over. Connections have been closed before. Nothing that was under way
    /// has become of anything yet; what of it is in the log comes by
    /// [`catch_up`](Self::catch_up).
    pub(crate) fn end_role(&mut self, now: Mono) {
        self.role = Role::Looking;
        self.in_flight = InFlight::deferred();
        self.prep.set_membership(None);
        self.waiting.clear();
        self.upstream.clear();
        self.upstream_bytes = 0;
        self.syncs.clear();
        self.revalidating.clear();
        self.touched.clear();
        self.prep.resume_after(self.tree.last_processed());
        self.sessions.forget_uncommitted(now);
    }

    /// Applies what was logged and not committed here: whatever a server has in its log it
    /// votes with (ZOOKEEPER-2845).
    pub(crate) fn catch_up(&mut self, txn: Txn, now: Mono) {
        if let TxnBody::CreateSession { timeout_ms } = &txn.body {
            self.sessions.learn(txn.header.client, *timeout_ms, now);
        }
        // It is not committed: who is told of commits is not told of this.
        let observer = std::mem::take(&mut self.on_transaction);
        self.commit(Proposal::unasked(txn));
        self.on_transaction = observer;
    }

    /// Who is in the ensemble and in step, for reconfigurations to be prepared.
    pub(crate) fn set_membership(&mut self, membership: Option<Membership>) {
        self.prep.set_membership(membership);
    }

    /// The configuration that history says is the newest, proposed or in force.
    pub(crate) fn config_of_history(&self) -> Option<String> {
        let data = self.tree.node(DataTree::CONFIG)?.data.as_deref()?;
        Some(String::from_utf8_lossy(data).into_owned())
    }

    /// What the configuration's znode says from now on.
    pub(crate) fn set_config(&mut self, text: &str, version: i64, wall_ms: i64) {
        self.tree.set_config(text, version, wall_ms);
    }

    /// History has been replaced.
    pub(crate) fn replace(&mut self, recovered: Recovered, now: Mono) {
        info!(zxid = %recovered.last_zxid, "the tree has been replaced");
        self.tree = recovered.tree;
        self.prep.resume_after(recovered.last_zxid);
        self.sessions = Sessions::new(self.tick_time);
        for (session, timeout_ms) in recovered.sessions {
            self.sessions.load(session, timeout_ms, now);
        }
    }
}
