//! A participant that stands for election until it is closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use zk_env::{TaskHandle, sleep_until};

use super::latch::LeaderLatch;
use crate::error::Error;
use crate::guard::Guard;
use crate::ownership::Ownership;

/// Before it stands again after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a [`Candidate`] stands.
#[derive(Clone, Debug)]
pub enum Leadership {
    /// In line, or about to get there.
    Waiting,
    /// It leads. Whether that is in doubt, the ownership says.
    Leading(Ownership),
    /// It stands no longer: it was closed, or it failed for good.
    Closed(Option<Error>),
}

/// Whether those who watch a candidate hear of its closing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseMode {
    /// They do not: the value changes, and nobody is woken for it.
    #[default]
    Silent,
    /// They do.
    Notify,
}

/// A participant in the background; made by [`LeaderLatch::start`]. After a lost leadership or an
/// expired session it stands again, at the end of the line. Dropping it closes it.
#[derive(Debug)]
pub struct Candidate {
    latch: LeaderLatch,
    leadership: Arc<watch::Sender<Leadership>>,
    close: Option<oneshot::Sender<oneshot::Sender<Result<(), Error>>>>,
    task: TaskHandle,
}

impl Candidate {
    pub(super) fn start(latch: LeaderLatch) -> Self {
        let leadership = Arc::new(watch::Sender::new(Leadership::Waiting));
        let (close, closing) = oneshot::channel();
        let task = stand(latch.clone(), Arc::clone(&leadership), closing);
        let env = latch.client().env();
        Self {
            task: env.spawn("zk-recipes-candidate", Box::pin(task)),
            leadership,
            close: Some(close),
            latch,
        }
    }

    /// Where it stands, as a value that can be read, awaited, and not missed.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// The election.
    pub const fn latch(&self) -> &LeaderLatch {
        &self.latch
    }

    /// Gives up the place in line, or resigns, and waits until that is proven.
    ///
    /// # Errors
    ///
    /// As [`Guard::release`]; the error it had failed with, if it had.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the rest to the reaper.
    pub async fn close(mut self, mode: CloseMode) -> Result<(), Error> {
        let (done, closed) = oneshot::channel();
        let is_running = self
            .close
            .take()
            .is_some_and(|close| close.send(done).is_ok());
        let result = if is_running {
            // A task that was aborted has left everything to the reaper.
            closed.await.unwrap_or(Ok(()))
        } else {
            match &*self.leadership.borrow() {
                Leadership::Closed(Some(error)) => Err(error.clone()),
                Leadership::Waiting | Leadership::Leading(_) | Leadership::Closed(None) => Ok(()),
            }
        };
        self.publish_closed(mode);
        result
    }

    fn publish_closed(&self, mode: CloseMode) {
        self.leadership.send_if_modified(|leadership| {
            let was_open = !matches!(leadership, Leadership::Closed(_));
            if was_open {
                *leadership = Leadership::Closed(None);
            }
            was_open && mode == CloseMode::Notify
        });
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.task.abort();
        self.publish_closed(CloseMode::Notify);
    }
}

/// Stands again and again.
async fn stand(
    latch: LeaderLatch,
    leadership: Arc<watch::Sender<Leadership>>,
    mut closing: oneshot::Receiver<oneshot::Sender<Result<(), Error>>>,
) {
    loop {
        let campaign = tokio::select! {
            biased;
            closed = &mut closing => return done(closed, Ok(())),
            campaign = latch.campaign() => campaign,
        };
        let error = match campaign {
            Ok(guard) => {
                leadership.send_replace(Leadership::Leading(guard.ownership()));
                if let Some(closed) = reign(&guard, &mut closing).await {
                    return done(closed, guard.release().await);
                }
                leadership.send_replace(Leadership::Waiting);
                continue;
            }
            Err(error) => error,
        };
        if !error.is_retryable() {
            tracing::warn!(path = latch.path(), %error, "stands for election no longer");
            leadership.send_replace(Leadership::Closed(Some(error)));
            return;
        }
        tracing::debug!(path = latch.path(), %error, "stands for election again");
        let env = latch.client().env();
        sleep_until(&mut *env.timer(), env.now() + PAUSE).await;
    }
}

type Closed = Result<oneshot::Sender<Result<(), Error>>, oneshot::error::RecvError>;

/// Until it is lost: `None`, or closed.
async fn reign(
    guard: &Guard,
    closing: &mut oneshot::Receiver<oneshot::Sender<Result<(), Error>>>,
) -> Option<Closed> {
    tokio::select! {
        biased;
        closed = closing => Some(closed),
        _ = guard.lost() => None,
    }
}

fn done(closed: Closed, result: Result<(), Error>) {
    if let Ok(done) = closed {
        // Whoever stopped waiting does not want to know.
        let _ = done.send(result);
    }
}
