//! A znode that is written together with another, and so tells whether that was written.
//!
//! ```text
//! <directory>/_c_<uuid>-witness     ephemeral, data: the number of the last write (8 bytes)
//! ```

use zk_client::{Client, CreateMode, ErrorCode, ProtectedId};

use crate::contender::pause;
use crate::error::Error;
use crate::parents::create_parents;
use crate::znode::OwnZnode;

/// One writer's witness, made anew in each session.
#[derive(Debug)]
pub(super) struct Witness {
    directory: String,
    znode: Option<OwnZnode>,
    /// Of the last write.
    number: u64,
}

impl Witness {
    pub(super) const fn new(directory: String) -> Self {
        Self {
            directory,
            znode: None,
            number: 0,
        }
    }

    /// The path to write to, and what to write, in the next attempt.
    pub(super) async fn next(&mut self, client: &Client) -> Result<(String, [u8; 8]), Error> {
        self.znode = self.znode.take().filter(|it| it.check_epoch().is_ok());
        self.number += 1;
        let path = match &self.znode {
            Some(znode) => znode.path().to_owned(),
            None => {
                let znode = make(client, &self.directory).await?;
                self.znode.insert(znode).path().to_owned()
            }
        };
        Ok((path, self.number.to_be_bytes()))
    }

    /// It is gone although the session lives.
    pub(super) fn forget(&mut self) {
        self.znode = None;
    }
}

async fn make(client: &Client, directory: &str) -> Result<OwnZnode, Error> {
    loop {
        let id = ProtectedId::new(client);
        let sent = client.env().boot_now();
        let mode = CreateMode::Ephemeral;
        let created = client.create2_protected(id, directory, "witness", b"", mode);
        match created.await {
            Ok(created) => return Ok(OwnZnode::new(client, created, sent)),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                create_parents(client, directory).await?;
            }
            // An unknown one is the reaper's.
            Err(error) if error.is_retryable() || error.is_outcome_unknown() => {
                pause(client).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
