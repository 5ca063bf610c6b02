//! Spawned tasks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

/// A spawned task. Dropping the handle lets the task run on; awaiting it waits
/// for the task's end, however it came.
pub struct TaskHandle(JoinHandle<()>);

impl TaskHandle {
    /// Wraps a tokio task.
    pub fn new(handle: JoinHandle<()>) -> Self {
        Self(handle)
    }

    /// Stops the task at its next await point.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskHandle").field(&self.0.id()).finish()
    }
}

impl Future for TaskHandle {
    /// Whether the task ran to its end; false if it was aborted or panicked.
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        Pin::new(&mut self.0).poll(cx).map(|ended| ended.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> TaskHandle {
        TaskHandle::new(tokio::spawn(task))
    }

    #[tokio::test]
    async fn the_handle_tells_how_the_task_ended() {
        assert!(spawn(async {}).await);
        let aborted = spawn(std::future::pending());
        aborted.abort();
        assert!(!aborted.await);
    }

    #[tokio::test]
    async fn dropping_the_handle_lets_the_task_run_on() {
        let (done, ended) = tokio::sync::oneshot::channel();
        let handle = spawn(async move { done.send(()).unwrap() });
        assert!(!handle.is_finished());
        drop(handle);
        assert_eq!(ended.await, Ok(()));
    }
}
