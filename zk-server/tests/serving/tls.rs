//! Clients with TLS, and those that are refused: the client learns it, the log says what to
//! do, and it is counted.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use zk_env::{BoxStream, Env, OpenMode, Probe};
use zk_proto::record::{CreateRequest, GetDataRequest, WhoAmIResponse};
use zk_proto::{Acl, AclId, CreateMode, ErrorCode, OpCode, Perms};
use zk_server::{ClientAuth, Server, ServerConfig, TlsConfig};
use zk_sim::Sim;

use crate::certificates::{Authority, Signed};
use crate::raw::{Raw, World};

const SECURE_PORT: u16 = 2281;
const REVOKED: u64 = 7;

/// A server with TLS, and the authority it trusts.
struct Secured {
    world: World,
    authority: Authority,
}

impl Secured {
    async fn start() -> Self {
        Self::with(|tls| tls, false).await
    }

    async fn with(change: impl FnOnce(TlsConfig) -> TlsConfig, unified: bool) -> Self {
        let authority = Authority::new("authority");
        let net = Sim::new(7);
        let env = net.env("server");
        let key_store = authority.sign("server", 1).key_store();
        write(&*env, "/server.pem", key_store).await;
        let trusted = format!("{}{}", authority.pem, authority.revoke(REVOKED));
        write(&*env, "/trusted.pem", trusted).await;
        let tls = change(TlsConfig::new("/server.pem").trust_store("/trusted.pem"));
        let config = ServerConfig::embedded()
            .tls(tls)
            .x509_super_user("CN=root,O=Zoo")
            .port_unification(unified)
            .secure_client_addr(([0, 0, 0, 0], SECURE_PORT).into());
        let world = World::on(net, config, Probe::default()).await;
        Self { world, authority }
    }

    /// A connection without a word said.
    async fn dial(&self, port: u16) -> BoxStream {
        let env = self.world.net.env("client");
        let addr = env.resolve("server", port).await.unwrap()[0];
        env.connect(addr).await.unwrap()
    }

    /// The handshake, and one byte's worth of patience: in TLS 1.3 it is only then that a
    /// client hears that its certificate is refused.
    async fn try_connect(&self, port: u16, client: Option<&Signed>) -> io::Result<Raw> {
        let stream = self.dial(port).await;
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der.clone()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some(signed) => config
                .with_client_auth_cert(vec![signed.der.clone()], signed.key())
                .unwrap(),
        };
        let name = ServerName::try_from("server").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        Ok(Raw::of(self.world.net.env("client"), Box::new(stream)))
    }

    async fn session(&self, port: u16, name: &str) -> Raw {
        let client = self.authority.sign(name, 2);
        let mut raw = self.try_connect(port, Some(&client)).await.unwrap();
        assert!(raw.handshake(10_000).await.timeout_ms > 0);
        raw
    }

    /// Whether the client is refused; it has said nothing when it is.
    async fn refuses(&self, client: Option<&Signed>) -> bool {
        match self.try_connect(SECURE_PORT, client).await {
            Err(_) => true,
            Ok(mut raw) => raw.frame().await.is_none(),
        }
    }

    /// The client gets a session.
    async fn serves(&self, client: &Signed) {
        let mut raw = self.try_connect(SECURE_PORT, Some(client)).await.unwrap();
        assert!(raw.handshake(10_000).await.timeout_ms > 0);
    }

    async fn unsuccessful_handshakes(&self) -> String {
        let text = self.world.word("mntr").await;
        let line = text
            .lines()
            .find(|line| line.contains("unsuccessful_handshake"));
        line.unwrap().split('\t').nth(1).unwrap().to_owned()
    }
}

