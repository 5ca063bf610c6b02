//! The task that lets segments arrive on time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

use crate::sim::Shared;

/// Visits the network whenever something is due; the visit itself delivers.
/// Ends when the network is gone.
pub(crate) struct Pump {
    sim: Weak<Shared>,
    sleep: Pin<Box<Sleep>>,
}

impl Pump {
    pub(crate) fn new(sim: Weak<Shared>) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(Instant::now()));
        Self { sim, sleep }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(sim) = self.sim.upgrade() else {
                return Poll::Ready(());
            };
            let Some(due) = sim.with(|world| world.next_due(cx.waker())) else {
                return Poll::Pending;
            };
            self.sleep.as_mut().reset(due);
            ready!(self.sleep.as_mut().poll(cx));
        }
    }
}
