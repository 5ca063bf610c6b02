//! From a server's name to its addresses.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk_client::{Client, ConnectError, Resolver};
use zk_env::BoxFuture;
use zk_tests::target::connect;
use zk_tests::wait::{eventually, within};
use zk_tests::{Cut, DeadHost, Proxy, Target};

/// What a name server says, answer by answer; the last one stays. `None` is an
/// answer that never comes.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Option<Vec<SocketAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Option<Vec<SocketAddr>>>) -> Arc<Self> {
        let answers = Mutex::new(answers.into_iter().collect());
        Arc::new(Self {
            answers,
            ..Self::default()
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Resolver for Script {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        self.asked.lock().unwrap().push(format!("{host}:{port}"));
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            0 | 1 => answers.front().cloned().flatten(),
            _ => answers.pop_front().flatten(),
        };
        match answer {
            Some(addresses) => Box::pin(async move { Ok(addresses) }),
            None => Box::pin(pending()),
        }
    }
}

fn address(host: &str) -> SocketAddr {
    host.parse().unwrap()
}

#[tokio::test]
async fn a_host_name_is_looked_up() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let host = proxy.host().replace("127.0.0.1", "localhost");
    let client = target.client_through(&host).await;
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn a_name_is_looked_up_anew_for_every_attempt() {
    let target = Target::start().await;
    let (old, new) = (
        Proxy::start(target.host()).await,
        Proxy::start(target.host()).await,
    );
    let names = Script::new([old.host(), new.host()].map(|host| Some(vec![address(&host)])));
    let resolver = Arc::<Script>::clone(&names);
    let client = connect(target.builder_through("zk.example:2181").resolver(resolver)).await;
    let id = client.session_id();
    // The server has moved to another address.
    old.refuse(true);
    old.cut(Cut::Reset);
    eventually("the new address", async || new.open() == 1).await;
    client.get_data("/", None).await.unwrap();
    assert_eq!(client.session_id(), id);
    let asked = names.asked.lock().unwrap().clone();
    assert!(
        asked.len() >= 2 && asked.iter().all(|name| name == "zk.example:2181"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let target = Target::start().await;
    let dead: Vec<_> = (0..5).map(|_| DeadHost::new()).collect();
    let proxy = Proxy::start(target.host()).await;
    let hosts = dead.iter().map(DeadHost::host).chain([proxy.host()]);
    let names = Script::new([Some(hosts.map(|host| address(&host)).collect())]);
    let resolver = Arc::<Script>::clone(&names);
    let client = connect(target.builder_through("zk.example:2181").resolver(resolver)).await;
    client.get_data("/", None).await.unwrap();
    assert_eq!(names.asked(), 1);
}

#[tokio::test]
async fn a_lookup_that_hangs_leaves_time_for_other_hosts() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let names = Script::new([None, Some(vec![address(&proxy.host())])]);
    let builder = target
        .builder_through("hangs.example:1,answers.example:1")
        .session_timeout(Duration::from_secs(2))
        .shuffle(false);
    let client = connect(builder.resolver(names)).await;
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn a_name_without_an_address_is_said_to_have_none() {
    let names = Script::new([Some(Vec::new())]);
    let connecting = Client::builder("nowhere.example:2181")
        .connect_deadline(Duration::from_millis(300))
        .resolver(names)
        .connect();
    let error = within("the deadline", connecting).await.unwrap_err();
    let ConnectError::NoServer { attempts, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(attempts[0].host.to_string(), "nowhere.example:2181");
    assert!(attempts[0].reason.contains("address"), "{attempts:?}");
}
