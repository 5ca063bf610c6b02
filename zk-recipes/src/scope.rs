//! Work that ends with the ownership it is done under.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::select_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zk_env::sleep_until;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::guard::Guard;
use crate::keeper::LOOK_EVERY;
use crate::ownership::{Ownership, OwnershipState, Why};

/// How long the end of a term waits for its child tasks, which are dropped at their next
/// await point, before the znode goes in spite of them.
pub const CHILDREN_WITHIN: Duration = Duration::from_secs(5);

/// When work stops because of the ownership it is done under.
///
/// The work's future is dropped at its current await point. The clock that runs through
/// machine suspend is read before each poll of it and at least every 250 ms, so that a
/// machine that wakes up does not run it any further. **Code that blocks is not stopped**, nor
/// is what it has sent already: those are stopped by the fencing token alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// At the first doubt: when the connection is lost or the proof lapses. The safest, and the
    /// one that gives up most easily.
    OnSuspend,
    /// When the proof has less than `margin` to go, connected or not. Work goes on through a
    /// short disconnection, and stops before anybody else can own. Choose for the margin what
    /// the longest step between two awaits takes.
    AtDeadline {
        /// What is to be left of the proof.
        margin: Duration,
    },
    /// Only when the loss is certain. Between the end of the proof and that moment somebody
    /// else may own it too: for work that is fenced in all it does.
    OnLost,
}

impl Policy {
    fn verdict(self, ownership: &Ownership) -> Option<Why> {
        let now = ownership.client().env().boot_now();
        let state = ownership.current();
        match (self, state) {
            (_, OwnershipState::Lost(why)) => Some(why),
            (Self::OnSuspend, OwnershipState::InDoubt) => Some(Why::InDoubt),
            (Self::AtDeadline { margin }, _) if now + margin >= ownership.valid_until() => {
                Some(Why::Deadline)
            }
            (
                Self::OnSuspend | Self::AtDeadline { .. } | Self::OnLost,
                OwnershipState::Held { .. } | OwnershipState::InDoubt,
            ) => None,
        }
    }
}

/// How work under an ownership ended. Of a loss or a doubt this tells at once, while the server
/// is out of reach too; what is left to delete then, the client's reaper sees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the work may have been stopped half-way"]
pub enum Ended<T> {
    /// It ran to its end. What it did last may still have been done in doubt: the token tells.
    Finished(T),
    /// It was dropped half-way.
    Lost(Why),
}

impl<T> Ended<T> {
    /// The work's result, if it finished.
    pub fn finished(self) -> Option<T> {
        match self {
            Self::Finished(result) => Some(result),
            Self::Lost(_) => None,
        }
    }
}

/// One ownership while work is done under it: what [`Ownership`] tells, and child tasks that
/// end with it.
#[derive(Clone, Debug)]
pub struct Term {
    ownership: Ownership,
    ended: CancellationToken,
    children: TaskTracker,
}

impl Term {
    fn new(ownership: Ownership) -> Self {
        Self {
            ownership,
            ended: CancellationToken::new(),
            children: TaskTracker::new(),
        }
    }

    /// A view of the ownership to hand on.
    pub fn ownership(&self) -> Ownership {
        self.ownership.clone()
    }

    /// Runs a task that is dropped when the term ends. The znode goes only after it has gone,
    /// or after [`CHILDREN_WITHIN`]. A task spawned after the end is not run.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        let child = async move {
            tokio::select! {
                biased;
                () = ended.cancelled() => {}
                () = task => {}
            }
        };
        let child = self.children.track_future(child);
        let env = self.ownership.client().env();
        drop(env.spawn("zk-recipes-term", Box::pin(child)));
    }

    /// Waits for the end of the term.
    ///
    /// Cancel safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Stops the child tasks and waits for them, within bounds.
    async fn leave(&self) {
        self.ended.cancel();
        self.children.close();
        let client = self.ownership.client();
        let deadline = Deadline::within(client, CHILDREN_WITHIN);
        let left = deadline.bound(client, self.children.wait()).await;
        if left.is_none() {
            let (path, children) = (self.ownership.path(), self.children.len());
            tracing::warn!(path, children, "child tasks outlive their term");
        }
    }
}

