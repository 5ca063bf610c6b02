// Curator's side of the recipe benchmark; ../README.md says what is measured, and
// ../src/bin/bench-recipes/contestant.rs how the benchmark talks to it.
//
//   java -cp '<jars>/*' CuratorRecipes.java CONNECT ROOT

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.RetryOneTime;

public final class CuratorRecipes {
    private static final long SETTLE_MS = 10;

    private final String connect;
    private final String root;
    private final CuratorFramework one;
    private final CuratorFramework other;
    private final ExecutorService waiter = Executors.newSingleThreadExecutor();

    private CuratorRecipes(String connect, String root) throws Exception {
        this.connect = connect;
        this.root = root;
        one = start();
        other = start();
    }

    private CuratorFramework start() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(connect, new RetryOneTime(100));
        client.start();
        client.blockUntilConnected();
        return client;
    }

    public static void main(String[] args) throws Exception {
        CuratorRecipes recipes = new CuratorRecipes(args[0], args[1]);
        System.out.println("ready");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            String[] words = order.split(" ");
            long amount = Long.parseLong(words[1]);
            List<Long> nanos = switch (words[0]) {
                case "uncontended" -> recipes.uncontended(amount);
                case "handoff" -> recipes.handoff(amount);
                case "failover" -> recipes.failover(amount);
                default -> throw new IllegalArgumentException(order);
            };
            System.out.println(nanos.stream().map(String::valueOf).collect(Collectors.joining(" ")));
        }
        // The rest is the end of the process.
        System.exit(0);
    }

    private List<Long> uncontended(long millis) throws Exception {
        InterProcessMutex lock = new InterProcessMutex(one, root + "/lock");
        List<Long> nanos = new ArrayList<>();
        long end = System.nanoTime() + millis * 1_000_000;
        for (long start = System.nanoTime(); start < end; ) {
            lock.acquire();
            lock.release();
            long now = System.nanoTime();
            nanos.add(now - start);
            start = now;
        }
        return nanos;
    }

    private List<Long> handoff(long times) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, root + "/lock");
        InterProcessMutex theirs = new InterProcessMutex(other, root + "/lock");
        List<Long> nanos = new ArrayList<>();
        for (long i = 0; i < times; i++) {
            mine.acquire();
            CompletableFuture<Long> acquired = new CompletableFuture<>();
            waiter.submit(() -> {
                theirs.acquire();
                acquired.complete(System.nanoTime());
                theirs.release();
                return null;
            });
            until(2, "/lock");
            long released = System.nanoTime();
            mine.release();
            nanos.add(acquired.get() - released);
            until(0, "/lock");
        }
        return nanos;
    }

    private List<Long> failover(long times) throws Exception {
        List<Long> nanos = new ArrayList<>();
        for (long i = 0; i < times; i++) {
            CuratorFramework doomed = start();
            LeaderLatch leader = new LeaderLatch(doomed, root + "/leader", "one");
            leader.start();
            leader.await();
            LeaderLatch next = new LeaderLatch(other, root + "/leader", "other");
            next.start();
            until(2, "/leader");
            CompletableFuture<Long> leads = new CompletableFuture<>();
            waiter.submit(() -> {
                next.await();
                leads.complete(System.nanoTime());
                return null;
            });
            long closed = System.nanoTime();
            doomed.close();
            nanos.add(leads.get() - closed);
            next.close();
            until(0, "/leader");
        }
        return nanos;
    }

    /** Until as many are in line, and have had the time to look who is ahead of them. */
    private void until(int count, String path) throws Exception {
        while (one.getChildren().forPath(root + path).size() != count) {
            Thread.sleep(1);
        }
        if (count > 0) {
            Thread.sleep(SETTLE_MS);
        }
    }
}
