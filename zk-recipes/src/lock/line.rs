//! A line in front of a lock: where, in which names, and what its guards are proven by.

use bytes::Bytes;
use zk_client::{Acl, Client};

use crate::contender::{Contender, Entry};
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::{Layout, Role};
use crate::parents;
use crate::proof::Proof;

/// One role of one lock.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) client: Client,
    pub(super) path: String,
    pub(super) entry: Entry,
    pub(super) proof: Option<Proof>,
}

/// What all lines of one lock have in common.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) client: Client,
    pub(super) dialect: Dialect,
    pub(super) data: Bytes,
    pub(super) acl: Option<Vec<Acl>>,
    pub(super) proof: Option<Proof>,
}

impl Terms {
    pub(super) fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            dialect: Dialect::default(),
            data: Bytes::new(),
            acl: None,
            proof: None,
        }
    }

    /// The line at `path` for a role.
    ///
    /// # Errors
    ///
    /// The path cannot hold contenders, or the dialect has no names for the role.
    pub(super) fn line(&self, path: &str, role: Role) -> Result<Line, Error> {
        parents::check(path)?;
        let entry = Entry {
            layout: Layout::new(self.dialect, role)?,
            data: self.data.clone(),
            acl: self.acl.clone(),
        };
        Ok(Line {
            client: self.client.clone(),
            path: path.to_owned(),
            entry,
            proof: self.proof,
        })
    }
}

impl Line {
    pub(super) async fn contend(&self, deadline: Deadline) -> Result<Contender, Error> {
        Contender::acquire(&self.client, &self.path, &self.entry, deadline).await
    }

    pub(super) async fn try_contend(&self, deadline: Deadline) -> Result<Option<Contender>, Error> {
        Contender::try_acquire(&self.client, &self.path, &self.entry, deadline).await
    }

    pub(super) async fn acquire(&self, deadline: Deadline) -> Result<Guard, Error> {
        Ok(self.contend(deadline).await?.own(self.proof))
    }

    pub(super) async fn try_acquire(&self, deadline: Deadline) -> Result<Option<Guard>, Error> {
        let contender = self.try_contend(deadline).await?;
        Ok(contender.map(|contender| contender.own(self.proof)))
    }
}
