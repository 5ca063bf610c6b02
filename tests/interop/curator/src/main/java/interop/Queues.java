package interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBase;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;

/** Curator's queues of one handle: items are put in at once, and consumed once asked for. */
final class Queues {
    private static final QueueSerializer<String> TEXT = new QueueSerializer<String>() {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    };

    private final CuratorFramework client;
    private final BlockingQueue<String> consumed = new LinkedBlockingQueue<>();
    private QueueBase<String> consuming;

    Queues(CuratorFramework client) {
        this.client = client;
    }

    /** {@code put KIND PATH LOCKS ITEM [PRIORITY, MILLISECONDS or ID]} */
    void put(String[] words) throws Exception {
        String kind = words[2];
        String item = words[5 - (kind.equals("simple") ? 1 : 0)];
        if (kind.equals("simple")) {
            new SimpleDistributedQueue(client, words[3]).offer(TEXT.serialize(item));
            return;
        }
        QueueBuilder<String> builder = QueueBuilder.builder(client, null, TEXT, words[3]).lockPath(words[4]);
        switch (kind) {
            case "queue":
                try (DistributedQueue<String> queue = builder.buildQueue()) {
                    queue.start();
                    queue.put(item);
                    queue.flushPuts(10, TimeUnit.SECONDS);
                }
                break;
            case "priority":
                try (DistributedPriorityQueue<String> queue = builder.buildPriorityQueue(0)) {
                    queue.start();
                    queue.put(item, Integer.parseInt(words[6]));
                    queue.flushPuts(10, TimeUnit.SECONDS);
                }
                break;
            case "delay":
                try (DistributedDelayQueue<String> queue = builder.buildDelayQueue()) {
                    queue.start();
                    queue.put(item, System.currentTimeMillis() + Long.parseLong(words[6]));
                    queue.flushPuts(10, TimeUnit.SECONDS);
                }
                break;
            case "id":
                try (DistributedIdQueue<String> queue = builder.buildIdQueue()) {
                    queue.start();
                    queue.put(item, words[6]);
                    queue.flushPuts(10, TimeUnit.SECONDS);
                }
                break;
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    /** {@code take simple PATH} */
    String take(String path) throws Exception {
        return TEXT.deserialize(new SimpleDistributedQueue(client, path).take());
    }

    /** {@code consume KIND PATH LOCKS}: from now on. */
    void consume(String kind, String path, String locks) throws Exception {
        QueueConsumer<String> consumer = new QueueConsumer<String>() {
            @Override
            public void consumeMessage(String item) {
                consumed.add(item);
            }

            @Override
            public void stateChanged(CuratorFramework unused, ConnectionState state) {}
        };
        QueueBuilder<String> builder = QueueBuilder.builder(client, consumer, TEXT, path).lockPath(locks);
        switch (kind) {
            case "queue":
                consuming = builder.buildQueue();
                break;
            case "priority":
                consuming = builder.buildPriorityQueue(0);
                break;
            case "delay":
                consuming = builder.buildDelayQueue();
                break;
            case "id":
                consuming = builder.buildIdQueue();
                break;
            default:
                throw new IllegalArgumentException(kind);
        }
        consuming.start();
    }

    /** {@code consumed COUNT}: the next so many items, waited for; {@code stop}: the rest. */
    String consumed(int count) throws Exception {
        List<String> items = new ArrayList<>();
        while (items.size() < count) {
            items.add(consumed.take());
        }
        return String.join(",", items);
    }

    String stop() throws Exception {
        consuming.close();
        List<String> items = new ArrayList<>();
        consumed.drainTo(items);
        return String.join(",", items);
    }
}
