//! TLS with a server that is not ours, which `scripts/security.sh` starts: its port for TLS wants
//! certificates of clients, and makes identities of scheme `x509` of them. Certificates are in the
//! directory `ZK_TEST_TLS_DIR`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zk_client::tls::{Tls, TlsVersion};
use zk_client::{Acl, AclId, Client, ClientBuilder, CreateMode, ErrorCode, Perms};

fn dir() -> PathBuf {
    let dir = std::env::var_os("ZK_TEST_TLS_DIR");
    dir.expect("ZK_TEST_TLS_DIR names the directory").into()
}

fn servers() -> String {
    std::env::var("ZK_TEST_TLS_CONNECT").expect("ZK_TEST_TLS_CONNECT names the port for TLS")
}

fn trusting() -> Tls {
    Tls::with_roots_file(dir().join("ca.pem"))
}

fn known_as(name: &str) -> Tls {
    let file = |end| Path::new(&dir()).join(format!("{name}.{end}"));
    trusting().identity_files(file("pem"), file("key"))
}

async fn session(tls: Tls) -> Client {
    let builder = Client::builder(&servers()).tls(tls);
    builder.connect().await.expect("a session")
}

async fn refusal(builder: ClientBuilder) -> String {
    let connecting = builder.connect_deadline(Duration::from_secs(5)).connect();
    let refused = connecting.await.expect_err("a refusal");
    refused.to_string()
}

#[tokio::test]
#[ignore = "needs a foreign server: scripts/security.sh"]
async fn a_certificate_makes_an_identity() {
    for tls in [
        known_as("orders"),
        known_as("orders").min_version(TlsVersion::V1_3),
    ] {
        let orders = session(tls).await;
        let subject = "CN=orders,O=tests";
        let identities = orders.who_am_i().await.unwrap();
        let is_known = identities
            .iter()
            .any(|it| it.auth_scheme == "x509" && it.user == subject);
        assert!(is_known, "{identities:?}");
        let acl = vec![Acl::new(Perms::ALL, AclId::new("x509", subject))];
        let mode = CreateMode::EphemeralSequential.with_acl(acl);
        let path = orders.create("/x509-", b"1", mode).await.unwrap();
        let stranger = session(known_as("billing")).await;
        let refused = stranger.get_data(&path, None).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NoAuth));
        assert_eq!(orders.get_data(&path, None).await.unwrap().0, "1");
    }
}

#[tokio::test]
#[ignore = "needs a foreign server: scripts/security.sh"]
async fn who_is_refused_hears_why() {
    let told = refusal(Client::builder(&servers()).tls(trusting())).await;
    assert!(told.contains("certificate"), "{told}");
    let told = refusal(Client::builder(&servers()).tls(known_as("stranger"))).await;
    assert!(told.contains("does not accept"), "{told}");
    let plain = std::env::var("ZK_TEST_CONNECT").expect("ZK_TEST_CONNECT names the server");
    let told = refusal(Client::builder(&plain).tls(known_as("orders"))).await;
    assert!(told.contains("secureClientPort"), "{told}");
    let strangers = Tls::with_roots_file(dir().join("stranger.pem"));
    let told = refusal(Client::builder(&servers()).tls(strangers)).await;
    assert!(told.contains("Tls::with_roots_file"), "{told}");
}
