//! Protected creates: a create whose lost answer can be recovered, because the
//! znode's name carries an id of its own (Curator's `_c_<uuid>-`).

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use uuid::Uuid;
use zk_env::sleep_until;
use zk_proto::{CreateOptions, ErrorCode, path};

use crate::client::Client;
use crate::error::{Error, Outcome};
use crate::reaper::GuaranteedDelete;
use crate::session::Epoch;

/// Between attempts that were refused for the moment.
const PAUSE: Duration = Duration::from_millis(50);

/// The id in a protected znode's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProtectedId(Uuid);

impl ProtectedId {
    /// A new id, from the client's environment.
    pub fn new(client: &Client) -> Self {
        let mut bytes = [0; 16];
        client.env().rng("zk-client-protected").fill(&mut bytes);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// `name` with the id in front, as Curator writes it.
    pub fn prefix(&self, name: &str) -> String {
        format!("{self}-{name}")
    }

    /// The child that carries the id.
    pub fn find_in<'n>(&self, names: &'n [String]) -> Option<&'n String> {
        let prefix = format!("{self}-");
        names.iter().find(|name| name.starts_with(&prefix))
    }
}

impl fmt::Display for ProtectedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "_c_{}", self.0)
    }
}

impl fmt::Debug for ProtectedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes care of what a create that was not seen through may have left behind.
struct Unfinished<'c> {
    client: &'c Client,
    parent: &'c str,
    id: ProtectedId,
    /// For an ephemeral: the epoch it would end with.
    epoch: Option<Epoch>,
    is_armed: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.is_armed {
            let mut orphan = GuaranteedDelete::protected(self.parent, self.id);
            if let Some(epoch) = self.epoch {
                orphan = orphan.within(epoch);
            }
            self.client.guaranteed_delete(orphan);
        }
    }
}

impl Client {
    /// Creates a znode whose name starts with an id of its own, so that the answer
    /// can be recovered after a connection loss: `/a/lock-` becomes
    /// `/a/_c_<uuid>-lock-…`. Retries by itself until the handle's deadline.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), and `DeadlineExceeded` with an unknown outcome
    /// once the handle's deadline has passed. If the session expires meanwhile, an
    /// ephemeral's create fails with [`Error::EpochEnded`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no znode behind once the reaper has settled. So
    /// does an error.
    pub async fn create_protected(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Result<String, Error> {
        let (mut timer, at) = (self.env().timer(), self.env().now() + self.deadline());
        let options = options.into();
        let creating = pin!(self.create_and_recover(path, data.as_ref(), &options));
        match select(creating, pin!(sleep_until(&mut *timer, at))).await {
            Either::Left((created, _)) => created,
            // What may be there by now, the reaper takes care of.
            Either::Right(_) => Err(Error::DeadlineExceeded {
                deadline: self.deadline(),
                outcome: Outcome::Unknown,
            }),
        }
    }

    async fn create_and_recover(
        &self,
        path: &str,
        data: &[u8],
        options: &CreateOptions,
    ) -> Result<String, Error> {
        let Some((parent, name)) = path::parent(path).map(|parent| (parent, path::name(path)))
        else {
            return Err(Error::invalid("path", "the root cannot be created"));
        };
        let id = ProtectedId::new(self);
        let protected = path::join(parent, &id.prefix(name));
        let is_ephemeral = options.mode().is_ephemeral();
        let mut unfinished = Unfinished {
            client: self,
            parent,
            id,
            epoch: None,
            is_armed: false,
        };
        loop {
            self.ready().await?;
            let created = self.create(&protected, data, options.clone());
            // Read after the call: the session it was made in, or a later one.
            let epoch = self.epoch();
            unfinished.epoch = is_ephemeral.then_some(epoch);
            unfinished.is_armed = true;
            let error = match created.await {
                Ok(created) => {
                    unfinished.is_armed = false;
                    return Ok(created);
                }
                Err(error) => error,
            };
            // What certainly was not applied leaves nothing to clean up.
            unfinished.is_armed = error.outcome() != Outcome::NotApplied;
            if error.is_session_over() {
                return Err(error);
            }
            if error.is_retryable() {
                self.pause().await;
                continue;
            }
            if !error.is_outcome_unknown() {
                return Err(error);
            }
            if let Some(found) = self.find_protected(parent, id, is_ephemeral).await? {
                unfinished.is_armed = false;
                return Ok(found);
            }
            if is_ephemeral && self.epoch() != epoch {
                return Err(Error::EpochEnded);
            }
        }
    }

    async fn pause(&self) {
        sleep_until(&mut *self.env().timer(), self.env().now() + PAUSE).await;
    }

    /// What the create made, if it did; an ephemeral only if it is this session's.
    async fn find_protected(
        &self,
        parent: &str,
        id: ProtectedId,
        is_ephemeral: bool,
    ) -> Result<Option<String>, Error> {
        let idempotent = self.retrying(crate::RetryPolicy::new(u32::MAX));
        let children = idempotent
            .run(|client| {
                let sync = client.sync(parent);
                client.get_children(parent, None).after(sync)
            })
            .await;
        let children = match children {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            children => children?,
        };
        let Some(name) = id.find_in(&children) else {
            return Ok(None);
        };
        let found = path::join(parent, name);
        let stat = idempotent.run(|client| client.exists(&found, None)).await?;
        let is_ours =
            stat.is_some_and(|stat| !is_ephemeral || stat.ephemeral_owner == self.session_id());
        Ok(is_ours.then_some(found))
    }
}
