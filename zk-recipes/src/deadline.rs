//! Until when something may take.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use zk_client::Client;
use zk_env::{Mono, sleep_until};

use crate::error::Error;

/// A point in time at which waiting ends, or none.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Option<Mono>,
    allowed: Duration,
}

impl Deadline {
    /// As long as it takes.
    pub const NEVER: Self = Self {
        at: None,
        allowed: Duration::MAX,
    };

    /// `allowed` from now, on the client's clock.
    pub fn within(client: &Client, allowed: Duration) -> Self {
        Self {
            at: Some(client.env().now() + allowed),
            allowed,
        }
    }

    /// [`within`](Self::within), or never.
    pub fn optional(client: &Client, allowed: Option<Duration>) -> Self {
        allowed.map_or(Self::NEVER, |allowed| Self::within(client, allowed))
    }

    /// The time allowed.
    pub const fn allowed(&self) -> Duration {
        self.allowed
    }

    /// The error that says it has passed.
    pub const fn exceeded(&self) -> Error {
        Error::DeadlineExceeded {
            deadline: self.allowed,
        }
    }

    /// The future's output, or `None` once the deadline has passed; the future is then
    /// dropped.
    pub async fn bound<T>(&self, client: &Client, future: impl Future<Output = T>) -> Option<T> {
        let Some(at) = self.at else {
            return Some(future.await);
        };
        let mut timer = client.env().timer();
        match select(pin!(future), pin!(sleep_until(&mut *timer, at))).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }
}
