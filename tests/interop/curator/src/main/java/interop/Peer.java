package interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;

/**
 * Does with Curator's recipes what it is told on standard input, line by line:
 * {@code HANDLE VERB ARGUMENTS...}. Each handle is a thread of its own, as Curator's
 * locks belong to threads; its answer is {@code HANDLE ok VALUE} or {@code HANDLE error
 * WHY}. The end of the input is the end of the process.
 */
public final class Peer {
    private final Map<String, ExecutorService> threads = new HashMap<>();
    private final Map<String, Handle> handles = new HashMap<>();
    private final CuratorFramework client;

    private Peer(CuratorFramework client) {
        this.client = client;
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(args[0])
                .sessionTimeoutMs(15_000)
                .retryPolicy(new RetryNTimes(3, 100))
                .build();
        client.start();
        client.blockUntilConnected();
        say("ready");
        Peer peer = new Peer(client);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            peer.obey(line.trim().split(" "));
        }
        client.close();
        System.exit(0);
    }

    private void obey(String[] words) {
        String name = words[0];
        Handle handle = handles.computeIfAbsent(name, unused -> new Handle(client));
        threads.computeIfAbsent(name, unused -> Executors.newSingleThreadExecutor()).execute(() -> {
            try {
                say(name + " ok " + handle.obey(words));
            } catch (Throwable error) {
                say(name + " error " + String.valueOf(error).replace('\n', ' '));
            }
        });
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
