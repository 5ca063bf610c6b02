//! The znodes above the contenders: made when missing, made anew when used up.

use zk_client::{Client, CreateMode, Error, ErrorCode, RetryPolicy, Watcher};
use zk_proto::path;

/// As long as the caller allows.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX).for_idempotent();

/// Of what kind the parents of contenders, members and locks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parents {
    /// Containers: all who share the path make it anew when it has been reaped, as Curator does.
    Reaped,
    /// Persistent, for paths shared with kazoo, go-zookeeper or ZooKeeper's own recipes: these
    /// make a path once and from then on take it for granted. kazoo's lock, whose parent was
    /// reaped between two turns, fails with `NoNodeError` for the rest of its life.
    Lasting,
}

impl Parents {
    pub(crate) async fn create(self, client: &Client, path: &str) -> Result<(), Error> {
        match self {
            Self::Reaped => create_parents(client, path).await,
            Self::Lasting => create_lasting(client, path).await,
        }
    }
}

/// Creates `parent` and what is missing above it: containers, as Curator makes them, which the
/// server reaps once they are empty again; persistent ones where it has none.
pub(crate) async fn create_parents(client: &Client, parent: &str) -> Result<(), Error> {
    let mut missing = vec![parent];
    while let Some(&path) = missing.last() {
        match create_container(client, path).await {
            Ok(()) => drop(missing.pop()),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => drop(missing.pop()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                match path::parent(path).filter(|above| *above != "/") {
                    // Whoever made it first, another reaps it in between: it is tried again.
                    Some(above) => missing.push(above),
                    // Not even the client's chroot is there.
                    None => create_chroot(client, path).await?,
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The same, but `path` itself is persistent: for whatever would be mistaken for something else if
/// sequences below it began anew.
pub(crate) async fn create_lasting(client: &Client, path: &str) -> Result<(), Error> {
    loop {
        let patient = client.retrying(PATIENCE);
        let mode = CreateMode::Persistent;
        let created = patient.run(|client| client.create(path, b"", mode)).await;
        match created {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                match path::parent(path).filter(|above| *above != "/") {
                    Some(above) => create_parents(client, above).await?,
                    None => create_chroot(client, path).await?,
                }
            }
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => return Ok(()),
            created => return created.map(drop),
        }
    }
}

async fn create_chroot(client: &Client, path: &str) -> Result<(), Error> {
    match client.create_all(path, b"", CreateMode::Persistent).await {
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
        created => created.map(drop),
    }
}

async fn create_container(client: &Client, path: &str) -> Result<(), Error> {
    let create = |mode: CreateMode| {
        let patient = client.retrying(PATIENCE);
        async move { patient.run(|client| client.create(path, b"", mode)).await }
    };
    match create(CreateMode::Container).await {
        Err(error) if lacks_containers(&error) => create(CreateMode::Persistent).await.map(drop),
        created => created.map(drop),
    }
}

fn lacks_containers(error: &Error) -> bool {
    matches!(error, Error::Unsupported { .. }) || error.code() == Some(ErrorCode::Unimplemented)
}

/// Deletes `parent` as soon as it has no children, so that the next one starts to count at 0.
pub(crate) async fn make_anew(client: &Client, parent: &str) -> Result<(), Error> {
    let patient = client.retrying(PATIENCE);
    loop {
        let watcher = Watcher::with_capacity(1);
        match patient
            .run(|client| client.get_children(parent, &watcher))
            .await
        {
            Ok(children) if !children.is_empty() => {
                // Whatever happens: look again.
                if watcher.next().await.is_none() {
                    return Err(Error::Closed);
                }
                continue;
            }
            Ok(_) => {}
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
            Err(error) => return Err(error),
        }
        match patient.run(|client| client.delete(parent, None)).await {
            Err(error) if error.code() == Some(ErrorCode::NotEmpty) => {}
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
            deleted => return deleted,
        }
    }
}

/// That a path can be a parent of contenders: it is valid, and not the root, which cannot be made
/// anew.
pub(crate) fn check(path: &str) -> Result<(), crate::Error> {
    path::validate(path).map_err(Error::from)?;
    if path == "/" {
        return Err(crate::Error::invalid(
            "path",
            "the root cannot hold contenders",
        ));
    }
    Ok(())
}
