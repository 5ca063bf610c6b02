//! Whether there is room in a queue.

use std::time::Duration;

use zk_client::{Client, RetryPolicy, Stat, Watcher};

use crate::error::Error;
use crate::layout::SEQUENCE_LIMIT;

/// Items a queue holds before new ones are refused, unless told otherwise: a list of their
/// names is well below the megabyte that servers and clients take for a frame.
pub const DEFAULT_QUEUE_LIMIT: usize = 10_000;

/// As long as the caller waits.
pub(super) const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX);

/// That the queue at `path` can take another item.
///
/// # Errors
///
/// `QueueFull`, `SequenceExhausted`, or `Client`.
pub(super) async fn check_room(client: &Client, path: &str, limit: usize) -> Result<(), Error> {
    let patient = client.retrying(PATIENCE);
    let stat = patient.run(|client| client.exists(path, None)).await?;
    let Some(stat) = stat else { return Ok(()) };
    if usize::try_from(stat.num_children).is_ok_and(|items| items >= limit) {
        return Err(Error::QueueFull {
            path: path.into(),
            limit,
        });
    }
    if next_sequence(&stat) >= i64::from(SEQUENCE_LIMIT) {
        return Err(Error::SequenceExhausted {
            path: path.into(),
            waited: Duration::ZERO,
        });
    }
    Ok(())
}

/// Waits until the queue at `path` can take another item.
///
/// # Errors
///
/// As [`check_room`], but for `QueueFull`.
pub(super) async fn until_room(client: &Client, path: &str, limit: usize) -> Result<(), Error> {
    loop {
        let watcher = Watcher::with_capacity(1);
        // The watch comes first: a look after it misses nothing.
        let patient = client.retrying(PATIENCE);
        let watched = patient.run(|client| client.get_children(path, &watcher));
        match watched.await {
            Ok(_) => {}
            Err(error) if error.code() == Some(zk_client::ErrorCode::NoNode) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        match check_room(client, path, limit).await {
            Err(Error::QueueFull { .. }) => {}
            room => return room,
        }
        if watcher.next().await.is_none() {
            return Err(Error::Client(zk_client::Error::Closed));
        }
    }
}

/// The sequence to come: the creations so far. A `cversion` counts creations and deletions, as
/// 32 bits.
fn next_sequence(stat: &Stat) -> i64 {
    let changes = i64::from(stat.cversion.cast_unsigned());
    (changes + i64::from(stat.num_children)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_sequence_is_the_number_of_creations() {
        let stat = |cversion, num_children| Stat {
            cversion,
            num_children,
            ..Stat::default()
        };
        assert_eq!(next_sequence(&stat(0, 0)), 0);
        // Five created, two of them deleted.
        assert_eq!(next_sequence(&stat(7, 3)), 5);
        let deleted = stat(i32::MIN, 0);
        assert_eq!(next_sequence(&deleted), 1 << 30);
    }
}
