//! The timer on tokio's clock, real or paused.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::time::{Mono, Timer};

/// Thirty years: what lies further ahead is never waited for.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A [`Timer`] over one `Sleep`, boxed once.
pub struct TokioTimer {
    /// The instant that [`Mono::ZERO`] stands for.
    origin: Instant,
    sleep: Pin<Box<Sleep>>,
    /// The deadline is too far away to be waited for. The sleep is then not
    /// registered with the runtime, or a paused clock with nothing else to do
    /// would jump to it.
    never: bool,
}

impl TokioTimer {
    /// A timer that is never ready; `origin` is the instant of [`Mono::ZERO`].
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            sleep: Box::pin(unregistered()),
            never: true,
        }
    }
}

fn unregistered() -> Sleep {
    tokio::time::sleep_until(Instant::now() + FAR)
}

impl Timer for TokioTimer {
    fn reset(&mut self, deadline: Mono) {
        let ahead = deadline.since_origin();
        let never = ahead >= FAR;
        if !never {
            self.sleep.as_mut().reset(self.origin + ahead);
        } else if !self.never {
            self.sleep.set(unregistered());
        }
        self.never = never;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.never {
            return Poll::Pending;
        }
        self.sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::sleep_until;

    fn at(secs: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(secs))
    }

    /// Whether the timer is ready, without waiting.
    async fn expired(timer: &mut dyn Timer) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(timer.poll_expired(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_moves_the_deadline_later_and_earlier() {
        let origin = Instant::now();
        let mut timer = TokioTimer::new(origin);
        timer.reset(at(10));
        assert!(!expired(&mut timer).await);
        sleep_until(&mut timer, at(20)).await;
        assert_eq!(origin.elapsed(), Duration::from_secs(20));
        timer.reset(at(60));
        assert!(!expired(&mut timer).await);
        sleep_until(&mut timer, at(30)).await;
        assert_eq!(origin.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_past_deadline_is_ready_at_once_and_stays_so() {
        let origin = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        let mut timer = TokioTimer::new(origin);
        timer.reset(at(1));
        assert!(expired(&mut timer).await);
        assert!(expired(&mut timer).await);
        timer.reset(at(6));
        assert!(!expired(&mut timer).await);
    }

    /// The paused clock jumps to the next registered timer, so a deadline that
    /// is never must not be one.
    #[tokio::test(start_paused = true)]
    async fn an_unset_timer_does_not_pull_the_clock() {
        let origin = Instant::now();
        let (mut fresh, mut unset) = (TokioTimer::new(origin), TokioTimer::new(origin));
        unset.reset(at(10));
        assert!(!expired(&mut unset).await);
        unset.reset(Mono::MAX);
        assert!(!expired(&mut fresh).await && !expired(&mut unset).await);
        let mut timer = TokioTimer::new(origin);
        sleep_until(&mut timer, at(3600)).await;
        assert_eq!(origin.elapsed(), Duration::from_secs(3600));
        assert!(!expired(&mut fresh).await && !expired(&mut unset).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_wait_leaves_the_deadline_set() {
        let origin = Instant::now();
        let mut timer = TokioTimer::new(origin);
        let wait = sleep_until(&mut timer, at(10));
        assert!(
            tokio::time::timeout(Duration::from_secs(4), wait)
                .await
                .is_err()
        );
        std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
        assert_eq!(origin.elapsed(), Duration::from_secs(10));
    }
}
