//! An own znode that a transaction makes: what it costs to know that it was made.

use zk_client::{Client, Epoch, ErrorCode, GuaranteedDelete, OpResult, Stat, Transaction};
use zk_env::Boot;

use crate::contender::pause;
use crate::error::Error;
use crate::ownership::Why;
use crate::znode::OwnZnode;

/// Commits `transaction`, which must create the ephemeral `path` and nothing else below that
/// name, until it is known to have been applied or refused. Its first operation must name a
/// znode of this session, and fail once that is gone; so it is applied once at most, and never in
/// a later session.
///
/// # Errors
///
/// `Lost` if that znode was gone before; `EpochEnded`, or `Client` with the server's verdict.
///
/// # Cancel safety
///
/// Dropping the future leaves `path` to the reaper. So does an error.
pub(crate) async fn create_by<'c>(
    client: &'c Client,
    epoch: Epoch,
    path: &str,
    transaction: impl Fn() -> Transaction<'c>,
) -> Result<OwnZnode, Error> {
    let making = Making {
        client,
        epoch,
        path,
        sent: client.env().boot_now(),
        is_made: false,
    };
    loop {
        making.check_epoch()?;
        client.ready().await?;
        let committed = transaction().commit().await;
        making.check_epoch()?;
        let error = match committed {
            Ok(results) => match stat_of(&results) {
                Some(stat) => return Ok(making.made(stat)),
                // Servers that leave the Stat out (ZOOKEEPER-4026).
                None => {
                    let missing = || Error::Lost(Why::Deleted);
                    let stat = making.find().await?.ok_or_else(missing)?;
                    return Ok(making.made(stat));
                }
            },
            Err(error) => error,
        };
        if let zk_client::Error::Transaction { index, code, .. } = &error {
            // Refused as a second application would be; so the first may have been ours.
            if matches!(code, ErrorCode::NoNode | ErrorCode::NodeExists)
                && let Some(stat) = making.find().await?
            {
                return Ok(making.made(stat));
            }
            if (*index, *code) == (0, ErrorCode::NoNode) {
                return Err(Error::Lost(Why::Deleted));
            }
        }
        if error.is_session_over() || !(error.is_retryable() || error.is_outcome_unknown()) {
            return Err(Error::while_waiting(error));
        }
        pause(client).await;
    }
}

fn stat_of(results: &[OpResult]) -> Option<Stat> {
    results.iter().find_map(|result| match result {
        OpResult::Create2(_, stat) => *stat,
        OpResult::Check | OpResult::Create(_) | OpResult::SetData(_) | OpResult::Delete => None,
    })
}

/// Takes care of what a transaction that was not seen through may have made.
struct Making<'c> {
    client: &'c Client,
    epoch: Epoch,
    path: &'c str,
    sent: Boot,
    is_made: bool,
}

impl Making<'_> {
    fn check_epoch(&self) -> Result<(), Error> {
        if self.client.epoch() == self.epoch {
            Ok(())
        } else {
            Err(Error::EpochEnded)
        }
    }

    /// What is there, if it is this session's.
    async fn find(&self) -> Result<Option<Stat>, Error> {
        loop {
            self.check_epoch()?;
            self.client.ready().await?;
            let sync = self.client.sync(self.path);
            let exists = self.client.exists(self.path, None);
            let found = match sync.await {
                Ok(()) => exists.await,
                Err(error) => Err(error),
            };
            let owner = self.client.session_id();
            self.check_epoch()?;
            match found {
                Ok(stat) => return Ok(stat.filter(|stat| stat.ephemeral_owner == owner)),
                Err(error) if error.is_retryable() && !error.is_session_over() => {
                    pause(self.client).await;
                }
                Err(error) => return Err(Error::while_waiting(error)),
            }
        }
    }

    fn made(mut self, stat: Stat) -> OwnZnode {
        self.is_made = true;
        let created = (self.path.to_owned(), stat, self.epoch);
        OwnZnode::new(self.client, created, self.sent)
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if !self.is_made {
            let orphan = GuaranteedDelete::path(self.path).within(self.epoch);
            self.client.guaranteed_delete(orphan);
        }
    }
}
