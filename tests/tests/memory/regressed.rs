//! Servers that refuse a session because they are behind it: for ever, or for a while.

use std::time::Duration;

use zk_client::{Client, CreateMode, Error, SessionState, Watcher};
use zk_env::{Env, accept, sleep_until};
use zk_server::{Server, ServerConfig};
use zk_sim::{Sim, runtime};

const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

fn block_on(test: impl Future<Output = ()>) {
    let runtime = runtime(1).expect("tokio's choices can be seeded (.cargo/config.toml)");
    runtime.block_on(test);
}

/// A server with an empty tree.
async fn start(net: &Sim, host: &str) -> Server {
    let config = ServerConfig::embedded()
        .client_addr("0.0.0.0:2181".parse().expect("an address"))
        .build()
        .expect("values that fit");
    let server = Server::builder().config(config).env(net.env(host));
    server.start().await.expect("a free port")
}

async fn connect(net: &Sim, name: &str, servers: &str) -> Client {
    let client = Client::builder(servers)
        .env(net.env(name))
        .session_timeout(SESSION_TIMEOUT)
        .connect();
    client.await.expect("the servers are there")
}

/// Makes transactions, all of which `client` sees.
async fn write(client: &Client, count: usize) {
    for _ in 0..count {
        let created = client.create("/n-", b"", CreateMode::PersistentSequential);
        created.await.expect("the server is there");
    }
}

async fn pass(env: &dyn Env, time: Duration) {
    sleep_until(&mut *env.timer(), env.now() + time).await;
}

/// A client whose server was replaced by an empty one, and that one.
async fn wiped(net: &Sim) -> (Client, Server) {
    let server = start(net, "server").await;
    let client = connect(net, "client", "server:2181").await;
    write(&client, 20).await;
    server.stop().await;
    drop(server);
    (client, start(net, "server").await)
}

#[test]
fn an_ensemble_that_was_wiped_ends_the_client_by_name() {
    block_on(async {
        let net = Sim::new(1);
        let watcher = Watcher::new();
        let env = net.env("client");
        let (client, server) = wiped(&net).await;
        let mut state = client.state();
        let is_lost = |state: &SessionState| !state.is_connected();
        state.wait_for(is_lost).await.expect("the client is there");
        let began = env.now();
        let waiting = client.exists("/n-0000000000", &watcher);
        let error = waiting.await.expect_err("no server has the session");
        let Error::EnsembleRegressed { seen, newest } = &error else {
            panic!("{error}");
        };
        assert!(newest < seen, "{error}");
        assert!(error.is_session_over() && !error.is_retryable());
        let took = env.now().since(began);
        assert!(
            took >= SESSION_TIMEOUT / 2 && took < SESSION_TIMEOUT * 2,
            "{took:?}"
        );
        assert_eq!(client.sync("/").await.expect_err("terminal"), error);
        let state = *client.state().borrow();
        assert!(matches!(state, SessionState::Expired { .. }), "{state:?}");
        assert_eq!(watcher.next().await, None);
        server.stop().await;
    });
}

#[test]
fn servers_that_do_not_serve_leave_the_question_open() {
    block_on(async {
        let net = Sim::new(1);
        let server = start(&net, "server").await;
        let client = connect(&net, "client", "server:2181").await;
        write(&client, 20).await;
        server.stop().await;
        // As a server without a quorum: it closes whatever is asked.
        let env = net.env("server");
        let address = "0.0.0.0:2181".parse().expect("an address");
        let mut listener = env.bind(address).await.expect("a free port");
        let closes = async move { while accept(&mut *listener).await.is_ok() {} };
        let closing = env.spawn("closes", Box::pin(closes));
        pass(&*net.env("client"), SESSION_TIMEOUT * 10).await;
        let state = *client.state().borrow();
        assert!(matches!(state, SessionState::Suspended { .. }), "{state:?}");
        closing.abort();
    });
}

#[test]
fn a_server_out_of_reach_may_have_it_all() {
    block_on(async {
        let net = Sim::new(1);
        let (ahead, behind) = tokio::join!(start(&net, "ahead"), start(&net, "behind"),);
        net.cut("client", "behind");
        let client = connect(&net, "client", "ahead:2181,behind:2181").await;
        write(&client, 20).await;
        net.cut("client", "ahead");
        net.heal("client", "behind");
        pass(&*net.env("client"), SESSION_TIMEOUT * 10).await;
        let state = *client.state().borrow();
        assert!(matches!(state, SessionState::Suspended { .. }), "{state:?}");
        drop(client);
        ahead.stop().await;
        behind.stop().await;
    });
}

#[test]
fn a_server_that_catches_up_is_used_again() {
    block_on(async {
        let net = Sim::new(1);
        let (client, server) = wiped(&net).await;
        pass(&*net.env("client"), SESSION_TIMEOUT / 2).await;
        let other = connect(&net, "other", "server:2181").await;
        write(&other, 40).await;
        let mut state = client.state();
        let next = |state: &SessionState| matches!(state, SessionState::Connected { epoch } if epoch.number() == 2);
        state.wait_for(next).await.expect("the client is not over");
        client.close().await.expect("the server is there");
        other.close().await.expect("the server is there");
        server.stop().await;
    });
}

#[test]
fn an_outage_is_no_regression() {
    block_on(async {
        let net = Sim::new(1);
        let server = start(&net, "server").await;
        let client = connect(&net, "client", "server:2181").await;
        write(&client, 20).await;
        server.stop().await;
        pass(&*net.env("client"), SESSION_TIMEOUT * 10).await;
        server.restart().await.expect("the port is free");
        write(&client, 1).await;
        assert_eq!(
            client.epoch().number(),
            1,
            "the session did not expire meanwhile"
        );
        client.close().await.expect("the server is there");
        server.stop().await;
    });
}
