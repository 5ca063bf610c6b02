//! One of many participants leads until it resigns or fails.
//!
//! ```text
//! <path>/_c_<uuid>-latch-<sequence>     ephemeral sequential, data: the participant's id
//! ```
//!
//! The lowest sequence leads; each other participant watches the one ahead of it. A
//! leader selector's `lock-` names on the same path have no say here, nor the other way
//! round.

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client, ErrorCode, RetryPolicy};
use zk_proto::path;

use super::candidate::Candidate;
use crate::contender::{Contender, Entry};
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::{Layout, Role};
use crate::parents;
use crate::proof::Proof;
use crate::scope::{Ended, Policy, Term};

/// Attempts of a read that tells who takes part.
const READ_ATTEMPTS: u32 = 10;

/// An election in which the first to come leads until it resigns, its session expires, or
/// its znode is deleted; Curator's `LeaderLatch` on the wire.
///
/// An election is a future: it is electing, or it has returned. [`lead`](Self::lead) is one term,
/// [`campaign`](Self::campaign) the same with a guard in hand, and [`start`](Self::start) stands for
/// election until it is closed, through any number of sessions.
///
/// | | |
/// |---|---|
/// | who wins | the lowest sequence; first come, first served |
/// | wakes per resignation | one |
/// | connection lost while waiting | the place is kept |
/// | connection lost while leading | `InDoubt`; the work goes on or not as the policy says |
/// | session expired while waiting | `Error::EpochEnded`; `start` stands again |
/// | session expired while leading | `Lost(EpochEnded)`; the next in line leads |
/// | cancelled, or a lost reply | no znode stays behind |
/// | token | the czxid of the own znode; rises with every term |
///
/// ```no_run
/// # async fn serve(_: zk_recipes::Term) {}
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{Ended, LeaderLatch};
/// let latch = LeaderLatch::builder(&client, "/services/billing/leader").id("host-7").build()?;
/// match latch.lead(async |term| serve(term).await).await? {
///     Ended::Finished(()) => println!("resigned"),
///     Ended::Lost(why) => println!("not the leader any more: {why}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LeaderLatch {
    client: Client,
    path: String,
    id: String,
    entry: Entry,
    deadline: Option<Duration>,
    policy: Policy,
    proof: Option<Proof>,
}

/// Somebody who takes part in an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// As it calls itself; not necessarily unique.
    pub id: String,
    /// Its znode.
    pub path: String,
    /// Whether its turn had come when the children were read.
    pub is_leader: bool,
}

impl LeaderLatch {
    /// An election at `path`.
    pub fn builder(client: &Client, path: &str) -> LeaderLatchBuilder {
        LeaderLatchBuilder {
            client: client.clone(),
            path: path.to_owned(),
            id: String::new(),
            dialect: Dialect::default(),
            acl: None,
            deadline: None,
            policy: Policy::OnSuspend,
            proof: None,
        }
    }

    /// Stands for election and waits for leadership.
    ///
    /// # Errors
    ///
    /// As [`Contender::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line; no znode stays behind.
    pub async fn campaign(&self) -> Result<Guard, Error> {
        let deadline = Deadline::optional(&self.client, self.deadline);
        let contender = Contender::acquire(&self.client, &self.path, &self.entry, deadline).await?;
        tracing::info!(path = contender.path(), id = self.id, "leading");
        Ok(contender.own(self.proof))
    }

    /// Stands for election, runs `work` for one term as far as the builder's policy allows, and
    /// resigns.
    ///
    /// # Errors
    ///
    /// As [`campaign`](Self::campaign): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and resigns.
    pub async fn lead<T>(&self, work: impl AsyncFnOnce(Term) -> T) -> Result<Ended<T>, Error> {
        let guard = self.campaign().await?;
        Ok(guard.run(self.policy, work).await)
    }

    /// Stands for election in the background until it is closed, in each session anew.
    pub fn start(&self) -> Candidate {
        Candidate::start(self.clone())
    }

    /// Who takes part, in line, the leader first. Somebody may come or go while it is read.
    ///
    /// # Errors
    ///
    /// The server's verdict, or the connection is lost for too long. A path without an
    /// election has no participants.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        let idempotent = self.client.retrying(RetryPolicy::new(READ_ATTEMPTS));
        let children = idempotent.run(|client| client.get_children(&self.path, None));
        let children = match children.await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Vec::new()),
            children => children?,
        };
        let mut participants = Vec::new();
        for place in self.entry.layout.contenders(&children) {
            let path = path::join(&self.path, place.name);
            match idempotent.run(|client| client.get_data(&path, None)).await {
                Ok((id, _)) => participants.push(Participant {
                    id: String::from_utf8_lossy(&id).into_owned(),
                    is_leader: participants.is_empty(),
                    path,
                }),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(participants)
    }

    /// Who leads, if anybody takes part.
    ///
    /// # Errors
    ///
    /// As [`participants`](Self::participants).
    pub async fn leader(&self) -> Result<Option<Participant>, Error> {
        Ok(self.participants().await?.into_iter().next())
    }

    /// What this participant calls itself.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The election's znode, the parent of the participants.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }
}

/// Options of a [`LeaderLatch`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct LeaderLatchBuilder {
    client: Client,
    path: String,
    id: String,
    dialect: Dialect,
    acl: Option<Vec<Acl>>,
    deadline: Option<Duration>,
    policy: Policy,
    proof: Option<Proof>,
}

impl LeaderLatchBuilder {
    /// What this participant calls itself, for those who ask who leads. Default: nothing.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Whose names are written and respected: Curator's, the default, kazoo's (whose `Election`
    /// uses its lock's names), or `Any`.
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The ACL of the participants' znodes; whoever takes part needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// How long to wait for leadership. Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// When the work of a term stops. Default: [`Policy::OnSuspend`], as Curator's standard
    /// policy.
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What leadership is proven by. Default: what suits the server, see [`Proof`].
    pub const fn proof(mut self, proof: Proof) -> Self {
        self.proof = Some(proof);
        self
    }

    /// The election.
    ///
    /// # Errors
    ///
    /// The path cannot hold an election, or the dialect has none.
    pub fn build(self) -> Result<LeaderLatch, Error> {
        parents::check(&self.path)?;
        let layout = Layout::new(self.dialect, Role::Latch)?;
        let data = Bytes::copy_from_slice(self.id.as_bytes());
        Ok(LeaderLatch {
            entry: Entry {
                layout,
                data,
                acl: self.acl,
            },
            client: self.client,
            path: self.path,
            id: self.id,
            deadline: self.deadline,
            policy: self.policy,
            proof: self.proof,
        })
    }
}
