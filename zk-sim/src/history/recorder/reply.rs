//! A reply whose end is written down.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use zk_client::Error;

use super::{CallIndex, Recorder};
use crate::Sim;
use crate::history::recorder::answer::{About, outcome};
use crate::history::{At, Outcome};

/// The future of a recorded call; dropping it is written down too.
#[must_use = "the request is sent in any case, but only awaiting tells whether it succeeded"]
pub struct Recorded<F, T> {
    inner: F,
    /// Taken when the end has been written down.
    index: Option<CallIndex>,
    called: At,
    recorder: Recorder,
    sim: Sim,
    about: About,
    answer: fn(&T, &About) -> Outcome,
}

impl<F, T> Recorded<F, T> {
    pub(super) fn new(
        inner: F,
        (index, called): (CallIndex, At),
        (recorder, sim): (Recorder, Sim),
        about: About,
        answer: fn(&T, &About) -> Outcome,
    ) -> Self {
        Self {
            inner,
            index: Some(index),
            called,
            recorder,
            sim,
            about,
            answer,
        }
    }
}

impl<F, T> Future for Recorded<F, T>
where
    F: Future<Output = Result<T, Error>> + Unpin,
{
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(&mut self.inner).poll(cx));
        if let Some(index) = self.index.take() {
            let outcome = outcome(&result, &self.about, self.answer);
            self.recorder.ended(index, self.sim.elapsed(), outcome);
        }
        Poll::Ready(result)
    }
}

impl<F, T> Drop for Recorded<F, T> {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            // A runtime that is being taken down has no simulated time any more.
            let at = match Handle::try_current() {
                Ok(_) => self.sim.elapsed(),
                Err(_) => self.called,
            };
            self.recorder.ended(index, at, Outcome::Dropped);
        }
    }
}

impl<F, T> fmt::Debug for Recorded<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("path", &self.about.path)
            .field("is_over", &self.index.is_none())
            .finish_non_exhaustive()
    }
}
