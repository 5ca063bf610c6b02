//! Watchers: where watch events arrive.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use zk_proto::{EventType, KeeperState, Zxid};

use crate::wakers::{Ticket, Wakers};

/// Events a watcher keeps before it drops the oldest: enough for a burst, small
/// enough that a forgotten watcher costs kilobytes.
pub const DEFAULT_WATCHER_CAPACITY: usize = 1024;

/// Something that happened to a watched znode, or to the session that watched it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchedEvent {
    /// What happened; `None` if it happened to the session.
    pub event_type: EventType,
    /// `SyncConnected` for events of znodes. With event type `None`: `Expired`
    /// when the session epoch ended and the registration with it, `SyncConnected`
    /// after a reconnect under a persistent watch, whose events of the meantime
    /// are lost (ZOOKEEPER-4698): read again.
    pub state: KeeperState,
    /// The znode, relative to the chroot of the handle that registered the watch.
    pub path: String,
    /// The transaction that caused the event. Absent before 3.9 and for what is
    /// found out on reconnection.
    pub zxid: Option<Zxid>,
    /// How many older events of this watcher were dropped right before this one
    /// because nobody took them.
    pub lagged: u64,
}

impl WatchedEvent {
    /// Whether it says that the session epoch ended, and with it the registration.
    pub fn is_session_expired(&self) -> bool {
        self.event_type == EventType::None && self.state == KeeperState::Expired
    }
}

/// Receives the events of every watch it was passed to.
///
/// An event is queued here before any reply that could show the change is ready.
/// The queue is bounded: a watcher that nobody reads loses its oldest events and
/// says so in [`WatchedEvent::lagged`]. Dropping the watcher forgets its watches,
/// also that of a read still in flight.
///
/// When a session epoch ends each registration yields one event with state
/// `Expired`; once the client is closed or otherwise terminal, what is queued is
/// still handed out, then `None`.
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_client::Error> {
/// use zk_client::Watcher;
/// let changes = Watcher::new();
/// let (data, _) = client.get_data("/config", &changes).await?;
/// while let Some(event) = changes.next().await {
///     println!("{:?} {}", event.event_type, event.path);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Watcher {
    queue: Arc<WatcherQueue>,
    homes: Mutex<Vec<Weak<dyn WatcherHome>>>,
    /// Where the watcher waits as a stream.
    stream: Option<Ticket>,
}

/// A client's session, as far as a watcher knows it.
pub(crate) trait WatcherHome: std::fmt::Debug + Send + Sync {
    /// The watcher is gone: forget its registrations.
    fn forget(&self, watcher: WatcherId);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatcherId(u64);

/// The part of a watcher that sessions hold.
#[derive(Debug)]
pub(crate) struct WatcherQueue {
    id: WatcherId,
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<WatchedEvent>,
    wakers: Wakers,
    /// Sessions that may still deliver.
    live: usize,
    /// Whether there ever was one.
    attached: bool,
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Watcher {
    /// A watcher that keeps up to [`DEFAULT_WATCHER_CAPACITY`] events.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_WATCHER_CAPACITY)
    }

    /// A watcher that keeps up to `capacity` events, at least one.
    pub fn with_capacity(capacity: usize) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let queue = WatcherQueue {
            id: WatcherId(IDS.fetch_add(1, Ordering::Relaxed)),
            capacity: capacity.max(1),
            inner: Mutex::default(),
        };
        Self {
            queue: Arc::new(queue),
            homes: Mutex::default(),
            stream: None,
        }
    }

    /// The next event; `None` once every client it was passed to is terminal and
    /// the queue is empty. Pends forever on a watcher that was never passed to one.
    ///
    /// Cancel safe: an event is taken only when it is returned.
    pub async fn next(&self) -> Option<WatchedEvent> {
        let mut next = Next {
            queue: &self.queue,
            ticket: None,
        };
        poll_fn(|cx| next.queue.poll_next(&mut next.ticket, cx.waker())).await
    }

    /// The next event if one is queued.
    pub fn try_next(&self) -> Option<WatchedEvent> {
        self.queue.lock().events.pop_front()
    }

    pub(crate) const fn queue(&self) -> &Arc<WatcherQueue> {
        &self.queue
    }

    /// Remembers where it is registered; true the first time.
    pub(crate) fn attach(&self, home: &Weak<dyn WatcherHome>) -> bool {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if homes.iter().any(|known| known.ptr_eq(home)) {
            return false;
        }
        homes.retain(|known| known.strong_count() > 0);
        homes.push(Weak::clone(home));
        let mut inner = self.queue.lock();
        inner.live += 1;
        inner.attached = true;
        true
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let homes = std::mem::take(self.homes.get_mut().unwrap_or_else(PoisonError::into_inner));
        for home in homes.iter().filter_map(Weak::upgrade) {
            home.forget(self.queue.id);
        }
    }
}

