//! A value that is replaced on condition that it has not changed.
//!
//! ```text
//! <path>                            persistent, data: the value
//! <witnesses>/_c_<uuid>-witness     ephemeral, by `exactly_once` only: one per writer
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex as AsyncMutex;
use zk_client::{
    Acl, Client, CreateMode, CreateOptions, DEFAULT_OPERATION_DEADLINE, ErrorCode, OpResult,
    Outcome, RetryPolicy, Transaction,
};
use zk_env::sleep_until;

use super::outcome::{Stamp, Verdict, judge};
use super::witness::Witness;
use crate::contender::pause;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::lock::Mutex;
use crate::parents::{check, create_parents};

/// As long as the deadline allows.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX);

/// Lost races before an update takes the lock, if it has one.
const OPTIMISTIC: u32 = 5;

/// The longest pause after a lost race is doubled with each, from here.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const MAX_DOUBLINGS: u32 = 6;

/// A value and the state of the znode it was read in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped<T> {
    /// The value.
    pub value: T,
    /// For [`CasCell::compare_and_set`].
    pub stamp: Stamp,
}

/// Bytes that are replaced on condition that they have not changed: one persistent znode, as
/// Curator's `DistributedAtomicValue`.
///
/// **A lost reply.** What was certainly not applied is tried again. Whether a
/// write was applied cannot always be told from the znode: somebody else may have
/// written the same bytes. Then the error says so
/// ([`is_outcome_unknown`](zk_client::Error::is_outcome_unknown)), and nothing is repeated. With
/// [`exactly_once`](CasCellBuilder::exactly_once) each write leaves a trace in a znode of the
/// writer's own, and is found out; only an expired session then leaves it unknown.
///
/// | | |
/// |---|---|
/// | who wins | the first to write; the others read again |
/// | fairness | none; by [`lock`](CasCellBuilder::lock) that of a mutex, after some lost races |
/// | connection lost, session expired | tried again if not applied, within the deadline |
/// | cancelled | applied or not |
/// | token | none: nobody owns it |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::CasCell;
/// let cell = CasCell::builder(&client, "/settings/limit").build()?;
/// let doubled = cell.update(|value| {
///     let value = value.unwrap_or(b"x");
///     Ok([value, value].concat().into())
/// });
/// println!("{} bytes now", doubled.await?.value.len());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CasCell {
    client: Client,
    path: String,
    options: CreateOptions,
    deadline: Duration,
    /// Locked from an attempt until it is known what became of it.
    witness: Option<Arc<AsyncMutex<Witness>>>,
    lock: Option<Mutex>,
}

/// What came of an attempt.
enum Attempt {
    Applied(Stamp),
    /// Somebody else was first.
    Conflict,
    Again,
}

impl CasCell {
    /// The cell at `path`.
    pub fn builder(client: &Client, path: &str) -> CasCellBuilder {
        CasCellBuilder {
            client: client.clone(),
            path: path.to_owned(),
            acl: None,
            deadline: DEFAULT_OPERATION_DEADLINE,
            witnesses: None,
            lock: None,
        }
    }

    /// The value, as far as the connected server knows; `None` if the znode is missing.
    ///
    /// # Errors
    ///
    /// `Client` with the server's verdict, or after the deadline.
    pub async fn get(&self) -> Result<Option<Stamped<Bytes>>, Error> {
        let in_doubt = AtomicBool::new(false);
        self.bound(&in_doubt, self.read(false)).await
    }

    /// Writes `value` if the znode is as `expected` says (`None`: missing). Gives the new stamp, or
    /// `None` if it is not.
    ///
    /// # Errors
    ///
    /// `Client`, with an outcome: see above.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it applied or not.
    pub async fn compare_and_set(
        &self,
        expected: Option<Stamp>,
        value: impl Into<Bytes>,
    ) -> Result<Option<Stamp>, Error> {
        let (value, in_doubt) = (value.into(), AtomicBool::new(false));
        let writing = self.write(expected, &value, &in_doubt);
        self.bound(&in_doubt, writing).await
    }

