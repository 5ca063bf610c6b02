//! Leases as kazoo's semaphore has them.

use zk_client::{Client, CreateMode, CreateOptions, ErrorCode, RetryPolicy, Watcher};
use zk_proto::path;

use super::curator::leave;
use crate::contender::{Contender, EVENTS};
use crate::create_by::create_by;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::Role;
use crate::lock::in_line::{InLine, children, describe};
use crate::lock::line::{Line, Terms};
use crate::ownership::Why;

/// As long as the caller allows.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX).for_idempotent();

#[derive(Clone, Debug)]
pub(super) struct Kazoo {
    path: String,
    /// Whoever holds it, and nobody else, may create a lease.
    gate: Line,
    size: u32,
}

impl Kazoo {
    pub(super) fn new(terms: &Terms, path: &str, size: u32) -> Result<Self, Error> {
        crate::parents::check(path)?;
        Ok(Self {
            gate: terms.line(&format!("{path}-__lock__"), Role::Lock)?,
            path: path.to_owned(),
            size,
        })
    }

    fn client(&self) -> &Client {
        &self.gate.client
    }

    pub(super) async fn acquire(&self, deadline: Deadline) -> Result<Guard, Error> {
        let prepared = deadline.bound(self.client(), self.prepare()).await;
        prepared.unwrap_or_else(|| Err(deadline.exceeded()))?;
        let gate = self.gate.contend(deadline).await?;
        let acquiring = async {
            loop {
                let watcher = Watcher::with_capacity(EVENTS);
                if self.has_room(&gate, &watcher).await? {
                    let guard = self.create(&gate).await?;
                    leave(gate).await?;
                    return Ok(guard);
                }
                gate.changed(&watcher).await?;
            }
        };
        let acquired = deadline.bound(self.client(), acquiring).await;
        acquired.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    pub(super) async fn try_acquire(&self, deadline: Deadline) -> Result<Option<Guard>, Error> {
        let trying = async {
            self.prepare().await?;
            let Some(gate) = self.gate.try_contend(deadline).await? else {
                return Ok(None);
            };
            let watcher = Watcher::with_capacity(EVENTS);
            let guard = match self.has_room(&gate, &watcher).await? {
                true => Some(self.create(&gate).await?),
                false => None,
            };
            leave(gate).await?;
            Ok(guard)
        };
        let tried = deadline.bound(self.client(), trying).await;
        tried.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    /// Every child holds one; the names tell no order.
    pub(super) async fn in_line(&self) -> Result<Vec<InLine>, Error> {
        let leases = children(self.client(), &self.path).await?;
        let owners = leases.iter().map(|name| (name.as_str(), true)).collect();
        let mut owners = describe(self.client(), &self.path, owners).await?;
        owners.sort_by_key(|owner| owner.token);
        Ok(owners)
    }

    /// Makes the semaphore's znode, which tells the size, or sees to it that it tells ours.
    async fn prepare(&self) -> Result<(), Error> {
        let patient = self.client().retrying(PATIENCE);
        loop {
            match patient
                .run(|client| client.get_data(&self.path, None))
                .await
            {
                Ok((data, _)) => return self.compare(&data),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error.into()),
            }
            let size = self.size.to_string();
            let made = self
                .client()
                .create_all(&self.path, size, CreateMode::Persistent);
            match made.await {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {}
                Err(error) if error.is_retryable() || error.is_outcome_unknown() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As kazoo: data that is no number has no say.
    fn compare(&self, data: &[u8]) -> Result<(), Error> {
        let told = std::str::from_utf8(data).ok();
        let told = told.and_then(|text| text.trim().parse::<u32>().ok());
        match told {
            Some(size) if size != self.size => Err(Error::invalid(
                "size",
                format!("{} has {size} leases, not {}", self.path, self.size),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// As kazoo counts: every child is a lease.
    async fn has_room(&self, gate: &Contender, watcher: &Watcher) -> Result<bool, Error> {
        let children = gate.read(|client| client.get_children(&self.path, watcher));
        let leases = children.await?.len();
        tracing::debug!(path = self.path, leases, size = self.size, "leases");
        Ok(u32::try_from(leases).is_ok_and(|leases| leases < self.size))
    }

    /// Only while it is in the gate: the transaction checks that.
    async fn create(&self, gate: &Contender) -> Result<Guard, Error> {
        let (client, entry) = (self.client(), &self.gate.entry);
        let id = entry.layout.dialect().new_id(client);
        let path = path::join(&self.path, &id.prefix(""));
        let options = CreateOptions::from(CreateMode::Ephemeral);
        let options = match &entry.acl {
            Some(acl) => options.with_acl(acl.clone()),
            None => options,
        };
        let transaction = || {
            let transaction = client.transaction().check(gate.path(), None);
            transaction.create2(&path, &entry.data, options.clone())
        };
        match create_by(client, gate.epoch(), &path, transaction).await {
            Ok(znode) => Ok(Guard::over(znode, entry.data.clone(), self.gate.proof)),
            Err(Error::Lost(Why::Deleted)) => Err(gate.removed()),
            Err(error) => Err(error),
        }
    }
}
