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
use zk_client::{Acl, Client};

use super::candidate::Candidate;
use super::election::{Campaign, Election, Participant};
use crate::contender::Entry;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::{Layout, Role};
use crate::ownership::Ownership;
use crate::parents;
use crate::proof::Proof;
use crate::scope::{Ended, Policy, Term};

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
/// | planned handover | to a named participant, see [`hand_over`](Self::hand_over) |
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
    election: Election,
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
    /// As [`Contender::acquire`](crate::Contender::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line; no znode stays behind.
    pub async fn campaign(&self) -> Result<Guard, Error> {
        self.election.campaign().await
    }

    /// Stands for election and waits for leadership, `limit` at most.
    ///
    /// # Errors
    ///
    /// As [`campaign`](Self::campaign); `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `campaign`.
    pub async fn campaign_within(&self, limit: Duration) -> Result<Guard, Error> {
        self.election.campaign_within(Some(limit)).await
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
        self.election.lead(work).await
    }

    /// Stands for election in the background until it is closed, in each session anew.
    pub fn start(&self) -> Candidate {
        Candidate::start(self.clone())
    }

    /// Hands leadership over to the first participant in line that calls itself `to`: those
    /// ahead of it go to the end of the line, by new znodes so that tokens still rise, and then
    /// this leader leaves. Nobody leads for as long as one notification takes, never for a
    /// session timeout.
    ///
    /// Meanwhile the leader's znode holds the request below its id, where other libraries that
    /// ask who leads see it.
    ///
    /// # Errors
    ///
    /// With the leadership, which goes on: `HandoverRefused` if nobody of that name is in
    /// line, or if somebody ahead of it has not made way `within` the time, as participants of
    /// other libraries never do. Those that have stay behind it.
    ///
    /// With the guard of a leadership that has ended: `Lost`. As [`Guard::release`], with no
    /// guard, once the way was clear.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the guard: the leader resigns, to whoever is next then.
    pub async fn hand_over(
        &self,
        guard: Guard,
        to: &str,
        within: Duration,
    ) -> Result<(), (Option<Guard>, Error)> {
        match self.make_way(&guard, to, within).await {
            Ok(_) => guard.release().await.map_err(|error| (None, error)),
            Err(error) => Err((Some(guard), error)),
        }
    }

    /// The first half of [`hand_over`](Self::hand_over), for work in a term: has that
    /// participant next in line. The work that then returns hands over to it.
    ///
    /// ```no_run
    /// # async fn shut_down() {}
    /// # async fn example(latch: zk_recipes::LeaderLatch) -> Result<(), zk_recipes::Error> {
    /// use std::time::Duration;
    /// let ended = latch.lead(async |term| {
    ///     let next = latch.make_way(&term, "host-9", Duration::from_secs(5)).await;
    ///     shut_down().await;
    ///     next
    /// });
    /// println!("{:?}", ended.await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As `hand_over`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the request back; who has made way by then stays behind.
    pub async fn make_way(
        &self,
        leadership: &Ownership,
        to: &str,
        within: Duration,
    ) -> Result<Participant, Error> {
        self.election.make_way(leadership, to, within).await
    }

    /// Who takes part, in line, the leader first. Somebody may come or go while it is read, and
    /// a server may lag behind: [`Client::sync`] first tells of everything before.
    ///
    /// # Errors
    ///
    /// The server's verdict, or the connection is lost for too long. A path without an
    /// election has no participants.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        self.election.participants().await
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
        &self.election.id
    }

    /// The election's znode, the parent of the participants.
    pub fn path(&self) -> &str {
        &self.election.path
    }

    pub(super) async fn campaign_unless<S>(
        &self,
        stop: &mut (impl Future<Output = S> + Unpin),
    ) -> Result<Campaign<S>, Error> {
        self.election.campaign_unless(stop).await
    }

    pub(super) const fn client(&self) -> &Client {
        &self.election.client
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
        let election = Election {
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
        };
        Ok(LeaderLatch { election })
    }
}
