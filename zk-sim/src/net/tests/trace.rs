use super::*;
use crate::faults::DnsFault;

/// Three clients talk to an echo server while faults of all kinds begin and end;
/// the outcome and when it was reached.
async fn scenario(seed: u64) -> (u64, u64, u64, Duration) {
    let pair = Pair::new(seed).await;
    let (net, mut listener) = (pair.net, pair.listener);
    let server = Arc::clone(&pair.server);
    let accepting = server.spawn("accept", {
        let server = Arc::clone(&server);
        Box::pin(async move {
            loop {
                let (stream, _) = accept(&mut *listener).await.unwrap();
                server.spawn("echo", Box::pin(echo(stream)));
            }
        })
    });
    let clients = CLIENTS.map(|name| {
        let env = net.env(name);
        env.spawn("client", Box::pin(converse(Arc::clone(&env))))
    });
    let mut rng = pair.client.rng("faults");
    for _ in 0..60 {
        let client = CLIENTS[rng.below(3) as usize];
        begin(&net, rng.below(15), client);
        tokio::time::sleep(Duration::from_millis(rng.below(50))).await;
        end(&net, rng.below(15), client);
    }
    net.heal_all();
    for client in clients {
        assert!(client.await);
    }
    accepting.abort();
    let took = server.now().since_origin();
    (net.trace(), net.deliveries(), net.garbled(), took)
}

const CLIENTS: [&str; 3] = ["a", "b", "c"];

fn begin(net: &Sim, kind: u64, client: &str) {
    match kind {
        0 => net.cut(client, "server"),
        1 => net.fin(client, "server"),
        2 => net.silence(client, "server"),
        3 => net.silence_one_way("server", client),
        4 => net.forget(client, "server"),
        5 => net.isolate(client),
        6 => net.slow(client, "server", Duration::from_millis(30)),
        7 => net.bandwidth(client, "server", 500),
        8 => net.trickle(client, "server"),
        9 => net.garble(client, "server"),
        10 => net.blackhole("server"),
        11 => net.accept_queue_full("server"),
        12 => net.refuse("server"),
        13 => net.accept_and_close("server"),
        _ => net.dns("server", DnsFault::Many),
    }
}

fn end(net: &Sim, kind: u64, client: &str) {
    match kind {
        0 => net.end_cut(client, "server"),
        1 => net.heal(client, "server"),
        2 => net.end_silence(client, "server"),
        3 => net.end_silence_one_way("server", client),
        4 => net.end_forget(client, "server"),
        5 => net.end_isolate(client),
        6 => net.end_slow(client, "server", Duration::from_millis(30)),
        7 => net.end_bandwidth(client, "server", 500),
        8 => net.end_trickle(client, "server"),
        9 => net.end_garble(client, "server"),
        10 => net.end_blackhole("server"),
        11 => net.end_accept_queue_full("server"),
        12 => net.end_refuse("server"),
        13 => net.end_accept_and_close("server"),
        _ => net.end_dns("server", DnsFault::Many),
    }
}

async fn echo(stream: BoxStream) {
    let (mut from, mut to) = tokio::io::split(stream);
    // Ends with the connection, however that ends.
    drop(tokio::io::copy(&mut from, &mut to).await);
}

/// Has a hundred messages echoed, over as many connections as that takes.
async fn converse(env: Arc<dyn Env>) {
    let mut rng = env.rng("messages");
    let mut done = 0;
    while done < 100 {
        let Ok(found) = env.resolve("server", PORT).await else {
            continue;
        };
        let address = found[rng.below(found.len() as u64) as usize];
        let Some(Ok(mut stream)) = in_time(env.connect(address)).await else {
            continue;
        };
        while done < 100 {
            let message = rng.next_u64().to_be_bytes();
            let exchange = Box::pin(async {
                write(&mut stream, &message).await?;
                read(&mut stream, message.len()).await
            });
            // What is garbled still counts as an answer.
            let Some(Ok(_)) = in_time(exchange).await else {
                break;
            };
            done += 1;
        }
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let limit = Duration::from_millis(200);
    tokio::time::timeout(limit, work).await.ok()
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let mut garbled = 0;
    for seed in 0..20 {
        let first = run(seed, scenario(seed));
        assert!(first.1 >= 600);
        garbled += first.2;
        assert_eq!(first, run(seed, scenario(seed)));
    }
    assert!(garbled > 0);
}

#[test]
fn different_seeds_give_different_traces() {
    let mut traces: Vec<_> = (0..5).map(|seed| run(seed, scenario(seed)).0).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 5);
}

/// The same in every process and on every machine.
#[test]
fn the_trace_of_a_seed_is_fixed() {
    let trace = run(7, async {
        let mut pair = Pair::new(7).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"ping").await.unwrap();
        assert_reads(&mut far, b"ping").await;
        drop(near);
        assert_eof(&mut far).await;
        pair.net.trace()
    });
    assert_eq!(trace, 9_288_315_358_022_663_921);
}

#[test]
fn the_trace_depends_on_every_byte() {
    let trace_of = |bytes: &'static [u8]| {
        run(1, async move {
            let mut pair = Pair::new(1).await;
            let (mut near, mut far) = pair.connect().await;
            write(&mut near, bytes).await.unwrap();
            assert_reads(&mut far, bytes).await;
            (pair.net.trace(), pair.net.deliveries())
        })
    };
    let (a, b) = (trace_of(b"a"), trace_of(b"b"));
    assert_ne!(a.0, b.0);
    assert_eq!((a.1, b.1), (1, 1));
}

#[test]
fn trace_and_time_start_at_the_networks_birth() {
    let trace_after = |wait: Duration| {
        run(1, async move {
            tokio::time::sleep(wait).await;
            let mut pair = Pair::new(1).await;
            let streams = pair.connect().await;
            let trace = pair.net.trace();
            drop(streams);
            trace
        })
    };
    assert_eq!(
        trace_after(Duration::ZERO),
        trace_after(Duration::from_secs(9))
    );
}
