//! The thread on which the real disk's calls run.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::env::BoxFuture;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the I/O thread: one thread, so that calls keep their order and a
/// slow sync blocks no runtime worker. It starts with the first call and ends
/// when the last clone is gone.
///
/// A call is queued at its first poll and withdrawn, unless it has begun, when
/// its future is dropped. The queue thus holds what somebody waits for and no
/// more: those who call bound it. (A channel with a bound of its own would not
/// keep the order, as a caller that was given room could be overtaken until it
/// is polled again.)
#[derive(Clone, Debug, Default)]
pub(crate) struct IoThread(Arc<Owner>);

/// Ends the thread when dropped. Calls in the queue keep it alive.
#[derive(Debug, Default)]
struct Owner(Arc<Queue>);

#[derive(Default)]
struct Queue {
    calls: Mutex<Calls>,
    changed: Condvar,
}

#[derive(Default)]
struct Calls {
    /// In order of their tickets.
    waiting: VecDeque<(u64, Job)>,
    next_ticket: u64,
    started: bool,
    closed: bool,
}

impl IoThread {
    /// Queues `work` at the first poll and waits for its result.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let thread = self.clone();
        Box::pin(async move {
            let (done, result) = oneshot::channel();
            // Nobody may be waiting for the result any more.
            let job: Job = Box::new(move || drop(done.send(work())));
            let _place = thread.queue(job)?;
            result.await.map_err(|_| panicked())?
        })
    }

    fn queue(&self, job: Job) -> io::Result<Place> {
        let queue = &self.0.0;
        let mut calls = queue.lock();
        if !calls.started {
            let served = Arc::clone(queue);
            std::thread::Builder::new()
                .name("zk-disk".into())
                .spawn(move || served.serve())?;
            calls.started = true;
        }
        let ticket = calls.next_ticket;
        calls.next_ticket += 1;
        calls.waiting.push_back((ticket, job));
        // Woken under the lock, the thread would have to wait for it.
        drop(calls);
        queue.changed.notify_one();
        Ok(Place {
            thread: self.clone(),
            ticket,
        })
    }
}

fn panicked() -> io::Error {
    io::Error::other("the disk call panicked; it may have taken effect")
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            // The one who waits learns it from the dropped result; the thread
            // must go on for the others.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    }

    /// The next call, or none once the owner is gone.
    fn next(&self) -> Option<Job> {
        let mut calls = self.lock();
        loop {
            if let Some((_, job)) = calls.waiting.pop_front() {
                return Some(job);
            }
            if calls.closed {
                return None;
            }
            let woken = self.changed.wait(calls);
            calls = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A place in the queue; dropping it withdraws the call unless it has begun.
struct Place {
    thread: IoThread,
    ticket: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut calls = self.thread.0.0.lock();
        let found = calls
            .waiting
            .binary_search_by_key(&self.ticket, |(ticket, _)| *ticket);
        let withdrawn = found.ok().and_then(|at| calls.waiting.remove(at));
        // What the call held may do anything when dropped: not under the lock.
        drop(calls);
        drop(withdrawn);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;

    /// A call that occupies the thread until the sender is dropped, and which
    /// has begun.
    async fn occupy(thread: &IoThread) -> (mpsc::Sender<()>, BoxFuture<io::Result<()>>) {
        let (release, released) = mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let mut call = thread.run(move || {
            begun.send(()).unwrap();
            released.recv().unwrap_err();
            Ok(())
        });
        poll_once(&mut call).await;
        begins.await.unwrap();
        (release, call)
    }

    async fn poll_once<T>(call: &mut BoxFuture<T>) {
        std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
    }

    fn note(thread: &IoThread, log: &mpsc::Sender<u32>, entry: u32) -> BoxFuture<io::Result<()>> {
        let log = log.clone();
        thread.run(move || {
            log.send(entry).unwrap();
            Ok(())
        })
    }

    #[tokio::test]
    async fn calls_run_in_the_order_of_their_first_polls() {
        let thread = IoThread::default();
        let (log, logged) = mpsc::channel();
        let (release, occupying) = occupy(&thread).await;
        let mut calls: Vec<_> = (0..1000).map(|n| note(&thread, &log, n)).collect();
        for call in calls.iter_mut().rev() {
            poll_once(call).await;
        }
        drop(release);
        occupying.await.unwrap();
        for call in calls {
            call.await.unwrap();
        }
        assert!(logged.try_iter().eq((0..1000).rev()));
    }

    #[tokio::test]
    async fn a_call_dropped_while_it_waits_is_withdrawn() {
        let thread = IoThread::default();
        let (log, logged) = mpsc::channel();
        let (release, occupying) = occupy(&thread).await;
        let [mut a, mut b, mut c] = [1, 2, 3].map(|n| note(&thread, &log, n));
        for call in [&mut a, &mut b, &mut c] {
            poll_once(call).await;
        }
        drop(b);
        assert_eq!(thread.0.0.lock().waiting.len(), 2);
        drop(release);
        occupying.await.unwrap();
        a.await.unwrap();
        c.await.unwrap();
        assert!(logged.try_iter().eq([1, 3]));
    }

    #[tokio::test]
    async fn a_call_that_has_begun_ends_though_it_is_dropped() {
        let thread = IoThread::default();
        let (log, logged) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let mut call = thread.run(move || {
            begun.send(()).unwrap();
            released.recv().unwrap_err();
            log.send("ended").unwrap();
            Ok(())
        });
        poll_once(&mut call).await;
        begins.await.unwrap();
        drop(call);
        drop(release);
        assert_eq!(logged.recv(), Ok("ended"));
    }

    /// A call awaited behind one that nobody polls again must not wait for it.
    #[tokio::test]
    async fn a_call_needs_no_second_poll_to_run() {
        let thread = IoThread::default();
        let (log, logged) = mpsc::channel();
        let mut first = note(&thread, &log, 1);
        poll_once(&mut first).await;
        note(&thread, &log, 2).await.unwrap();
        assert!(logged.try_iter().eq([1, 2]));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_thread_goes_on() {
        let thread = IoThread::default();
        let error = thread.run(|| -> io::Result<()> { panic!("on purpose") });
        let message = error.await.unwrap_err().to_string();
        assert!(message.contains("panicked"), "{message}");
        assert_eq!(thread.run(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn the_thread_starts_with_the_first_call_and_ends_with_its_owners() {
        let thread = IoThread::default();
        let queue = Arc::downgrade(&thread.0.0);
        drop(thread.run(|| Ok(())));
        assert!(!queue.upgrade().unwrap().lock().started);
        let (ended, ends) = mpsc::channel::<()>();
        thread
            .run(move || {
                HELD.set(Some(ended));
                Ok(())
            })
            .await
            .unwrap();
        let other = thread.clone();
        drop(thread);
        other.run(|| Ok(())).await.unwrap();
        drop(other);
        // Dropped with the thread's own storage.
        assert_eq!(ends.recv(), Err(mpsc::RecvError));
    }

    thread_local! {
        static HELD: std::cell::Cell<Option<mpsc::Sender<()>>> = const { std::cell::Cell::new(None) };
    }
}
