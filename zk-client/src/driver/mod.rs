//! The one task of a client: it carries bytes between the session and a server.
//!
//! A turn goes: read, write, outputs, timer; bounded, so that the task gives way
//! to others. Handles reach the session through a short lock and wake the task.

mod busy_poll;
mod connect;
mod four_letter;
mod read_write;
mod regression;
mod serve;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use busy_poll::BusyPoll;
use futures_util::task::AtomicWaker;
use regression::Refusals;
use tokio::sync::watch;
use zk_env::{Env, EnvRng, Mono, Probe, Timer};
use zk_proto::HostPort;

use crate::config::{Config, Connector, Resolver};
use crate::error::Attempt;
use crate::hosts::Hosts;
use crate::metrics;
use crate::session::{Cause, Now, Output, Session, SessionState};
use crate::watcher::{WatcherHome, WatcherId};

/// What handles and the task share.
pub(crate) struct Shared {
    pub(crate) env: Arc<dyn Env>,
    session: Mutex<Session>,
    /// What a simulator sees and disturbs.
    pub(crate) probe: Probe,
    /// The task sleeps here.
    driver: AtomicWaker,
    pub(crate) state: watch::Sender<SessionState>,
    pub(crate) hosts: Mutex<HostBook>,
    /// Set when the list of servers says to leave the current one.
    should_move: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("env", &self.env)
            .finish_non_exhaustive()
    }
}

/// The servers and what came of trying them.
#[derive(Debug)]
pub(crate) struct HostBook {
    pub(crate) hosts: Hosts,
    /// The server connected to.
    pub(crate) current: Option<HostPort>,
    /// The last failure of each server, in the order they were tried.
    pub(crate) attempts: Vec<Attempt>,
}

/// Servers whose last failure is remembered for `ConnectError`.
const MAX_ATTEMPTS: usize = 64;

impl HostBook {
    fn failed(&mut self, host: &HostPort, reason: String) {
        tracing::debug!(%host, reason, "attempt failed");
        self.attempts.retain(|attempt| attempt.host != *host);
        if self.attempts.len() < MAX_ATTEMPTS {
            self.attempts.push(Attempt {
                host: host.clone(),
                reason,
            });
        }
    }
}

impl Shared {
    pub(crate) fn new(env: Arc<dyn Env>, session: Session, hosts: Hosts) -> Self {
        Self {
            probe: env.probe(),
            env,
            session: Mutex::new(session),
            driver: AtomicWaker::new(),
            state: watch::Sender::new(SessionState::Connecting),
            hosts: Mutex::new(HostBook {
                hosts,
                current: None,
                attempts: Vec::new(),
            }),
            should_move: AtomicBool::new(false),
        }
    }

    /// The session, for a moment.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn host_book(&self) -> MutexGuard<'_, HostBook> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to do.
    pub(crate) fn wake(&self) {
        self.driver.wake();
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono: self.env.now(),
            boot: self.env.boot_now(),
        }
    }

    /// Leave the current server for another of the list.
    pub(crate) fn request_move(&self) {
        self.should_move.store(true, Ordering::Release);
        self.wake();
    }

    fn take_move(&self) -> bool {
        self.should_move.load(Ordering::Relaxed) && self.should_move.swap(false, Ordering::Acquire)
    }
}

impl WatcherHome for Shared {
    fn forget(&self, watcher: WatcherId) {
        self.session().forget(watcher);
        self.wake();
    }
}

/// The task's own belongings.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    connector: Arc<dyn Connector>,
    resolver: Arc<dyn Resolver>,
    frame_limit: usize,
    busy_poll: BusyPoll,
    timer: Box<dyn Timer>,
    /// What the timer is set to; resetting it is not free.
    armed: Mono,
    rng: EnvRng,
    refusals: Refusals,
    /// Reused between turns.
    outputs: Vec<Output>,
}

