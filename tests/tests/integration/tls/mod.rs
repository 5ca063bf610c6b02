//! Encrypted connections: certificates that are accepted, and those that are not.

mod bundled;
mod refused;
mod renewed;

use std::time::Duration;

use zk_client::tls::Tls;
use zk_client::{Client, ClientBuilder, ConnectError, CreateMode};
use zk_tests::certificates::{Authority, LOOPBACK, Signed, Validity};
use zk_tests::tls_front::{TlsFront, TlsFrontBuilder};
use zk_tests::wait::within;
use zk_tests::{Target, target};

/// Mostly enough for an attempt.
const DEADLINE: Duration = Duration::from_millis(500);

/// A server behind TLS, and the authority of its certificate.
struct Stage {
    target: Target,
    authority: Authority,
}

impl Stage {
    async fn new() -> Self {
        Self {
            target: Target::start().await,
            authority: Authority::new("tests"),
        }
    }

    fn tls(&self) -> Tls {
        Tls::with_roots_pem(self.authority.pem())
    }

    /// A certificate for wherever tests listen.
    fn good(&self) -> Signed {
        self.authority.server(LOOPBACK, Validity::Valid)
    }

    async fn front(&self, shown: &Signed) -> TlsFront {
        TlsFrontBuilder::new(shown).start(self.target.host()).await
    }

    async fn front_of(&self, host: &str) -> TlsFront {
        TlsFrontBuilder::new(&self.good()).start(host).await
    }

    fn builder(&self, host: &str, port: u16) -> ClientBuilder {
        self.target.builder_through(&format!("{host}:{port}"))
    }

    async fn connected(&self, front: &TlsFront, tls: Tls) -> Client {
        target::connect(self.builder("127.0.0.1", front.port()).tls(tls)).await
    }

    /// Why there is no session.
    async fn refusal(&self, builder: ClientBuilder) -> String {
        let mut deadline = DEADLINE;
        loop {
            let connecting = builder.clone().connect_deadline(deadline).connect();
            match within("the refusal", connecting).await {
                // A busy machine has not come to it yet.
                Err(ConnectError::NoServer { attempts, .. }) if attempts.is_empty() => {}
                Err(error @ ConnectError::NoServer { .. }) => return error.to_string(),
                Err(error) => panic!("{error:?}"),
                Ok(_) => panic!("a session"),
            }
            deadline *= 2;
        }
    }
}

async fn works(client: &Client) {
    let path = client.create("/a-", b"1", CreateMode::PersistentSequential);
    let path = path.await.unwrap();
    assert_eq!(client.get_data(&path, None).await.unwrap().0, "1");
}

#[tokio::test]
async fn a_session_is_encrypted_by_name_and_by_address() {
    let stage = Stage::new().await;
    let front = stage.front(&stage.good()).await;
    for host in ["localhost", "127.0.0.1"] {
        let builder = stage.builder(host, front.port()).tls(stage.tls());
        let client = target::connect(builder).await;
        works(&client).await;
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_name_can_be_given_that_is_not_the_hosts() {
    let stage = Stage::new().await;
    let other = stage.authority.server(&["zk.internal"], Validity::Valid);
    let front = stage.front(&other).await;
    works(
        &stage
            .connected(&front, stage.tls().server_name("zk.internal"))
            .await,
    )
    .await;
    let any = stage.tls().dangerous_accept_any_host_name();
    works(&stage.connected(&front, any).await).await;
}

#[tokio::test]
async fn a_server_may_want_to_know_who_the_client_is() {
    let stage = Stage::new().await;
    let (shown, client) = (
        stage.good(),
        stage.authority.client("orders", Validity::Valid),
    );
    let front = TlsFrontBuilder::new(&shown).wanting(&stage.authority);
    let front = front.start(stage.target.host()).await;
    let tls = stage.tls().identity_pem(client.certificate, client.key);
    works(&stage.connected(&front, tls).await).await;
}

#[test]
fn keys_are_not_shown() {
    let client = Authority::new("tests").client("a", Validity::Valid);
    let tls = Tls::with_system_roots().identity_pem(client.certificate, client.key.clone());
    let shown = format!("{tls:?} {:?}", Client::builder("a").tls(tls.clone()));
    let secret: Vec<&str> = client
        .key
        .lines()
        .filter(|line| !line.contains("-----"))
        .collect();
    assert!(!secret.is_empty());
    for line in secret {
        assert!(!shown.contains(line), "{shown}");
    }
    assert!(
        !shown.contains(&format!("{:?}", client.key.as_bytes())),
        "{shown}"
    );
}
