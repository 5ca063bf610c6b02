//! The gate that every task of a peer is polled through.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use zk_env::{BoxFuture, Env, TaskHandle};

/// Whether the tasks of a peer run: while it is shut none of them is polled, as if the
/// process had been sent SIGSTOP. Ending a task gets through a shut gate.
#[derive(Default)]
pub(super) struct Gate {
    /// Changed under the lock of `parked` alone.
    is_shut: AtomicBool,
    /// Tasks that were to be polled while the gate was shut; at most all there are.
    parked: Mutex<BTreeMap<u64, Waker>>,
    next_task: AtomicU64,
}

impl Gate {
    /// Starts a task behind this gate.
    pub(super) fn spawn(
        self: &Arc<Self>,
        env: &dyn Env,
        name: &'static str,
        task: BoxFuture<()>,
    ) -> TaskHandle {
        let gated = Gated {
            gate: Arc::clone(self),
            id: self.next_task.fetch_add(1, Ordering::Relaxed),
            task,
        };
        env.spawn(name, Box::pin(gated))
    }

    /// A task that is being polled at this moment on another thread ends that poll.
    pub(super) fn shut(&self) {
        let _parked = self.lock();
        self.is_shut.store(true, Ordering::Release);
    }

    /// Lets tasks run that were woken meanwhile.
    pub(super) fn open(&self) {
        let mut parked = self.lock();
        self.is_shut.store(false, Ordering::Release);
        let woken = std::mem::take(&mut *parked);
        drop(parked);
        for waker in woken.into_values() {
            waker.wake();
        }
    }

    fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::Acquire)
    }

    /// Whether the task has to wait for the gate.
    fn parks(&self, id: u64, waker: &Waker) -> bool {
        if !self.is_shut() {
            return false;
        }
        let mut parked = self.lock();
        // It may have been opened in between.
        let is_shut = self.is_shut();
        if is_shut {
            parked.insert(id, waker.clone());
        }
        is_shut
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("is_shut", &self.is_shut())
            .finish_non_exhaustive()
    }
}

/// What the runtime polls.
struct Gated {
    gate: Arc<Gate>,
    id: u64,
    task: BoxFuture<()>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.gate.parks(self.id, cx.waker()) {
            return Poll::Pending;
        }
        self.task.as_mut().poll(cx)
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        let parked = self.gate.lock().remove(&self.id);
        drop(parked);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;
    use zk_env::{TokioEnv, sleep_until};

    use super::*;

    /// A task that sends on what it receives.
    fn relay(gate: &Arc<Gate>, env: &dyn Env) -> (mpsc::Sender<u32>, mpsc::Receiver<u32>) {
        let (sender, mut tasks_end) = mpsc::channel(8);
        let (answer, receiver) = mpsc::channel(8);
        let task = async move {
            while let Some(number) = tasks_end.recv().await {
                answer.send(number).await.unwrap();
            }
        };
        let _detached = gate.spawn(env, "relay", Box::pin(task));
        (sender, receiver)
    }

    #[tokio::test(start_paused = true)]
    async fn a_shut_gate_stops_tasks_and_an_open_one_lets_them_catch_up() {
        let (env, gate) = (TokioEnv::new(), Arc::new(Gate::default()));
        let (sender, mut receiver) = relay(&gate, &*env);
        sender.send(1).await.unwrap();
        assert_eq!(receiver.recv().await, Some(1));
        gate.shut();
        sender.send(2).await.unwrap();
        sender.send(3).await.unwrap();
        // The clock goes on only when nothing else can happen.
        sleep_until(&mut *env.timer(), env.now() + Duration::from_secs(60)).await;
        assert_eq!(receiver.try_recv(), Err(mpsc::error::TryRecvError::Empty));
        gate.open();
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.recv().await, Some(3));
    }

    #[tokio::test]
    async fn a_task_behind_a_shut_gate_can_be_ended() {
        let (env, gate) = (TokioEnv::new(), Arc::new(Gate::default()));
        gate.shut();
        let task = gate.spawn(&*env, "pending", Box::pin(std::future::pending()));
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        task.abort();
        assert!(!task.await, "it was ended, it did not end");
        assert!(gate.lock().is_empty());
    }

    #[tokio::test]
    async fn a_task_that_begins_behind_a_shut_gate_runs_once_it_is_open() {
        let (env, gate) = (TokioEnv::new(), Arc::new(Gate::default()));
        gate.shut();
        let task = gate.spawn(&*env, "begins", Box::pin(async {}));
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        gate.open();
        assert!(task.await);
    }
}
