//! A member's znode: an ephemeral with a name of its own, without a sequence.

use bytes::Bytes;
use zk_client::{
    Acl, Client, CreateMode, CreateOptions, Epoch, ErrorCode, GuaranteedDelete, ProtectedId, Stat,
};
use zk_env::Boot;
use zk_proto::path;

use crate::contender::pause;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::parents::Parents;
use crate::znode::OwnZnode;

/// A name that nobody else has: Curator's members are called by a UUID, kazoo's by its digits.
pub(super) fn new_name(dialect: Dialect, client: &Client) -> String {
    let id = match dialect {
        Dialect::Kazoo => ProtectedId::kazoo(client).to_string(),
        Dialect::Curator | Dialect::GoZk | Dialect::ZkJava | Dialect::Any => {
            ProtectedId::new(client).to_string()
        }
    };
    let id = id.strip_prefix("_c_").unwrap_or(&id);
    id.strip_suffix('-').unwrap_or(id).to_owned()
}

/// Makes the ephemeral `<parent>/<name>`, and what is missing above it.
///
/// # Errors
///
/// `EpochEnded`, or `Client` with the server's verdict.
///
/// # Cancel safety
///
/// Dropping the future leaves the znode to the reaper. So does an error.
pub(super) async fn create_member(
    client: &Client,
    parent: &str,
    name: &str,
    data: &Bytes,
    acl: Option<&Vec<Acl>>,
    parents: Parents,
) -> Result<OwnZnode, Error> {
    let options = CreateOptions::from(CreateMode::Ephemeral);
    let options = match acl {
        Some(acl) => options.with_acl(acl.clone()),
        None => options,
    };
    let path = path::join(parent, name);
    let mut making = Making {
        client,
        path: &path,
        epoch: None,
    };
    loop {
        client.ready().await?;
        let sent = client.env().boot_now();
        let create = client.create2(&path, data, options.clone());
        // Read after the call: the session it was made in, or a later one.
        making.epoch = Some(client.epoch());
        let error = match create.await {
            Ok((_, stat)) => return making.made(stat, sent),
            Err(error) => error,
        };
        match error.code() {
            Some(ErrorCode::NoNode) => parents.create(client, parent).await?,
            // Nobody else has the name: an earlier attempt made it, and its answer was lost.
            Some(ErrorCode::NodeExists) => {
                if let Some(stat) = find(client, &path).await? {
                    return making.made(stat, sent);
                }
            }
            _ if error.is_session_over() => return Err(Error::while_waiting(error)),
            _ if error.is_retryable() || error.is_outcome_unknown() => pause(client).await,
            _ => return Err(Error::while_waiting(error)),
        }
    }
}

async fn find(client: &Client, path: &str) -> Result<Option<Stat>, Error> {
    loop {
        client.ready().await?;
        match client.exists(path, None).await {
            Err(error) if error.is_retryable() && !error.is_session_over() => pause(client).await,
            found => return found.map_err(Error::while_waiting),
        }
    }
}

/// Takes care of what a create that was not seen through may have left behind.
struct Making<'c> {
    client: &'c Client,
    path: &'c str,
    /// That of the last attempt, until it is known what came of it.
    epoch: Option<Epoch>,
}

impl Making<'_> {
    fn made(mut self, stat: Stat, sent: Boot) -> Result<OwnZnode, Error> {
        let epoch = self.client.epoch();
        let is_ours = stat.ephemeral_owner == self.client.session_id();
        // An unchanged epoch means that the id read in between belongs to it.
        if !is_ours || self.client.epoch() != epoch {
            return Err(Error::EpochEnded);
        }
        self.epoch = None;
        let created = (self.path.to_owned(), stat, epoch);
        Ok(OwnZnode::new(self.client, created, sent))
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if let Some(epoch) = self.epoch {
            let orphan = GuaranteedDelete::path(self.path).within(epoch);
            self.client.guaranteed_delete(orphan);
        }
    }
}
