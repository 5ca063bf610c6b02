//! Operations on whole branches of the tree. They take several requests and are
//! therefore `async fn`s: they start when they are polled.

use zk_proto::{CreateMode, CreateOptions, ErrorCode, path};

use crate::client::Client;
use crate::error::Error;
use crate::reply::Reply;

/// Children deleted per wave: bounds memory and keeps the pipe full.
const WAVE: usize = 256;
/// How often a parent that keeps vanishing (a container being reaped) is created again.
const MAX_ROUNDS: usize = 16;

impl Client {
    /// Creates a znode and whatever parents are missing, those of the chroot among
    /// them, persistent and with the open ACL. Tolerates others who create or reap the same parents.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    ///
    /// Parents may stay behind.
    pub async fn create_all(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Result<String, Error> {
        let (data, options) = (data.as_ref(), options.into());
        for _ in 1..MAX_ROUNDS {
            self.ready().await?;
            match self.create(path, data, options.clone()).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    self.create_parents(path).await?
                }
                settled => return settled,
            }
        }
        self.create(path, data, options).await
    }

    /// Top down, in one go: the requests take effect in this order.
    async fn create_parents(&self, path: &str) -> Result<(), Error> {
        let (root, path) = (self.unrooted(), self.chroot_of().to_server(path));
        let mut parents: Vec<&str> = path::ancestors(&path)
            .skip(1)
            .filter(|path| *path != "/")
            .collect();
        parents.reverse();
        for parents in parents.chunks(WAVE) {
            let mut creates = Vec::with_capacity(parents.len());
            for parent in parents {
                creates.push(
                    self.queued(|| root.create(parent, b"", CreateMode::Persistent))
                        .await?,
                );
            }
            for create in creates {
                match create.await {
                    Err(error)
                        if !matches!(
                            error.code(),
                            Some(ErrorCode::NodeExists | ErrorCode::NoNode)
                        ) =>
                    {
                        return Err(error);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Deletes a znode and everything below it, in pipelined waves; a missing one is
    /// fine. Others may change the branch meanwhile: what they add is deleted too,
    /// as long as it is seen.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete), but not `NoNode` and `NotEmpty`.
    ///
    /// # Cancel safety
    ///
    /// Some of it may be gone.
    pub async fn delete_all(&self, path: &str) -> Result<(), Error> {
        path::validate(path)?;
        // Znodes that have children, deepest last; a wave of siblings per level.
        let mut parents = vec![path.to_owned()];
        while let Some(parent) = parents.last() {
            match self.delete_children(parent).await? {
                nested if nested.is_empty() => {
                    if self.delete_one(parent).await? {
                        parents.pop();
                    }
                }
                nested => parents.extend(nested),
            }
        }
        Ok(())
    }

    /// Whether the znode is gone; false if it got children again.
    async fn delete_one(&self, path: &str) -> Result<bool, Error> {
        settled(self.queued(|| self.delete(path, None)).await?.await)
    }

    /// Makes a call once the queue has room for it, whoever else fills it.
    async fn queued<T>(&self, call: impl Fn() -> Reply<T>) -> Result<Reply<T>, Error> {
        loop {
            self.ready().await?;
            let reply = call();
            if !reply.found_no_room() {
                return Ok(reply);
            }
        }
    }

    /// Deletes the children that have none themselves, and returns a wave of those
    /// that have.
    async fn delete_children(&self, parent: &str) -> Result<Vec<String>, Error> {
        self.ready().await?;
        let children = match self.get_children(parent, None).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Vec::new()),
            children => children?,
        };
        let mut nested = Vec::new();
        for wave in children.chunks(WAVE) {
            let mut deletes = Vec::with_capacity(wave.len());
            for child in wave.iter().map(|name| path::join(parent, name)) {
                deletes.push((self.queued(|| self.delete(&child, None)).await?, child));
            }
            for (delete, child) in deletes {
                if !settled(delete.await)? && nested.len() < WAVE {
                    nested.push(child);
                }
            }
        }
        Ok(nested)
    }
}

/// Whether a delete leaves nothing; false if there are children.
fn settled(delete: Result<(), Error>) -> Result<bool, Error> {
    match delete {
        Ok(()) => Ok(true),
        Err(error) => match error.code() {
            Some(ErrorCode::NoNode) => Ok(true),
            Some(ErrorCode::NotEmpty) => Ok(false),
            _ => Err(error),
        },
    }
}
