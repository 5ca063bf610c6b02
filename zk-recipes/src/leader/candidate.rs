//! A participant that stands for election until it is closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use zk_env::{TaskHandle, sleep_until};

use super::election::Campaign;
use super::latch::LeaderLatch;
use crate::error::Error;
use crate::guard::Guard;
use crate::ownership::{FencingToken, Ownership};

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
    /// Terms to end; one at a time.
    resign: mpsc::Sender<FencingToken>,
    task: TaskHandle,
}

impl Candidate {
    pub(super) fn start(latch: LeaderLatch) -> Self {
        let leadership = Arc::new(watch::Sender::new(Leadership::Waiting));
        let (close, closing) = oneshot::channel();
        let (resign, resigning) = mpsc::channel(1);
        let orders = Orders { closing, resigning };
        let task = stand(latch.clone(), Arc::clone(&leadership), orders);
        let env = latch.client().env();
        Self {
            task: env.spawn("zk-recipes-candidate", Box::pin(task)),
            leadership,
            close: Some(close),
            resign,
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

    /// Hands leadership over, as [`LeaderLatch::hand_over`] does, and stands again at the end
    /// of the line. Returns when it leads no more.
    ///
    /// # Errors
    ///
    /// As [`LeaderLatch::make_way`]; `HandoverRefused` also while it does not lead. The leadership
    /// goes on then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the request back, unless the way was clear already.
    pub async fn hand_over(&self, to: &str, within: Duration) -> Result<(), Error> {
        let leadership = match &*self.leadership.borrow() {
            Leadership::Leading(ownership) => ownership.clone(),
            Leadership::Waiting | Leadership::Closed(_) => {
                return Err(Error::HandoverRefused {
                    to: to.into(),
                    reason: "this participant does not lead",
                });
            }
        };
        self.latch.make_way(&leadership, to, within).await?;
        // A task that is gone has resigned.
        if self.resign.send(leadership.fencing_token()).await.is_ok() {
            leadership.lost().await;
        }
        Ok(())
    }

    /// Gives up the place in line, or resigns, and waits until that is proven. Only a place that
    /// it is about to take at that moment is left to the client's reaper.
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
async fn stand(latch: LeaderLatch, leadership: Arc<watch::Sender<Leadership>>, mut orders: Orders) {
    loop {
        let error = match latch.campaign_unless(&mut orders.closing).await {
            Ok(Campaign::Stopped(closed, left)) => return done(closed, left),
            Ok(Campaign::Won(guard)) => {
                leadership.send_replace(Leadership::Leading(guard.ownership()));
                match reign(&guard, &mut orders).await {
                    End::Closed(closed) => return done(closed, guard.release().await),
                    End::Resigned => {
                        if let Err(error) = guard.release().await {
                            tracing::debug!(path = latch.path(), %error, "not resigned");
                        }
                    }
                    End::Lost => {}
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

/// What the task is told.
struct Orders {
    closing: oneshot::Receiver<oneshot::Sender<Result<(), Error>>>,
    resigning: mpsc::Receiver<FencingToken>,
}

/// How a term ends.
enum End {
    Lost,
    Resigned,
    Closed(Closed),
}

async fn reign(guard: &Guard, orders: &mut Orders) -> End {
    loop {
        tokio::select! {
            biased;
            closed = &mut orders.closing => return End::Closed(closed),
            _ = guard.lost() => return End::Lost,
            // What was meant for a term that had ended by itself is too late.
            Some(token) = orders.resigning.recv() => if token == guard.fencing_token() {
                return End::Resigned;
            },
        }
    }
}

fn done(closed: Closed, result: Result<(), Error>) {
    if let Ok(done) = closed {
        // Whoever stopped waiting does not want to know.
        let _ = done.send(result);
    }
}