    /// Reads the value, has `change` make another of it, and writes that if nobody else was
    /// first; else starts over. `change` is given `None` if the znode is missing, which is
    /// then made.
    ///
    /// # Errors
    ///
    /// What `change` fails with: nothing was written. `Client`, with an outcome: see above.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it applied or not.
    pub async fn update(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Bytes, Error>,
    ) -> Result<Stamped<Bytes>, Error> {
        let in_doubt = AtomicBool::new(false);
        let updating = async {
            let mut guard = None;
            let mut conflicts = 0;
            loop {
                let before = self.read(conflicts > 0).await?;
                let (data, stamp) = before.map(|it| (it.value, it.stamp)).unzip();
                let value = change(data.as_deref())?;
                if let Some(stamp) = self.write(stamp, &value, &in_doubt).await? {
                    drop(guard);
                    return Ok(Stamped { value, stamp });
                }
                conflicts += 1;
                match &self.lock {
                    Some(lock) if conflicts >= OPTIMISTIC && guard.is_none() => {
                        guard = Some(lock.acquire().await?);
                    }
                    Some(_) | None => self.step_back(conflicts).await,
                }
            }
        };
        self.bound(&in_doubt, updating).await
    }

    /// Writes `value` whatever was there.
    ///
    /// # Errors
    ///
    /// `Client`, with an outcome.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it applied or not. If the reply is lost it is written again,
    /// and may so replace what somebody else wrote meanwhile.
    pub async fn set(&self, value: impl Into<Bytes>) -> Result<Stamp, Error> {
        let (value, in_doubt) = (value.into(), AtomicBool::new(false));
        let setting = async {
            loop {
                self.client.ready().await?;
                in_doubt.store(true, Ordering::Relaxed);
                let error = match self.client.set_data(&self.path, &value, None).await {
                    Ok(stat) => return Ok(Stamp::of(&stat)),
                    Err(error) => error,
                };
                if error.code() == Some(ErrorCode::NoNode) {
                    if let Some(stamp) = self.write(None, &value, &in_doubt).await? {
                        return Ok(stamp);
                    }
                } else if error.is_retryable() || error.is_outcome_unknown() {
                    pause(&self.client).await;
                } else {
                    return Err(error.into());
                }
            }
        };
        self.bound(&in_doubt, setting).await
    }

    /// Within the deadline; `in_doubt` tells what may have been sent by then.
    async fn bound<T>(
        &self,
        in_doubt: &AtomicBool,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let deadline = Deadline::within(&self.client, self.deadline);
        let late = || {
            Err(Error::Client(zk_client::Error::DeadlineExceeded {
                deadline: self.deadline,
                outcome: if in_doubt.load(Ordering::Relaxed) {
                    Outcome::Unknown
                } else {
                    Outcome::NotApplied
                },
            }))
        };
        let done = deadline.bound(&self.client, work).await;
        done.unwrap_or_else(late)
    }

