//! Numbers of one's own, fetched by the range.

use std::ops::Range;

use tokio::sync::Mutex;

use super::atomic::AtomicLong;
use crate::contender::pause;
use crate::error::Error;

/// Hands out numbers that nobody else gets, and asks the server once per range; Curator's
/// `CachedAtomicLong`.
///
/// Numbers of one handle rise; those of several handles are distinct and mixed. Some are never
/// handed out: the rest of a range when the handle goes, and a whole one whose reservation
/// had an unknown outcome or was dropped.
///
/// | | |
/// |---|---|
/// | who wins | ranges are distinct, whoever reserves them |
/// | connection lost, session expired | what is in hand is handed out; a new range waits, within the number's deadline |
/// | a lost reply, cancelled | a range that nobody uses; never a number twice |
/// | token | none: a number is none, it may be handed out long after a higher one |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{AtomicLong, CachedLong};
/// let numbers = AtomicLong::builder(&client, "/counters/invoices").build()?;
/// let numbers = CachedLong::new(numbers, 100)?;
/// println!("invoice {}", numbers.next().await?);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct CachedLong {
    number: AtomicLong,
    count: i64,
    /// Not handed out yet.
    reserved: Mutex<Range<i64>>,
}

impl CachedLong {
    /// Reserves `count` numbers at a time: more ask the server less often, and leave larger
    /// gaps.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `count` is 0.
    pub fn new(number: AtomicLong, count: u32) -> Result<Self, Error> {
        if count == 0 {
            return Err(Error::invalid("count", "a range has one number at least"));
        }
        Ok(Self {
            number,
            count: i64::from(count),
            reserved: Mutex::new(0..0),
        })
    }

    /// The next number: the first is the counter's value, as with Curator's `preValue`.
    ///
    /// # Errors
    ///
    /// As [`AtomicLong::add`], but for unknown outcomes: then another range is reserved.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a range that nobody uses.
    pub async fn next(&self) -> Result<i64, Error> {
        // Calls at once take turns: one of them asks for all.
        let mut reserved = self.reserved.lock().await;
        loop {
            if let Some(number) = reserved.next() {
                return Ok(number);
            }
            match self.number.add(self.count).await {
                Ok(changed) => *reserved = changed.before..changed.after,
                Err(Error::Client(error)) if error.is_outcome_unknown() => {
                    tracing::debug!(path = self.number.path(), %error, "a range may be lost");
                    pause(self.number.client()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
