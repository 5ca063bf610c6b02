//! A znode this client made and must not leave behind.

use std::time::Duration;

use zk_client::{Client, Epoch, ErrorCode, GuaranteedDelete, Stat, Zxid};
use zk_env::Boot;

use crate::contender::pause;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::ownership::Why;

/// How long an explicit delete is waited for; after that the reaper alone goes on.
const DELETE_WITHIN: Duration = zk_client::DEFAULT_OPERATION_DEADLINE;

/// An ephemeral of this session. Dropping it has the reaper delete it.
#[derive(Debug)]
pub(crate) struct OwnZnode {
    client: Client,
    path: String,
    czxid: Zxid,
    /// The czxid of the znode that took the place; its own but after a downgrade.
    token: Zxid,
    epoch: Epoch,
    /// Around the create: the first of the answered writes a proof can count from.
    pub(crate) sent: Boot,
    pub(crate) answered: Boot,
    is_gone: bool,
}

impl OwnZnode {
    pub(crate) fn new(
        client: &Client,
        (path, stat, epoch): (String, Stat, Epoch),
        sent: Boot,
    ) -> Self {
        Self {
            path,
            czxid: stat.czxid,
            token: stat.czxid,
            epoch,
            sent,
            answered: client.env().boot_now(),
            is_gone: false,
            client: client.clone(),
        }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) const fn czxid(&self) -> Zxid {
        self.czxid
    }

    /// What the ownership's fencing token is made of.
    pub(crate) const fn token(&self) -> Zxid {
        self.token
    }

    /// It has taken over the place of a znode with this token.
    pub(crate) fn with_token(mut self, token: Zxid) -> Self {
        self.token = token;
        self
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Something else has deleted it for certain, and is not to be repeated.
    pub(crate) fn forget(mut self) {
        self.is_gone = true;
    }

    /// Whether the session the znode belongs to is still the client's.
    ///
    /// # Errors
    ///
    /// It is not.
    pub(crate) fn check_epoch(&self) -> Result<(), Error> {
        let probe = self.client.env().probe();
        if self.client.epoch() == self.epoch || probe.has_planted("recipes: epoch not checked") {
            Ok(())
        } else {
            Err(Error::EpochEnded)
        }
    }

    /// Deletes it, and waits until that is proven. On error, or if the future is dropped, the
    /// reaper goes on.
    ///
    /// # Errors
    ///
    /// `Lost` if it was gone before; `DeadlineExceeded` if no proof was to be had.
    pub(crate) async fn delete(mut self) -> Result<(), Error> {
        let deadline = Deadline::within(&self.client, DELETE_WITHIN);
        let deleted = deadline
            .bound(&self.client.clone(), self.try_delete())
            .await;
        deleted.unwrap_or(Err(Error::DeadlineExceeded {
            deadline: DELETE_WITHIN,
        }))
    }

    async fn try_delete(&mut self) -> Result<(), Error> {
        let mut may_be_ours = false;
        if !self.client.state().borrow().is_connected() {
            let probe = self.client.env().probe();
            probe.reached("recipes: released without a connection");
        }
        loop {
            if self.check_epoch().is_err() {
                self.is_gone = true;
                return Err(Error::Lost(Why::EpochEnded));
            }
            self.client.ready().await?;
            let error = match self.client.delete(&self.path, None).await {
                Ok(()) => {
                    self.is_gone = true;
                    return Ok(());
                }
                Err(error) => error,
            };
            if error.code() == Some(ErrorCode::NoNode) {
                self.is_gone = true;
                // An earlier attempt may have done it, and its answer was lost.
                return if may_be_ours {
                    Ok(())
                } else {
                    Err(Error::Lost(Why::Deleted))
                };
            }
            if error.is_session_over() {
                return Err(self.without_session(error));
            }
            may_be_ours |= error.is_outcome_unknown();
            if !error.is_retryable() && !error.is_outcome_unknown() {
                return Err(error.into());
            }
            pause(&self.client).await;
        }
    }

    fn without_session(&mut self, error: zk_client::Error) -> Error {
        if matches!(
            error,
            zk_client::Error::EpochEnded | zk_client::Error::SessionExpired
        ) || error.code().is_some()
        {
            self.is_gone = true;
            return Error::Lost(Why::EpochEnded);
        }
        // The client is over. The session may live on for its timeout, and the znode with it.
        error.into()
    }
}

impl Drop for OwnZnode {
    fn drop(&mut self) {
        let probe = self.client.env().probe();
        if !self.is_gone && !probe.has_planted("recipes: abandoned place not deleted") {
            let orphan = GuaranteedDelete::path(&*self.path).within(self.epoch);
            self.client.guaranteed_delete(orphan);
        }
    }
}