    /// The znode, as the connected server or (`synced`) the leader knows it.
    async fn read(&self, synced: bool) -> Result<Option<Stamped<Bytes>>, Error> {
        let patient = self.client.retrying(PATIENCE);
        let read = patient.run(|client| {
            let sync = synced.then(|| client.sync(&self.path));
            let read = client.get_data(&self.path, None);
            async move {
                if let Some(sync) = sync {
                    sync.await?;
                }
                read.await
            }
        });
        match read.await {
            Ok((data, stat)) => Ok(Some(Stamped {
                value: Bytes::copy_from_slice(&data),
                stamp: Stamp::of(&stat),
            })),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// One write on condition, until it is known what became of it; `None` if somebody else was
    /// first.
    async fn write(
        &self,
        before: Option<Stamp>,
        value: &Bytes,
        in_doubt: &AtomicBool,
    ) -> Result<Option<Stamp>, Error> {
        if before.is_some_and(Stamp::is_unusable) {
            return Err(Error::invalid(
                "stamp",
                "version -1 cannot be a condition: write without one",
            ));
        }
        let mut witness = match &self.witness {
            Some(witness) => Some(witness.lock().await),
            None => None,
        };
        loop {
            let attempt = self.attempt(before, value, witness.as_deref_mut(), in_doubt);
            match attempt.await? {
                Attempt::Applied(stamp) => return Ok(Some(stamp)),
                Attempt::Conflict => return Ok(None),
                Attempt::Again => pause(&self.client).await,
            }
        }
    }

    async fn attempt(
        &self,
        before: Option<Stamp>,
        value: &Bytes,
        mut witness: Option<&mut Witness>,
        in_doubt: &AtomicBool,
    ) -> Result<Attempt, Error> {
        let trace = match &mut witness {
            Some(witness) => Some(witness.next(&self.client).await?),
            None => None,
        };
        self.client.ready().await?;
        let epoch = self.client.epoch();
        let mut write = self.conditional(before, value);
        if let Some((path, number)) = &trace {
            write = write.set_data(path, number, None);
        }
        in_doubt.store(true, Ordering::Relaxed);
        let committed = write.commit().await;
        let error = match committed {
            Ok(results) => return self.applied(before, &results).await.map(Attempt::Applied),
            Err(error) => error,
        };
        if error.is_outcome_unknown() {
            if self.client.epoch() != epoch {
                return Err(error.into());
            }
            return self.find_out(before, value, trace, error).await;
        }
        in_doubt.store(false, Ordering::Relaxed);
        let at = match &error {
            zk_client::Error::Transaction { index, .. } => *index,
            _ => 0,
        };
        match (error.code(), before) {
            (Some(ErrorCode::NoNode), _) if at > 0 => {
                if let Some(witness) = witness {
                    witness.forget();
                }
                Ok(Attempt::Again)
            }
            (Some(ErrorCode::NoNode), None) => {
                let parent = zk_proto::path::parent(&self.path).unwrap_or("/");
                create_parents(&self.client, parent).await?;
                Ok(Attempt::Again)
            }
            (Some(ErrorCode::NodeExists), None)
            | (Some(ErrorCode::BadVersion | ErrorCode::NoNode), Some(_)) => Ok(Attempt::Conflict),
            _ if error.is_retryable() => Ok(Attempt::Again),
            _ => Err(error.into()),
        }
    }

    fn conditional(&self, before: Option<Stamp>, value: &Bytes) -> Transaction<'_> {
        let write = self.client.transaction();
        match before {
            None => write.create2(&self.path, value, self.options.clone()),
            Some(before) => {
                let write = write.set_data(&self.path, value, before.version);
                if before.skips() {
                    write.set_data(&self.path, value, None)
                } else {
                    write
                }
            }
        }
    }

    /// The stamp that an applied write left.
    async fn applied(&self, before: Option<Stamp>, results: &[OpResult]) -> Result<Stamp, Error> {
        let own = usize::from(before.is_some_and(Stamp::skips));
        let stat = results.get(own).and_then(|result| match result {
            OpResult::SetData(stat) => Some(*stat),
            OpResult::Create2(_, stat) => *stat,
            OpResult::Check | OpResult::Create(_) | OpResult::Delete => None,
        });
        match stat {
            Some(stat) => Ok(Stamp::of(&stat)),
            None => self.stamp_after(before).await,
        }
    }

    /// The stamp that an applied write left, where the server did not give it
    /// (ZOOKEEPER-4026), or its answer was lost.
    async fn stamp_after(&self, before: Option<Stamp>) -> Result<Stamp, Error> {
        match before {
            Some(before) => Ok(Stamp {
                version: before.version.wrapping_add(1 + i32::from(before.skips())),
                ..before
            }),
            None => {
                let found = self.read(true).await?;
                let czxid = found.map_or(zk_client::Zxid(0), |found| found.stamp.czxid);
                Ok(Stamp { czxid, version: 0 })
            }
        }
    }

    fn has_planted(&self, bug: &'static str) -> bool {
        self.client.env().probe().has_planted(bug)
    }

    /// What became of a write in this session whose answer was lost. The sync is ordered
    /// behind it: whatever of it is not seen now never comes.
    async fn find_out(
        &self,
        before: Option<Stamp>,
        value: &Bytes,
        trace: Option<(String, [u8; 8])>,
        error: zk_client::Error,
    ) -> Result<Attempt, Error> {
        let epoch = self.client.epoch();
        // A look that fails says nothing about the write.
        let Ok(found) = self.read(true).await else {
            return Err(error.into());
        };
        let Some((witness, number)) = trace else {
            let found = found.as_ref().map(|it| (&*it.value, it.stamp));
            return match judge(before, value, found) {
                Verdict::NotApplied if self.client.epoch() == epoch => Ok(Attempt::Again),
                Verdict::Unknown if self.has_planted("recipes: unknown write repeated") => {
                    Ok(Attempt::Again)
                }
                Verdict::NotApplied | Verdict::Unknown => Err(error.into()),
            };
        };
        let patient = self.client.retrying(PATIENCE);
        match patient.run(|client| client.get_data(&witness, None)).await {
            Ok((data, _)) if *data == number => {
                let stamp = self.stamp_after(before).await;
                stamp.map(Attempt::Applied).map_err(|_| error.into())
            }
            Ok(_) => Ok(Attempt::Again),
            // The session expired, and the trace with it; or there is no telling.
            Err(_) => Err(error.into()),
        }
    }

    /// After a lost race: longer with each, and not all for the same time.
    async fn step_back(&self, conflicts: u32) {
        let env = self.client.env();
        let longest = FIRST_PAUSE * 2_u32.pow(conflicts.min(MAX_DOUBLINGS));
        let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        let micros = env.rng("zk-recipes-counter").below(longest.max(1));
        let until = env.now() + Duration::from_micros(micros);
        sleep_until(&mut *env.timer(), until).await;
    }

    /// The cell's znode.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }
}

/// Options of a [`CasCell`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct CasCellBuilder {
    client: Client,
    path: String,
    acl: Option<Vec<Acl>>,
    deadline: Duration,
    witnesses: Option<String>,
    lock: Option<Mutex>,
}

