//! Clients that write all the time, every value another, and a ledger of what was
//! acknowledged, refused and left in doubt: for ensembles whose servers die meanwhile.
//!
//! [`Load`] is all of it, a `Hand` the writer of a few znodes that nobody else writes,
//! [`Ledger`] what must be there at the end and what must not.

mod hand;
mod ledger;
mod register;
mod verdict;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zk_client::{Client, CreateMode};
use zk_env::TaskHandle;

use self::hand::Hand;
pub use self::ledger::{Counts, Fate, Ledger};
pub use self::verdict::{Verdict, verify};
use crate::processes::Failure;
use crate::wait::holds_within;

/// Everything written is below it.
pub const ROOT: &str = "/load";

/// Set by all hands.
const REGISTER: &str = "/load/register";

/// As long as the servers allow: nobody's session ends while servers come and go.
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// Writers per client.
const HANDS: usize = 4;

/// How long it may take until the ensemble writes again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writers at work.
pub struct Load {
    clients: Vec<Client>,
    hands: Vec<TaskHandle>,
    shared: Arc<Shared>,
}

/// What hands have in common.
struct Shared {
    /// One permit per hand, taken for each write: who has them all has stopped the load.
    turns: Arc<Semaphore>,
    is_over: AtomicBool,
    ledger: Mutex<Ledger>,
}

impl Shared {
    /// A hand that panicked has left no entry half-made.
    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// As long as it is held no write is under way.
#[derive(Debug)]
#[must_use]
pub struct Paused {
    _turns: OwnedSemaphorePermit,
}

impl Load {
    /// Has so many clients write on the servers of a connect string, at most one write of
    /// each hand every `pause`.
    ///
    /// # Errors
    ///
    /// There is no session, or the first znodes cannot be created.
    pub async fn start(servers: &str, clients: usize, pause: Duration) -> Result<Self, Failure> {
        let hands = clients * HANDS;
        let shared = Arc::new(Shared {
            turns: Arc::new(Semaphore::new(hands)),
            is_over: AtomicBool::new(false),
            ledger: Mutex::default(),
        });
        let mut load = Self {
            clients: Vec::new(),
            hands: Vec::new(),
            shared,
        };
        for _ in 0..clients {
            load.clients.push(connect(servers).await?);
        }
        load.prepare().await?;
        for hand in 0..hands {
            load.spawn(hand, pause).await?;
        }
        Ok(load)
    }

    async fn prepare(&self) -> Result<(), Failure> {
        let client = &self.clients[0];
        for path in [ROOT, REGISTER] {
            let created = client.create(path, b"", CreateMode::Persistent).await;
            created.map_err(|error| format!("{path}: {error}"))?;
            self.shared.ledger().prepared(path);
        }
        Ok(())
    }

    async fn spawn(&mut self, number: usize, pause: Duration) -> Result<(), Failure> {
        let client = &self.clients[number / HANDS];
        let hand = Hand::new(number, client.clone(), Arc::clone(&self.shared), pause);
        hand.prepare().await?;
        let work = Box::pin(hand.work());
        self.hands.push(client.env().spawn("hand", work));
        Ok(())
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.ledger().counts().acknowledged
    }

    /// Waits until so many more writes have been acknowledged.
    ///
    /// # Errors
    ///
    /// They are not, for a minute; or an answer has contradicted the ledger.
    pub async fn until_more(&self, writes: usize) -> Result<(), Failure> {
        let enough = self.acknowledged() + writes;
        let is_done = async || self.is_violated() || self.acknowledged() >= enough;
        if !holds_within(PATIENCE, is_done).await {
            let (there, ledger) = (self.acknowledged(), self.shared.ledger());
            let last_error = ledger.last_error().unwrap_or("none failed");
            return Err(format!(
                "{there} of {enough} writes acknowledged after {PATIENCE:?}; the last error: {last_error}"
            )
            .into());
        }
        self.verify_answers()
    }

    fn is_violated(&self) -> bool {
        !self.shared.ledger().violations().is_empty()
    }

    /// Whether every answer so far was possible by the ledger.
    ///
    /// # Errors
    ///
    /// Those that were not.
    pub fn verify_answers(&self) -> Result<(), Failure> {
        match self.shared.ledger().violations() {
            [] => Ok(()),
            violations => Err(violations.join("\n").into()),
        }
    }

    /// Waits until no write is under way, and has none begin while the result is held.
    ///
    /// # Errors
    ///
    /// Writes are under way for a minute.
    pub async fn pause(&self) -> Result<Paused, Failure> {
        let all = u32::try_from(self.hands.len())?;
        let turns = Arc::clone(&self.shared.turns).acquire_many_owned(all);
        let turns = crate::wait::ready_within(PATIENCE, turns).await;
        let turns = turns.ok_or_else(|| format!("a write is under way after {PATIENCE:?}"))?;
        Ok(Paused { _turns: turns? })
    }

    /// A client of the load's, for whoever wants to look.
    pub fn client(&self) -> &Client {
        &self.clients[0]
    }

    /// Has all hands end, and returns the ledger. Sessions go on, and with them ephemerals,
    /// until [`Ended::close`].
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub async fn end(self) -> Result<Ended, Failure> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        drop(self.pause().await?);
        for hand in self.hands {
            hand.await;
        }
        let ledger = std::mem::take(&mut *self.shared.ledger());
        Ok(Ended {
            clients: self.clients,
            ledger,
        })
    }
}

/// A load that has come to its end.
pub struct Ended {
    clients: Vec<Client>,
    /// What must be there.
    pub ledger: Ledger,
}

impl Ended {
    /// Ends the sessions.
    ///
    /// # Errors
    ///
    /// A server does not answer.
    pub async fn close(self) -> Result<(), Failure> {
        for client in self.clients {
            client.close().await?;
        }
        Ok(())
    }
}

/// A client that is back soon after a server has died.
///
/// # Errors
///
/// There is no session.
pub async fn connect(servers: &str) -> Result<Client, Failure> {
    let client = Client::builder(servers)
        .session_timeout(SESSION_TIMEOUT)
        .connect_deadline(PATIENCE)
        .operation_deadline(PATIENCE)
        .reconnect_backoff(Duration::from_millis(10), Duration::from_millis(200))
        .connect()
        .await?;
    Ok(client)
}
