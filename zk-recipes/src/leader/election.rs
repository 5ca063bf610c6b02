//! What latch and selector have in common: a line of candidates, the first of which leads.

use std::time::Duration;

use zk_client::Client;

use super::handover;
use crate::contender::{Acquired, Contender, Entry};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::guard::Guard;
use crate::lock::in_line::in_line;
use crate::proof::Proof;
use crate::scope::{Ended, Policy, Term};

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

/// How a campaign ended.
pub(super) enum Campaign<S> {
    Won(Guard),
    /// It was stopped, and this came of leaving the line.
    Stopped(S, Result<(), Error>),
}

/// One participant's side of an election.
#[derive(Clone, Debug)]
pub(super) struct Election {
    pub(super) client: Client,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) entry: Entry,
    pub(super) deadline: Option<Duration>,
    pub(super) policy: Policy,
    pub(super) proof: Option<Proof>,
}

impl Election {
    pub(super) async fn campaign(&self) -> Result<Guard, Error> {
        self.campaign_within(self.deadline).await
    }

    pub(super) async fn campaign_within(&self, limit: Option<Duration>) -> Result<Guard, Error> {
        let deadline = Deadline::optional(&self.client, limit);
        let contender = Contender::acquire(&self.client, &self.path, &self.entry, deadline).await?;
        Ok(self.leads(contender))
    }

    /// Campaigns until `stop` is ready, and then leaves the line.
    pub(super) async fn campaign_unless<S>(
        &self,
        stop: &mut (impl Future<Output = S> + Unpin),
    ) -> Result<Campaign<S>, Error> {
        let deadline = Deadline::optional(&self.client, self.deadline);
        let acquired =
            Contender::acquire_unless(&self.client, &self.path, &self.entry, deadline, stop);
        Ok(match acquired.await? {
            Acquired::Mine(contender) => Campaign::Won(self.leads(contender)),
            Acquired::Stopped(stopped, None) => Campaign::Stopped(stopped, Ok(())),
            Acquired::Stopped(stopped, Some(place)) => match place.leave().await {
                // The place has gone with its session.
                Err(Error::EpochEnded) => Campaign::Stopped(stopped, Ok(())),
                left => Campaign::Stopped(stopped, left),
            },
        })
    }

    fn leads(&self, contender: Contender) -> Guard {
        tracing::info!(path = contender.path(), id = self.id, "leading");
        contender.own(self.proof)
    }

    pub(super) async fn lead<T>(
        &self,
        work: impl AsyncFnOnce(Term) -> T,
    ) -> Result<Ended<T>, Error> {
        let guard = self.campaign().await?;
        Ok(guard.run(self.policy, work).await)
    }

    /// Who takes part, in line.
    pub(super) async fn participants(&self) -> Result<Vec<Participant>, Error> {
        let line = in_line(&self.client, &self.path, &self.entry.layout).await?;
        let mut participants = Vec::with_capacity(line.len());
        for one in line {
            participants.push(Participant {
                id: String::from_utf8_lossy(handover::id_of(&one.data)).into_owned(),
                is_leader: participants.is_empty(),
                path: one.path,
            });
        }
        Ok(participants)
    }
}