impl CasCellBuilder {
    /// The ACL of a znode that is made. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// How long each call may take. Default: the client's for operations.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Has each write leave a trace, so that after a lost connection it is known what became
    /// of it: in an ephemeral per writer, below the znode `witnesses`, which should be no
    /// other recipe's. Writes of one cell and its clones then take turns. Default: no trace.
    pub fn exactly_once(mut self, witnesses: impl Into<String>) -> Self {
        self.witnesses = Some(witnesses.into());
        self
    }

    /// Has an update that lost some races take this lock, as Curator's promotion to a mutex.
    /// Default: no lock.
    pub fn lock(mut self, lock: Mutex) -> Self {
        self.lock = Some(lock);
        self
    }

    /// The cell.
    ///
    /// # Errors
    ///
    /// A path cannot be used.
    pub fn build(self) -> Result<CasCell, Error> {
        check(&self.path)?;
        self.witnesses.as_deref().map_or(Ok(()), check)?;
        let options = CreateOptions::from(CreateMode::Persistent);
        let witness = |directory| Arc::new(AsyncMutex::new(Witness::new(directory)));
        Ok(CasCell {
            client: self.client,
            path: self.path,
            options: match self.acl {
                Some(acl) => options.with_acl(acl),
                None => options,
            },
            deadline: self.deadline,
            witness: self.witnesses.map(witness),
            lock: self.lock,
        })
    }
}
