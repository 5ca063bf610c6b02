//! Leadership as a call: whoever is selected works for one term, and may stand again.
//!
//! ```text
//! <path>/_c_<uuid>-lock-<sequence>     ephemeral sequential, data: the participant's id
//! ```
//!
//! The lowest sequence leads; each other participant watches the one ahead of it. These are
//! a mutex's names: a [`Mutex`](crate::Mutex) on the same path takes part, with its own
//! data for an id. A leader latch's `latch-` names have no say here, nor the other way round.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client};

use super::election::{Election, Participant};
use crate::contender::{Entry, pause};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::layout::{Layout, Role};
use crate::ownership::Why;
use crate::parents;
use crate::proof::Proof;
use crate::scope::{Ended, Policy, Term};

/// An election in which leading is a call that returns; Curator's `LeaderSelector` on the wire.
///
/// An election is a future: it is electing, it is working, or it has returned, and dropping
/// it is leaving. [`lead`](Self::lead) is one term. [`lead_again`](Self::lead_again) is one after
/// the other, with a place at the end of the line after each, so that all who take part get
/// their turn.
///
/// | | |
/// |---|---|
/// | who wins | the lowest sequence; first come, first served |
/// | wakes per resignation | one |
/// | connection lost while waiting | the place is kept |
/// | connection lost while leading | `InDoubt`; the work goes on or not as the policy says |
/// | session expired while waiting | `Error::EpochEnded`; `lead_again` stands again |
/// | session expired while leading | `Lost(EpochEnded)`; the next in line leads |
/// | cancelled, or a lost reply | no znode stays behind |
/// | token | the czxid of the own znode; rises with every term |
///
/// Both work in a spawned task:
///
/// ```no_run
/// # async fn next_batch(_: &zk_recipes::Term) -> bool { true }
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use std::ops::ControlFlow;
/// use zk_recipes::LeaderSelector;
/// let selector = LeaderSelector::builder(&client, "/services/billing/batch").id("host-7").build()?;
/// let batches = tokio::spawn(async move {
///     let mut terms = 0;
///     selector
///         .lead_again(|term| {
///             terms += 1;
///             let so_far = terms;
///             async move {
///                 let is_last = next_batch(&term).await;
///                 if is_last { ControlFlow::Break(so_far) } else { ControlFlow::Continue(()) }
///             }
///         })
///         .await
/// });
/// println!("led {:?} times", batches.await);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LeaderSelector {
    election: Election,
}

impl LeaderSelector {
    /// An election at `path`.
    pub fn builder(client: &Client, path: &str) -> LeaderSelectorBuilder {
        LeaderSelectorBuilder {
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

    /// Stands for election, runs `work` for one term as far as the builder's policy allows, and
    /// resigns.
    ///
    /// # Errors
    ///
    /// As [`Contender::acquire`](crate::Contender::acquire): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work, if it has begun, and leaves the election; no znode
    /// stays behind.
    pub async fn lead<T>(&self, work: impl AsyncFnOnce(Term) -> T) -> Result<Ended<T>, Error> {
        self.election.lead(work).await
    }

    /// Runs `work` term after term, until it breaks, and gives what it broke with. After each
    /// term, after a lost leadership, a deadline and an expired session it stands again, at the end
    /// of the line.
    ///
    /// `work` is called once per term. It is not an `AsyncFnMut`, whose futures the compiler
    /// cannot yet see to be `Send` in a spawned task; an `async` closure that changes
    /// what it captures does not fit, one that moves it into each term's future does.
    ///
    /// # Errors
    ///
    /// What standing again does not cure: no permission, a closed client. The work is not
    /// running then.
    ///
    /// # Cancel safety
    ///
    /// As [`lead`](Self::lead).
    pub async fn lead_again<T, F>(&self, mut work: impl FnMut(Term) -> F) -> Result<T, Error>
    where
        F: Future<Output = ControlFlow<T>>,
    {
        loop {
            match self.lead(async |term| work(term).await).await {
                Ok(Ended::Finished(ControlFlow::Break(result))) => return Ok(result),
                Ok(Ended::Finished(ControlFlow::Continue(()))) => {}
                // There is no next session to stand in.
                Ok(Ended::Lost(why @ Why::ClientClosed)) => return Err(Error::Lost(why)),
                Ok(Ended::Lost(why)) => {
                    tracing::info!(path = self.path(), %why, "stands for election again");
                }
                Err(error) if error.is_retryable() => {
                    tracing::debug!(path = self.path(), %error, "stands for election again");
                    pause(&self.election.client).await;
                }
                Err(error) => return Err(error),
            }
        }
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
}

/// Options of a [`LeaderSelector`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct LeaderSelectorBuilder {
    client: Client,
    path: String,
    id: String,
    dialect: Dialect,
    acl: Option<Vec<Acl>>,
    deadline: Option<Duration>,
    policy: Policy,
    proof: Option<Proof>,
}

impl LeaderSelectorBuilder {
    /// What this participant calls itself, for those who ask who leads. Default: nothing.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Whose names are written and respected. Default: Curator's; kazoo's are those of its
    /// `Election`.
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The ACL of the participants' znodes; whoever takes part needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// How long to wait for each term. Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// When the work of a term stops. Default: [`Policy::OnSuspend`], as Curator's
    /// `LeaderSelectorListenerAdapter`.
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
    pub fn build(self) -> Result<LeaderSelector, Error> {
        parents::check(&self.path)?;
        let layout = Layout::new(self.dialect, Role::Lock)?;
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
        Ok(LeaderSelector { election })
    }
}
