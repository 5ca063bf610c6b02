//! Retrying, for those who ask for it.

use std::fmt;
use std::time::Duration;

use zk_env::sleep_until;

use crate::client::Client;
use crate::error::Error;
use crate::schedule::{BackoffLimits, Schedule};

/// When to try again, and how often.
///
/// By default only what certainly was not applied is sent again. Pauses double from
/// `min` to `max`, with jitter.
///
/// ```
/// use std::time::Duration;
/// use zk_client::RetryPolicy;
/// let policy = RetryPolicy::new(5).with_backoff(Duration::from_millis(20), Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    attempts: u32,
    backoff: BackoffLimits,
    retries_unknown: bool,
}

impl RetryPolicy {
    /// At most `attempts` attempts, the first included; pauses from 50 ms to 2 s.
    pub const fn new(attempts: u32) -> Self {
        Self {
            attempts,
            backoff: BackoffLimits {
                min: Duration::from_millis(50),
                max: Duration::from_secs(2),
            },
            retries_unknown: false,
        }
    }

    /// Pauses between attempts.
    #[must_use]
    pub const fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.backoff = BackoffLimits { min, max };
        self
    }

    /// Also sends again what may have been applied. Right only for operations whose
    /// second application does no harm, such as an unconditional `set_data`; a
    /// repeated create may answer `NodeExists`, a repeated delete `NoNode`.
    #[must_use]
    pub const fn for_idempotent(mut self) -> Self {
        self.retries_unknown = true;
        self
    }

    fn allows(&self, error: &Error) -> bool {
        error.is_retryable() || (self.retries_unknown && error.is_outcome_unknown())
    }
}

/// Runs operations again as its policy allows; made by [`Client::retrying`].
#[derive(Clone)]
pub struct Retrying {
    client: Client,
    policy: RetryPolicy,
}

impl Retrying {
    pub(crate) const fn new(client: Client, policy: RetryPolicy) -> Self {
        Self { client, policy }
    }

    /// Calls `operation` until it succeeds, fails with an error the policy does not
    /// retry, or the attempts are used up; then with the last error. Each attempt
    /// takes a new place in line.
    ///
    /// ```no_run
    /// # async fn example(client: zk_client::Client) -> Result<(), zk_client::Error> {
    /// use zk_client::RetryPolicy;
    /// let (data, _) = client
    ///     .retrying(RetryPolicy::new(5))
    ///     .run(|client| client.get_data("/config", None))
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever the last attempt failed with.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the attempt under way applied or not.
    pub async fn run<T, F>(&self, mut operation: impl FnMut(&Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut schedule = Schedule::new(self.policy.backoff);
        let mut rng = None;
        for _ in 1..self.policy.attempts {
            match operation(&self.client).await {
                Err(error) if self.policy.allows(&error) => {
                    tracing::debug!(%error, "trying again");
                    let env = self.client.env();
                    let rng = rng.get_or_insert_with(|| env.rng("zk-client-retry"));
                    let mut timer = env.timer();
                    sleep_until(&mut *timer, env.now() + schedule.next_pause(rng)).await;
                }
                settled => return settled,
            }
        }
        operation(&self.client).await
    }
}

impl fmt::Debug for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Outcome;

    #[test]
    fn an_unknown_outcome_is_retried_only_if_that_is_harmless() {
        let unknown = Error::ConnectionLost {
            outcome: Outcome::Unknown,
        };
        let unsent = Error::ConnectionLost {
            outcome: Outcome::NotApplied,
        };
        let policy = RetryPolicy::new(3);
        assert!(policy.allows(&unsent) && !policy.allows(&unknown));
        assert!(policy.clone().for_idempotent().allows(&unknown));
        assert!(!policy.for_idempotent().allows(&Error::Closed));
    }
}
