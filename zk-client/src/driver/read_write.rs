//! While connected to a read-only server: looking for a read-write one.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use zk_env::{BoxFuture, sleep_until};
use zk_proto::HostPort;

use super::Driver;
use super::four_letter::FourLetterWords;
use crate::session::SessionState;

/// Java's schedule: doubled before each probe.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Asks one server after the other whether it is read-write.
pub(super) struct ReadWriteSearch {
    probe: Option<BoxFuture<bool>>,
    pause: Duration,
}

impl ReadWriteSearch {
    pub(super) const fn new() -> Self {
        Self {
            probe: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Ready once one was found. Idle unless the session is read-only.
    pub(super) fn poll(&mut self, driver: &Driver, cx: &mut Context<'_>) -> Poll<()> {
        if self.probe.is_none() && !is_read_only(driver) {
            return Poll::Pending;
        }
        loop {
            let probe = self.probe.get_or_insert_with(|| {
                self.pause = (self.pause * 2).min(MAX_PAUSE);
                let host = driver.shared.host_book().hosts.rotate();
                probe_later(driver, host, self.pause)
            });
            match probe.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(true) => return Poll::Ready(()),
                Poll::Ready(false) => self.probe = None,
            }
        }
    }
}

fn is_read_only(driver: &Driver) -> bool {
    matches!(
        *driver.shared.state.borrow(),
        SessionState::ConnectedReadOnly { .. }
    )
}

fn probe_later(driver: &Driver, host: HostPort, pause: Duration) -> BoxFuture<bool> {
    let words = FourLetterWords::of(driver);
    let shared = Arc::clone(&driver.shared);
    Box::pin(async move {
        let mut timer = words.env.timer();
        sleep_until(&mut *timer, words.env.now() + pause).await;
        // It answers `rw`, `ro` or `null`.
        let answer = words.ask_any(&host, "isro").await;
        let is_read_write = answer.is_ok_and(|answer| answer.trim() == "rw");
        tracing::debug!(%host, is_read_write, "probed for a read-write server");
        if is_read_write {
            shared.host_book().hosts.prefer(&host);
        }
        is_read_write
    })
}
