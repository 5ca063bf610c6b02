package interop;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.retry.RetryNTimes;

/** What one handle holds, and what it can be told to do. */
final class Handle {
    /** Gives up what is held. */
    private interface Held {
        void release() throws Exception;
    }

    private final CuratorFramework client;
    private Held held;
    private DistributedDoubleBarrier barrier;
    private GroupMember member;
    private final Queues queues;
    private final Naming naming;

    Handle(CuratorFramework client) {
        this.client = client;
        this.queues = new Queues(client);
        this.naming = new Naming(client);
    }

    String obey(String[] words) throws Exception {
        switch (words[1]) {
            case "acquire":
                held = acquire(words[2], words[3], words.length > 4 ? words[4] : null);
                return "";
            case "lead":
                held = lead(words[2], words[3], words[4]);
                return "";
            case "release":
                held.release();
                held = null;
                return "";
            case "leader":
                return new LeaderLatch(client, words[3]).getLeader().getId();
            case "torture":
                return torture(words[2], words[3], words[4], Integer.parseInt(words[5]));
            case "enter":
                barrier = new DistributedDoubleBarrier(client, words[3], Integer.parseInt(words[4]));
                barrier.enter();
                return "";
            case "leave":
                barrier.leave();
                return "";
            case "add":
                return add(words[2], words[3], Integer.parseInt(words[4]));
            case "put":
                queues.put(words);
                return "";
            case "take":
                return queues.take(words[3]);
            case "consume":
                queues.consume(words[2], words[3], words[4]);
                return "";
            case "consumed":
                return queues.consumed(Integer.parseInt(words[2]));
            case "stop":
                return queues.stop();
            case "join":
                member = new GroupMember(client, words[3], words[4], bytes(words[5]));
                member.start();
                return "";
            case "quit":
                member.close();
                return "";
            case "members":
                return members();
            case "register":
                naming.register(words[2], words[3], words[4], words[5], words[6]);
                return "";
            case "unregister":
                naming.unregister();
                return "";
            case "resolve":
                return naming.resolve(words[2], words[3]);
            default:
                throw new IllegalArgumentException(words[1]);
        }
    }

    private Held acquire(String kind, String path, String size) throws Exception {
        switch (kind) {
            case "mutex": {
                InterProcessMutex mutex = new InterProcessMutex(client, path);
                mutex.acquire();
                return mutex::release;
            }
            case "read": {
                InterProcessReadWriteLock lock = new InterProcessReadWriteLock(client, path);
                lock.readLock().acquire();
                return lock.readLock()::release;
            }
            case "write": {
                InterProcessReadWriteLock lock = new InterProcessReadWriteLock(client, path);
                lock.writeLock().acquire();
                return lock.writeLock()::release;
            }
            case "semaphore": {
                InterProcessSemaphoreV2 semaphore =
                        new InterProcessSemaphoreV2(client, path, size == null ? 1 : Integer.parseInt(size));
                Lease lease = semaphore.acquire();
                return lease::close;
            }
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    private Held lead(String kind, String path, String id) throws Exception {
        if (kind.equals("latch")) {
            LeaderLatch latch = new LeaderLatch(client, path, id);
            latch.start();
            latch.await();
            return latch::close;
        }
        CountDownLatch leading = new CountDownLatch(1);
        CountDownLatch resigning = new CountDownLatch(1);
        LeaderSelector selector = new LeaderSelector(client, path, new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework unused) throws Exception {
                leading.countDown();
                resigning.await();
            }
        });
        selector.setId(id);
        selector.start();
        leading.await();
        return () -> {
            resigning.countDown();
            selector.close();
        };
    }

    /** Reads, adds one and writes, so many times, each time holding the lock. */
    private String torture(String kind, String path, String counter, int rounds) throws Exception {
        for (int round = 0; round < rounds; round++) {
            Held lock = acquire(kind, path, null);
            int number = Integer.parseInt(text(client.getData().forPath(counter)));
            client.setData().forPath(counter, bytes(String.valueOf(number + 1)));
            lock.release();
        }
        return "";
    }

    private String add(String kind, String path, int delta) throws Exception {
        if (kind.equals("long")) {
            DistributedAtomicLong number = new DistributedAtomicLong(client, path, new RetryNTimes(100, 5));
            AtomicValue<Long> value = number.add((long) delta);
            if (!value.succeeded()) {
                throw new IllegalStateException("no luck in a hundred tries");
            }
            return String.valueOf(value.postValue());
        }
        try (SharedCount count = new SharedCount(client, path, 0)) {
            count.start();
            while (true) {
                VersionedValue<Integer> value = count.getVersionedValue();
                if (count.trySetCount(value, value.getValue() + delta)) {
                    return String.valueOf(value.getValue() + delta);
                }
            }
        }
    }

    private String members() {
        Map<String, String> members = new TreeMap<>();
        member.getCurrentMembers().forEach((id, data) -> members.put(id, text(data)));
        StringBuilder list = new StringBuilder();
        members.forEach((id, data) -> list.append(list.length() == 0 ? "" : ",").append(id).append('=').append(data));
        return list.toString();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
