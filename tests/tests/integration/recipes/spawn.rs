//! That every future can be moved to another thread, as `tokio::spawn` demands: this compiles.

use std::ops::ControlFlow;
use std::time::Duration;

use zk_recipes::watch::Format;
use zk_recipes::{
    AtomicLong, Barrier, Cache, CachedLong, CasCell, ConfigWatch, DoubleBarrier, GroupMembership,
    LeaderLatch, LeaderSelector, MultiLock, PersistentNode, Policy, Proof, ReadWriteLock,
    ReentrantMutex, Semaphore, SharedCount, SharedValue, SimpleQueue, Subscription,
};
use zk_tests::Target;

use super::*;

const WHILE: Duration = Duration::from_secs(1);

fn spawnable<T: Send>(future: impl Future<Output = T> + Send) {
    drop(future);
}

fn locks(client: &Client) {
    let lock = Mutex::new(client, LOCK);
    spawnable(lock.acquire());
    spawnable(lock.acquire_within(WHILE));
    spawnable(lock.try_acquire());
    spawnable(lock.run(Policy::OnLost, async |term| term.lost().await));
    spawnable(lock.revoke());
    spawnable(lock.in_line());
    let reentrant = ReentrantMutex::new(lock);
    spawnable(reentrant.acquire("me".to_owned()));
    spawnable(reentrant.try_acquire("me".to_owned()));
    spawnable(reentrant.run("me".to_owned(), Policy::OnLost, async |_| ()));
    let both = ReadWriteLock::new(client, LOCK);
    spawnable(both.read());
    spawnable(both.write());
    spawnable(both.run_reading(Policy::OnSuspend, async |_| ()));
    spawnable(both.run_writing(Policy::OnSuspend, async |_| ()));
    spawnable(async move { both.write().await?.downgrade().await?.release().await });
    let semaphore = Semaphore::new(client, LOCK, 2);
    spawnable(semaphore.acquire());
    spawnable(semaphore.acquire_many(2));
    spawnable(semaphore.try_acquire());
    spawnable(semaphore.run(Policy::OnSuspend, async |_| ()));
    spawnable(semaphore.resize(3));
    let several = MultiLock::builder(client).mutex(LOCK).build().unwrap();
    spawnable(several.acquire());
    spawnable(several.try_acquire());
    spawnable(several.run(Policy::OnLost, async |term| term.ended().await));
}

fn guards(client: &Client) {
    let lock = Mutex::new(client, LOCK);
    spawnable(async move {
        let guard = lock.acquire().await?;
        guard.proven(Proof::Quorum).await.unwrap();
        guard.revoked().await.unwrap();
        guard.lost().await;
        guard.transaction().delete("/x", None).commit().await?;
        Ok::<_, zk_recipes::Error>(guard.run(Policy::OnLost, async |_| ()).await)
    });
}

fn elections(client: &Client) {
    let latch = || LeaderLatch::builder(client, LOCK).build().unwrap();
    spawnable(latch().campaign_within(WHILE));
    spawnable(latch().participants());
    let mine = latch();
    spawnable(async move {
        let ended = mine.lead(async |term| mine.make_way(&term, "other", WHILE).await);
        ended.await?.finished();
        let guard = mine.campaign().await?;
        mine.hand_over(guard, "other", WHILE)
            .await
            .map_err(|(_, error)| error)
    });
    let candidate = latch();
    spawnable(async move { candidate.start().hand_over("other", WHILE).await });
    let selector = LeaderSelector::builder(client, LOCK).build().unwrap();
    spawnable(async move {
        let mut terms = 0;
        selector.lead(async |_| terms += 1).await?.finished();
        let again = selector.lead_again(|term| {
            terms += 1;
            async move {
                term.lost().await;
                ControlFlow::Break(())
            }
        });
        again.await
    });
}

fn barriers_and_counters(client: &Client) {
    let barrier = Barrier::new(client, LOCK);
    spawnable(async move {
        (
            barrier.set().await,
            barrier.wait().await,
            barrier.remove().await,
        )
    });
    let party = DoubleBarrier::builder(client, LOCK, 2).build().unwrap();
    spawnable(async move { party.enter().await?.leave().await });
    let number = || AtomicLong::builder(client, LOCK).build().unwrap();
    spawnable(number().increment());
    spawnable(number().compare_and_set(1, 2));
    let cached = CachedLong::new(number(), 10).unwrap();
    spawnable(async move { cached.next().await });
    let cell = CasCell::builder(client, LOCK).build().unwrap();
    spawnable(cell.update(|_| Ok("x".into())));
    spawnable(SharedValue::start(client, LOCK, "x"));
    spawnable(SharedCount::start(client, LOCK, 1));
}

fn watching(client: &Client) {
    let mut subscription = Subscription::builder(client, LOCK).build().unwrap();
    spawnable(async move { subscription.next().await });
    let cache = Cache::builder(client, LOCK).build().unwrap();
    spawnable(async move { (cache.loaded().await, cache.changed(0).await) });
    let format = Format::decoding(|bytes| String::from_utf8(bytes.to_vec()));
    let config = ConfigWatch::builder(client, LOCK, format);
    spawnable(async move { config.build().await?.update(|text| text + "x").await });
    let node = PersistentNode::builder(client, LOCK, "x").build().unwrap();
    spawnable(async move { (node.present().await, node.leave().await) });
    let join = GroupMembership::join(client, LOCK, "me", "x");
    spawnable(async move { join.await?.events()?.next().await });
    let queue = SimpleQueue::builder(client, LOCK).build().unwrap();
    spawnable(async move {
        (
            queue.offer("x").await,
            queue.poll().await,
            queue.take().await,
        )
    });
}

#[tokio::test]
async fn every_future_can_be_spawned() {
    let target = Target::start().await;
    let client = target.client().await;
    locks(&client);
    guards(&client);
    elections(&client);
    barriers_and_counters(&client);
    watching(&client);
}