/// Somebody who waits for an event; whoever stops waiting leaves nothing behind.
struct Next<'w> {
    queue: &'w WatcherQueue,
    ticket: Option<Ticket>,
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.queue.lock().wakers.forget(self.ticket);
        }
    }
}

impl Stream for Watcher {
    type Item = WatchedEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchedEvent>> {
        let this = &mut *self;
        this.queue.poll_next(&mut this.stream, cx.waker())
    }
}

impl WatcherQueue {
    pub(crate) const fn id(&self) -> WatcherId {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event, at the cost of the oldest one if there is no room: then true.
    pub(crate) fn push(&self, event: WatchedEvent) -> bool {
        let mut inner = self.lock();
        inner.events.push_back(event);
        let is_full = inner.events.len() > self.capacity;
        if is_full
            && let Some(oldest) = inner.events.pop_front()
            && let Some(next) = inner.events.front_mut()
        {
            next.lagged += oldest.lagged + 1;
        }
        wake(inner);
        is_full
    }

    /// One of its sessions will deliver nothing more.
    pub(crate) fn detach(&self) {
        let mut inner = self.lock();
        inner.live = inner.live.saturating_sub(1);
        wake(inner);
    }

    fn poll_next(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> Poll<Option<WatchedEvent>> {
        let mut inner = self.lock();
        if let Some(event) = inner.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if inner.attached && inner.live == 0 {
            return Poll::Ready(None);
        }
        inner.wakers.register(ticket, waker);
        Poll::Pending
    }
}

/// Wakes without the lock: whoever is woken may look into the queue on the spot.
fn wake(mut inner: MutexGuard<'_, Inner>) {
    let wakers = inner.wakers.take();
    drop(inner);
    wakers.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(path: &str) -> WatchedEvent {
        WatchedEvent {
            event_type: EventType::NodeDataChanged,
            state: KeeperState::SyncConnected,
            path: path.into(),
            zxid: None,
            lagged: 0,
        }
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_says_how_many() {
        let watcher = Watcher::with_capacity(2);
        for path in ["/1", "/2", "/3", "/4", "/5"] {
            watcher.queue.push(event(path));
        }
        let first = watcher.try_next().unwrap();
        assert_eq!((first.path.as_str(), first.lagged), ("/4", 3));
        let second = watcher.try_next().unwrap();
        assert_eq!((second.path.as_str(), second.lagged), ("/5", 0));
        assert_eq!(watcher.try_next(), None);
    }

    /// Takes the event in the very call that wakes it.
    struct Eager(Arc<WatcherQueue>, Mutex<Option<WatchedEvent>>);

    impl std::task::Wake for Eager {
        fn wake(self: Arc<Self>) {
            *self.1.lock().unwrap() = self.0.lock().events.pop_front();
        }
    }

    #[test]
    fn whoever_is_woken_may_use_the_watcher_on_the_spot() {
        let watcher = Watcher::new();
        let eager = Arc::new(Eager(Arc::clone(&watcher.queue), Mutex::default()));
        let waker = Waker::from(Arc::clone(&eager));
        let mut next = std::pin::pin!(watcher.next());
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        watcher.queue.push(event("/a"));
        assert_eq!(eager.1.lock().unwrap().take(), Some(event("/a")));
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_no_waker_behind() {
        let watcher = Watcher::new();
        for _ in 0..3 {
            let mut next = std::pin::pin!(watcher.next());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(next.as_mut().poll(&mut cx).is_pending());
        }
        assert!(watcher.queue.lock().wakers.is_empty());
    }

    #[derive(Debug)]
    struct Home;

    impl WatcherHome for Home {
        fn forget(&self, _: WatcherId) {}
    }

    #[tokio::test]
    async fn after_the_last_session_is_over_the_queue_drains_then_ends() {
        let watcher = Watcher::new();
        let home: Arc<dyn WatcherHome> = Arc::new(Home);
        assert!(watcher.attach(&Arc::downgrade(&home)));
        assert!(!watcher.attach(&Arc::downgrade(&home)));
        watcher.queue.push(event("/a"));
        watcher.queue.detach();
        assert_eq!(watcher.next().await.unwrap().path, "/a");
        assert_eq!(watcher.next().await, None);
    }
}