/// No silent death: should the runtime shut down under a live client, or the driver
/// panic, every call and watcher is still told.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.shared.session().is_over() {
            self.shared.probe.reached("client: driver dropped early");
        }
        self.shared.session().abandon();
        self.carry_out();
    }
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, config: &Config) -> Self {
        let mut timer = shared.env.timer();
        timer.reset(Mono::MAX);
        Self {
            connector: Arc::clone(&config.connector),
            resolver: Arc::clone(&config.resolver),
            frame_limit: config.reply_limit,
            busy_poll: BusyPoll::new(config.busy_poll),
            timer,
            armed: Mono::MAX,
            rng: shared.env.rng("zk-client-driver"),
            refusals: Refusals::default(),
            outputs: Vec::new(),
            shared,
        }
    }

    /// Runs until the client is terminal.
    pub(crate) async fn run(mut self) {
        while let Some(connection) = self.connect().await {
            let host = connection.host.clone();
            let cause = self.serve(connection).await;
            self.shared.host_book().current = None;
            // Whatever it was about, this connection is left already.
            self.shared.take_move();
            metrics::disconnected(&cause);
            if !self.shared.state.borrow().is_connected() && !cause.is_planned() {
                self.shared.host_book().failed(&host, cause.to_string());
            }
            let now = self.shared.now();
            let was_refused = {
                let mut session = self.shared.session();
                let was_refused = session.is_refused(&cause);
                session.handle_disconnected(now, &cause);
                was_refused
            };
            self.carry_out();
            if was_refused {
                self.note_refusal(&host).await;
            } else {
                self.refusals.reset();
            }
        }
        self.carry_out();
    }

    /// Does what the session wants done, in order. Returns why to drop the
    /// connection if it said so.
    fn carry_out(&mut self) -> Option<Cause> {
        let mut cause = None;
        let mut outputs = std::mem::take(&mut self.outputs);
        {
            let mut session = self.shared.session();
            outputs.extend(std::iter::from_fn(|| session.poll_output()));
        }
        for output in outputs.drain(..) {
            match output {
                // Nobody waiting is as good as an answer taken.
                Output::Reply(slot, result) => {
                    if slot.send(result).is_err() {
                        self.shared.probe.reached("client: dropped call answered");
                    }
                }
                Output::Event(watcher, event) => {
                    metrics::watch_event();
                    if watcher.push(event) {
                        self.shared.probe.reached("client: watcher lagged");
                    }
                }
                Output::Detach(watcher) => watcher.detach(),
                Output::State(state) => {
                    self.shared.state.send_replace(state);
                }
                Output::Disconnect(why) => cause = cause.or(Some(why)),
                Output::Wake(waker) => waker.wake(),
            }
        }
        self.outputs = outputs;
        cause
    }

    /// Lets the session act on the time, and sets the timer for its next deadline.
    /// Ready if the timer has to be looked at again.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.shared.session().poll_timeout();
        // A timer that fires early only costs a turn; moving it at every change
        // would cost more.
        if deadline < self.armed {
            self.armed = deadline;
            self.timer.reset(deadline);
        }
        let probe = &self.shared.probe;
        if self.timer.poll_expired(cx).is_pending()
            && !probe.buggify("client: look at the time early")
        {
            return Poll::Pending;
        }
        let now = self.shared.now();
        let deadline = {
            let mut session = self.shared.session();
            session.handle_timeout(now);
            session.poll_timeout()
        };
        self.armed = deadline.max(now.mono);
        self.timer.reset(self.armed);
        Poll::Ready(())
    }

    /// Waits for `work` while the session's deadlines are kept. `None` once the
    /// client is terminal.
    async fn attend<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.shared.driver.register(cx.waker());
            loop {
                self.carry_out();
                if self.shared.session().is_over() {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(done) = work.as_mut().poll(cx) {
                    return Poll::Ready(Some(done));
                }
                if self.poll_timer(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}