async fn write(env: &dyn Env, path: &str, text: String) {
    let file = env.disk().open(Path::new(path), OpenMode::Create).await;
    let file = file.unwrap();
    file.truncate(0).await.unwrap();
    file.append(Bytes::from(text)).await.unwrap();
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where each thread, and so each test, finds what it has logged itself.
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Forgets what was logged on this thread and begins anew.
fn listen() {
    static ONCE: Once = Once::new();
    // One for the process: a place in the code that another thread reaches while there is a
    // subscriber of this thread alone may be switched off for both.
    ONCE.call_once(|| tracing_subscriber::fmt().with_writer(|| Log).init());
    LOG.take();
}

fn logged() -> String {
    LOG.with_borrow(|log| String::from_utf8_lossy(log).into_owned())
}

fn create<'a>(path: &'a str, acl: Vec<Acl>) -> CreateRequest<'a> {
    CreateRequest {
        acl: Some(acl),
        ..crate::raw::create_request(path, b"", CreateMode::Persistent)
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_an_identity() {
    let secured = Secured::start().await;
    let mut owner = secured.session(SECURE_PORT, "owner").await;
    let answer = owner.call(OpCode::WhoAmI, &()).await;
    let who: WhoAmIResponse = answer.body();
    let who = format!("{who:?}");
    assert!(who.contains("CN=owner,O=Zoo"), "{who}");

    let auth = vec![Acl::new(Perms::ALL, AclId::new("auth", ""))];
    let answer = owner.call(OpCode::Create, &create("/own", auth)).await;
    assert_eq!(answer.header.err, ErrorCode::Ok);
    let get = GetDataRequest {
        path: "/own".into(),
        watch: false,
    };
    let mut other = secured.session(SECURE_PORT, "other").await;
    let mut plain = secured.world.session().await;
    for stranger in [&mut other, &mut plain] {
        let answer = stranger.call(OpCode::GetData, &get).await;
        assert_eq!(answer.header.err, ErrorCode::NoAuth);
    }
    for name in ["owner", "root"] {
        let mut welcome = secured.session(SECURE_PORT, name).await;
        let answer = welcome.call(OpCode::GetData, &get).await;
        assert_eq!(answer.header.err, ErrorCode::Ok, "{name}");
    }
    let named = vec![Acl::new(Perms::ALL, AclId::new("x509", "no name"))];
    let answer = owner.call(OpCode::Create, &create("/wrong", named)).await;
    assert_eq!(answer.header.err, ErrorCode::InvalidAcl);
    assert_eq!(secured.unsuccessful_handshakes().await, "0");
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_is_told_so_logged_and_counted() {
    type Client = fn(&Authority) -> Option<Signed>;
    let cases: [(Client, &str); 4] = [
        (|_| None, "set ssl.clientAuth=want"),
        (|it| Some(it.sign_expired("old")), "has expired: renew it"),
        (|it| Some(it.sign("revoked", REVOKED)), "is revoked"),
        (
            |_| Some(Authority::new("another").sign("stranger", 3)),
            "none of the authorities in ssl.trustStore.location",
        ),
    ];
    for (client, advice) in cases {
        listen();
        let secured = Secured::start().await;
        let client = client(&secured.authority);
        assert!(secured.refuses(client.as_ref()).await, "{advice}");
        assert_eq!(secured.unsuccessful_handshakes().await, "1", "{advice}");
        assert!(secured.refuses(client.as_ref()).await, "{advice}");
        let log = logged();
        assert!(log.contains(advice), "{advice}: {log}");
        assert_eq!(log.matches("handshake refused").count(), 1, "{log}");
        secured.session(SECURE_PORT, "welcome").await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_of_the_revoked_can_be_needed() {
    let secured = Secured::with(|tls| tls.crl(true), false).await;
    secured.session(SECURE_PORT, "owner").await;
    let revoked = secured.authority.sign("revoked", REVOKED);
    assert!(secured.refuses(Some(&revoked)).await);

    let net = Sim::new(7);
    let env = net.env("server");
    let authority = Authority::new("authority");
    let key_store = authority.sign("server", 1).key_store();
    write(&*env, "/server.pem", key_store).await;
    write(&*env, "/trusted.pem", authority.pem.clone()).await;
    let tls = TlsConfig::new("/server.pem").trust_store("/trusted.pem");
    let config = ServerConfig::embedded()
        .tls(tls.crl(true))
        .port_unification(true);
    let server = Server::builder().config(config.build().unwrap()).env(env);
    let error = server.start().await.unwrap_err().to_string();
    assert!(error.contains("a block X509 CRL"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_holds_handshakes_back_and_a_drop_ends_them() {
    let secured = Secured::start().await;
    let client = secured.authority.sign("owner", 2);
    secured.world.server.freeze_connections();
    let pause = secured.world.pass(Duration::from_secs(1));
    tokio::select! {
        _ = secured.try_connect(SECURE_PORT, Some(&client)) => panic!("a frozen server answers"),
        () = pause => {}
    }
    let (connected, ()) = tokio::join!(secured.try_connect(SECURE_PORT, Some(&client)), async {
        secured.world.pass(Duration::from_secs(1)).await;
        secured.world.server.thaw_connections();
    });
    assert!(connected.unwrap().handshake(10_000).await.timeout_ms > 0);

    let env = secured.world.net.env("client");
    let mut silent = secured.dial(SECURE_PORT).await;
    secured.world.pass(Duration::from_millis(10)).await;
    let begun = env.now();
    assert!(secured.world.server.drop_connections() > 0);
    let _ = silent.read_to_end(&mut Vec::new()).await;
    assert!(env.now().since(begun) < Duration::from_secs(1));
    let refused = secured.unsuccessful_handshakes().await;
    assert_eq!(refused, "1", "only the first, whose client left");
}

#[tokio::test(start_paused = true)]
async fn files_that_have_changed_count_if_they_can_be_used() {
    listen();
    let secured = Secured::with(|tls| tls.reload(true), false).await;
    let another = Authority::new("another");
    let stranger = another.sign("stranger", 3);
    assert!(secured.refuses(Some(&stranger)).await);
    let env = secured.world.net.env("server");
    let both = format!("{}{}", secured.authority.pem, another.pem);
    write(&*env, "/trusted.pem", both).await;
    let refused = secured.refuses(Some(&stranger)).await;
    assert!(refused, "looked again too soon");
    secured.world.pass(Duration::from_secs(11)).await;
    secured.serves(&stranger).await;

    write(&*env, "/trusted.pem", "no certificate".to_owned()).await;
    secured.world.pass(Duration::from_secs(11)).await;
    secured.serves(&stranger).await;
    assert!(logged().contains("cannot be used"), "{}", logged());
}

/// The beginning of a handshake of TLS 1.1: record, message, version, random, no session, one
/// cipher suite, no compression.
fn tls_1_1_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([9; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    hello
}

#[tokio::test(start_paused = true)]
async fn other_languages_are_refused_with_a_word_about_it() {
    let cases: [(u16, Vec<u8>, &str); 3] = [
        (SECURE_PORT, b"ruok".to_vec(), "does not speak TLS"),
        (SECURE_PORT, tls_1_1_hello(), "TLSv1.2 or newer"),
        (2181, tls_1_1_hello(), "connect to secureClientPort"),
    ];
    for (port, words, advice) in cases {
        listen();
        let secured = Secured::start().await;
        let mut stream = secured.dial(port).await;
        stream.write_all(&words).await.unwrap();
        // So few bytes are no record yet, until there are no more.
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let log = logged();
        assert!(log.contains(advice), "{advice}: {log}");
        assert_eq!(secured.unsuccessful_handshakes().await, "1", "{advice}");
        if words[0] == 0x16 {
            assert_eq!(answer[0], 0x15, "no alert: {answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_can_speak_both() {
    let secured = Secured::with(|tls| tls.client_auth(ClientAuth::Want), true).await;
    let mut secure = secured.session(2181, "owner").await;
    assert!(secure.exists("/zookeeper").await);
    let mut plain = secured.world.session().await;
    assert!(plain.exists("/zookeeper").await);
    let mut nameless = secured.try_connect(2181, None).await.unwrap();
    assert!(nameless.handshake(10_000).await.timeout_ms > 0);
    assert_eq!(secured.unsuccessful_handshakes().await, "0");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_a_deadline_and_ends_with_the_server() {
    let secured = Secured::with(|tls| tls.handshake_timeout(Duration::from_secs(1)), false).await;
    let env = secured.world.net.env("client");
    let begun = env.now();
    let mut silent = secured.dial(SECURE_PORT).await;
    assert!(silent.read_to_end(&mut Vec::new()).await.is_ok());
    let waited = env.now().since(begun);
    assert!(
        waited >= Duration::from_secs(1) && waited < Duration::from_secs(2),
        "{waited:?}"
    );
    assert_eq!(secured.unsuccessful_handshakes().await, "1");

    let _silent = secured.dial(SECURE_PORT).await;
    secured.world.pass(Duration::from_millis(10)).await;
    assert_eq!(secured.world.server.counters().connections, 1);
    secured.world.server.stop().await;
    assert_eq!(secured.world.server.tasks().await, 0);
    assert_eq!(secured.world.server.counters().connections, 0);
    secured.world.server.restart().await.unwrap();
    secured.session(SECURE_PORT, "owner").await;
}
