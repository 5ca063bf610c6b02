//! How many leases there are.

use bytes::Bytes;
use zk_client::{Client, CreateMode, ErrorCode, RetryPolicy, Watcher};
use zk_proto::path;

use crate::contender::Contender;
use crate::error::Error;
use crate::parents::create_parents;

/// As long as the caller allows.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX).for_idempotent();

/// Where the number comes from.
#[derive(Clone, Debug)]
pub(super) enum Size {
    /// By convention: everybody says the same.
    Fixed(u32),
    /// From a shared count: Curator's four bytes, big-endian.
    Shared {
        /// Its znode.
        path: String,
        /// What it is made with if it is missing.
        seed: u32,
    },
}

impl Size {
    /// The number, with a watch where it can change.
    pub(super) async fn read(&self, lease: &Contender, watcher: &Watcher) -> Result<u32, Error> {
        let (path, seed) = match self {
            Self::Fixed(size) => return Ok(*size),
            Self::Shared { path, seed } => (path, *seed),
        };
        loop {
            match lease.read(|client| client.get_data(path, watcher)).await {
                Ok((data, _)) => return decode(path, &data),
                Err(Error::Client(error)) if error.code() == Some(ErrorCode::NoNode) => {
                    create(lease.client(), path, seed).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The number as it is now, for who does not wait: the seed while nobody has made it.
    pub(super) async fn look(&self, client: &Client) -> Result<u32, Error> {
        let (path, seed) = match self {
            Self::Fixed(size) => return Ok(*size),
            Self::Shared { path, seed } => (path, *seed),
        };
        let patient = client.retrying(PATIENCE);
        match patient.run(|client| client.get_data(path, None)).await {
            Ok((data, _)) => decode(path, &data),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(seed),
            Err(error) => Err(error.into()),
        }
    }

    /// That so many can be held at a time. A shared count may grow.
    pub(super) fn check_count(&self, count: u32) -> Result<(), Error> {
        let size = match self {
            Self::Fixed(size) => *size,
            Self::Shared { .. } => u32::MAX,
        };
        if count == 0 || count > size {
            let reason = format!("{count} is not from 1 to {size}");
            return Err(Error::invalid("count", reason));
        }
        Ok(())
    }

    /// Sets it for everybody.
    pub(super) async fn set(&self, client: &Client, size: u32) -> Result<(), Error> {
        let Self::Shared { path, .. } = self else {
            let reason = "this semaphore's is fixed, not a shared count";
            return Err(Error::invalid("size", reason));
        };
        let data = encode(size)?;
        let patient = client.retrying(PATIENCE);
        loop {
            let set = patient.run(|client| client.set_data(path, data, None));
            match set.await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    create(client, path, size).await?;
                }
                set => return set.map(drop).map_err(Error::from),
            }
        }
    }
}

async fn create(client: &Client, path: &str, size: u32) -> Result<(), Error> {
    let data = encode(size)?;
    let patient = client.retrying(PATIENCE);
    loop {
        let create = patient.run(|client| client.create(path, data, CreateMode::Persistent));
        match create.await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => return Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                match path::parent(path).filter(|parent| *parent != "/") {
                    Some(parent) => create_parents(client, parent).await?,
                    None => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn encode(size: u32) -> Result<[u8; 4], Error> {
    let size = i32::try_from(size)
        .map_err(|_| Error::invalid("size", format!("{size} is more than {}", i32::MAX)))?;
    Ok(size.to_be_bytes())
}

/// Below zero is none.
fn decode(path: &str, data: &Bytes) -> Result<u32, Error> {
    let Ok(bytes) = <[u8; 4]>::try_from(&data[..]) else {
        return Err(Error::BadDocument {
            path: path.into(),
            reason: format!("a shared count has 4 bytes, not {}", data.len()).into(),
        });
    };
    Ok(u32::try_from(i32::from_be_bytes(bytes)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_curators() {
        assert_eq!(encode(258), Ok([0, 0, 1, 2]));
        assert!(encode(u32::MAX).is_err());
        let read = |bytes: &'static [u8]| decode("/n", &Bytes::from_static(bytes));
        assert_eq!(read(&[0, 0, 1, 2]), Ok(258));
        assert_eq!(read(&[0xff; 4]), Ok(0));
        assert_eq!(
            read(b"5").unwrap_err().to_string(),
            "/n: bad document: a shared count has 4 bytes, not 1"
        );
    }
}