impl Deref for Term {
    type Target = Ownership;

    fn deref(&self) -> &Ownership {
        &self.ownership
    }
}

/// What a scope holds: dropping it gives it up.
pub(crate) trait Hold: Send + 'static {
    /// What is held, one at least: the work is for as long as all of it is.
    fn ownerships(&self) -> Vec<Ownership>;

    fn release(self) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Hold for Guard {
    fn ownerships(&self) -> Vec<Ownership> {
        vec![self.ownership()]
    }

    fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        Self::release(self)
    }
}

/// A guard and the term under it. However it ends, the child tasks go before the znode.
struct Scope<H: Hold> {
    guard: Option<H>,
    term: Term,
}

impl<H: Hold> Scope<H> {
    /// The child tasks go, then the znode. Whoever has lost the ownership, or is in doubt of it,
    /// hears of that at once: the delete is the reaper's, since the server may be away.
    async fn leave(mut self, is_lost: bool) {
        self.term.leave().await;
        let guard = self.guard.take().filter(|_| !is_lost);
        if let Some(guard) = guard
            && let Err(error) = guard.release().await
        {
            tracing::debug!(path = self.term.path(), %error, "not released");
        }
    }
}

impl<H: Hold> Drop for Scope<H> {
    fn drop(&mut self) {
        self.term.ended.cancel();
        if let Some(guard) = self.guard.take()
            && !self.term.children.is_empty()
        {
            let term = self.term.clone();
            let leave = async move {
                term.leave().await;
                drop(guard);
            };
            let env = self.term.client().env();
            drop(env.spawn("zk-recipes-leave", Box::pin(leave)));
        }
    }
}

/// Runs `work` under `guard`, then releases it.
pub(crate) async fn run<T>(
    guard: impl Hold,
    policy: Policy,
    work: impl AsyncFnOnce(Term) -> T,
) -> Ended<T> {
    let held = guard.ownerships();
    let first = held.first().expect("a scope holds something").clone();
    let term = Term::new(first);
    let scope = Scope {
        guard: Some(guard),
        term: term.clone(),
    };
    let ended = supervise(&held, policy, work(term)).await;
    scope.leave(matches!(ended, Ended::Lost(_))).await;
    ended
}

/// Polls `work` only while the policy allows, for each of `held`; the work is gone when this
/// returns.
async fn supervise<T>(
    held: &[Ownership],
    policy: Policy,
    work: impl Future<Output = T>,
) -> Ended<T> {
    let env = held[0].client().env();
    let mut states: Vec<_> = held.iter().map(Ownership::state).collect();
    let mut timer = env.timer();
    let mut work = pin!(work);
    loop {
        states.iter_mut().for_each(|state| state.mark_unchanged());
        let verdict = || held.iter().find_map(|ownership| policy.verdict(ownership));
        let allowed = poll_fn(|cx| match verdict() {
            Some(why) => Poll::Ready(Ended::Lost(why)),
            None => work.as_mut().poll(cx).map(Ended::Finished),
        });
        let margin = match policy {
            Policy::AtDeadline { margin } => margin,
            Policy::OnSuspend | Policy::OnLost => Duration::ZERO,
        };
        let now = env.boot_now() + margin;
        let left = held
            .iter()
            .map(|ownership| ownership.valid_until().since(now));
        let pause = match left.min() {
            None | Some(Duration::ZERO) => LOOK_EVERY,
            Some(left) => left.min(LOOK_EVERY),
        };
        let changed = states.iter_mut().map(|state| Box::pin(state.changed()));
        tokio::select! {
            biased;
            ended = allowed => return ended,
            _ = select_all(changed) => {}
            () = sleep_until(&mut *timer, env.now() + pause) => {}
        }
    }
}
