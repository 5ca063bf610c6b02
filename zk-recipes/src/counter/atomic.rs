//! A number that many change.
//!
//! ```text
//! <path>     persistent, data: the number, as [`NumberFormat`] says
//! ```

use std::time::Duration;

use zk_client::{Acl, Client};

use super::cell::{CasCell, CasCellBuilder};
use super::number::NumberFormat;
use crate::error::Error;
use crate::lock::Mutex;

/// A change of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What it was.
    pub before: i64,
    /// What it is.
    pub after: i64,
}

/// A number that many change, each change counted once; Curator's `DistributedAtomicLong` on the
/// wire, or by [`format`](AtomicLongBuilder::format) its `DistributedAtomicInteger` or kazoo's
/// `Counter`.
///
/// | | |
/// |---|---|
/// | who wins | the first to write; the others add to what it wrote |
/// | fairness | none; by [`lock`](AtomicLongBuilder::lock) that of a mutex, after some lost races |
/// | connection lost, session expired | tried again if not applied, within the deadline |
/// | a lost reply | unknown, and not repeated; found out with [`exactly_once`](AtomicLongBuilder::exactly_once), as [`CasCell`] says |
/// | cancelled | counted once or not at all |
/// | a sum that does not fit | refused; nothing is changed |
/// | token | none: nobody owns it |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::AtomicLong;
/// let orders = AtomicLong::builder(&client, "/counters/orders")
///     .exactly_once("/counters/witnesses")
///     .build()?;
/// println!("order number {}", orders.increment().await?.after);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AtomicLong {
    cell: CasCell,
    format: NumberFormat,
    initial: i64,
}

impl AtomicLong {
    /// The number at `path`.
    pub fn builder(client: &Client, path: &str) -> AtomicLongBuilder {
        AtomicLongBuilder {
            cell: CasCell::builder(client, path),
            format: NumberFormat::default(),
            initial: 0,
        }
    }

    /// The number, as far as the connected server knows; the initial one if the znode is
    /// missing or empty.
    ///
    /// # Errors
    ///
    /// `BadDocument` if the znode holds something else; `Client`.
    pub async fn get(&self) -> Result<i64, Error> {
        let found = self.cell.get().await?;
        self.read(found.as_ref().map(|found| &*found.value))
    }

    /// Adds `delta`, which may be negative.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the sum does not fit, `BadDocument` if the znode holds something else:
    /// nothing was changed. `Client`, with an outcome, as [`CasCell::update`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it added or not.
    pub async fn add(&self, delta: i64) -> Result<Changed, Error> {
        let overflow = || Error::invalid("delta", "the sum does not fit into 64 bits");
        self.change(|before| before.checked_add(delta).ok_or_else(overflow))
            .await
    }

    /// Adds one.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub async fn increment(&self) -> Result<Changed, Error> {
        self.add(1).await
    }

    /// Takes one away.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub async fn decrement(&self) -> Result<Changed, Error> {
        self.add(-1).await
    }

    /// Makes `after` of the number, if it is `before`. Otherwise gives what it is.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it done or not.
    pub async fn compare_and_set(
        &self,
        before: i64,
        after: i64,
    ) -> Result<Result<Changed, i64>, Error> {
        let value = self.format.encode(after)?;
        loop {
            let found = self.cell.get().await?;
            let number = self.read(found.as_ref().map(|found| &*found.value))?;
            if number != before {
                return Ok(Err(number));
            }
            let stamp = found.map(|found| found.stamp);
            let set = self.cell.compare_and_set(stamp, value.clone());
            if set.await?.is_some() {
                return Ok(Ok(Changed { before, after }));
            }
        }
    }

    /// Writes `number` whatever was there.
    ///
    /// # Errors
    ///
    /// As [`CasCell::set`].
    ///
    /// # Cancel safety
    ///
    /// As `CasCell::set`.
    pub async fn set(&self, number: i64) -> Result<(), Error> {
        self.cell.set(self.format.encode(number)?).await.map(|_| ())
    }

    /// Writes `number` if the znode is missing; whether it was.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it done or not.
    pub async fn initialize(&self, number: i64) -> Result<bool, Error> {
        let value = self.format.encode(number)?;
        let made = self.cell.compare_and_set(None, value).await?;
        Ok(made.is_some())
    }

    async fn change(
        &self,
        mut change: impl FnMut(i64) -> Result<i64, Error>,
    ) -> Result<Changed, Error> {
        let mut changed = Changed {
            before: self.initial,
            after: self.initial,
        };
        let update = self.cell.update(|data| {
            let before = self.read(data)?;
            let after = change(before)?;
            changed = Changed { before, after };
            self.format.encode(after)
        });
        update.await?;
        Ok(changed)
    }

    fn read(&self, data: Option<&[u8]>) -> Result<i64, Error> {
        let number = self.format.decode(self.path(), data.unwrap_or_default())?;
        Ok(number.unwrap_or(self.initial))
    }

    /// The number's znode.
    pub fn path(&self) -> &str {
        self.cell.path()
    }

    pub(super) const fn client(&self) -> &Client {
        self.cell.client()
    }
}

/// Options of an [`AtomicLong`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct AtomicLongBuilder {
    cell: CasCellBuilder,
    format: NumberFormat,
    initial: i64,
}

impl AtomicLongBuilder {
    /// How the number is written. Default: Curator's 8 bytes.
    pub const fn format(mut self, format: NumberFormat) -> Self {
        self.format = format;
        self
    }

    /// What it is while the znode is missing or empty. Default: 0.
    pub const fn initial(mut self, initial: i64) -> Self {
        self.initial = initial;
        self
    }

    /// As [`CasCellBuilder::acl`].
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.cell = self.cell.acl(acl);
        self
    }

    /// As [`CasCellBuilder::deadline`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.cell = self.cell.deadline(deadline);
        self
    }

    /// As [`CasCellBuilder::exactly_once`].
    pub fn exactly_once(mut self, witnesses: impl Into<String>) -> Self {
        self.cell = self.cell.exactly_once(witnesses);
        self
    }

    /// As [`CasCellBuilder::lock`].
    pub fn lock(mut self, lock: Mutex) -> Self {
        self.cell = self.cell.lock(lock);
        self
    }

    /// The number.
    ///
    /// # Errors
    ///
    /// As [`CasCellBuilder::build`].
    pub fn build(self) -> Result<AtomicLong, Error> {
        self.format.encode(self.initial)?;
        Ok(AtomicLong {
            cell: self.cell.build()?,
            format: self.format,
            initial: self.initial,
        })
    }
}
