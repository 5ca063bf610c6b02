use super::*;

/// Three clients talk to an echo server while links fail and heal; the outcome
/// and when it was reached.
async fn scenario(seed: u64) -> (u64, u64, Duration) {
    let pair = Pair::new(seed).await;
    let (net, address, mut listener) = (pair.net, pair.address, pair.listener);
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
    let names = ["a", "b", "c"];
    let clients = names.map(|name| {
        let env = net.env(name);
        env.spawn("client", Box::pin(converse(Arc::clone(&env), address)))
    });
    for name in names {
        let mut rng = pair.client.rng(name);
        tokio::time::sleep(Duration::from_millis(rng.below(50))).await;
        net.silence(name, "server");
        tokio::time::sleep(Duration::from_millis(rng.below(50))).await;
        net.cut(name, "server");
        tokio::time::sleep(Duration::from_millis(rng.below(50))).await;
        net.heal(name, "server");
    }
    for client in clients {
        assert!(client.await);
    }
    accepting.abort();
    (net.trace(), net.deliveries(), server.now().since_origin())
}

async fn echo(stream: BoxStream) {
    let (mut from, mut to) = tokio::io::split(stream);
    // Ends with the connection, however that ends.
    drop(tokio::io::copy(&mut from, &mut to).await);
}

/// Has a hundred messages echoed, over as many connections as that takes.
async fn converse(env: Arc<dyn Env>, address: SocketAddr) {
    let mut rng = env.rng("messages");
    let mut done = 0;
    while done < 100 {
        let Ok(mut stream) = env.connect(address).await else {
            continue;
        };
        while done < 100 {
            let message = rng.next_u64().to_be_bytes();
            let exchange = async {
                write(&mut stream, &message).await?;
                read(&mut stream, message.len()).await
            };
            let Ok(echoed) = exchange.await else { break };
            assert_eq!(echoed, message);
            done += 1;
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let first = run(seed, scenario(seed));
        assert!(first.1 >= 600);
        assert_eq!(first, run(seed, scenario(seed)));
    }
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
    assert_eq!(trace, 11_706_682_793_683_479_552);
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
