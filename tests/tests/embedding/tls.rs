//! Clients of an ensemble by TLS: who they are is known to whoever applies their requests.

use std::path::Path;

use zk_client::tls::Tls;
use zk_client::{Acl, AclId, Client, CreateMode, ErrorCode, Perms};
use zk_server::{Ensemble, ServerConfig, TlsConfig};
use zk_tests::certificates::{Authority, LOOPBACK, Validity};
use zk_tests::wait::within;

use crate::stage::start;

async fn client_as(name: &str, authority: &Authority, ensemble: &Ensemble, id: i64) -> Client {
    let signed = authority.client(name, Validity::Valid);
    let tls = Tls::with_roots_pem(authority.pem()).identity_pem(signed.certificate, signed.key);
    let addr = ensemble.peer(id).secure_client_addr().unwrap();
    let builder = Client::builder(&addr.to_string()).tls(tls);
    within("a session", builder.connect()).await.unwrap()
}

fn config(dir: &Path, authority: &Authority) -> ServerConfig {
    let server = authority.server(LOOPBACK, Validity::Valid);
    let file = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key_store = file("server.pem", server.certificate + &server.key);
    let tls = TlsConfig::new(key_store).trust_store(file("trusted.pem", authority.pem()));
    let config = ServerConfig::embedded()
        .tls(tls)
        .secure_client_addr(([127, 0, 0, 1], 0).into());
    config.build().unwrap()
}

#[tokio::test]
async fn certificates_count_at_every_peer() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("tests");
    let builder = Ensemble::builder()
        .voters(3)
        .config(config(dir.path(), &authority))
        .temporary_dir();
    let ensemble = start(builder).await;
    let leader = ensemble.wait_for_leader().await.unwrap();
    let follower = ensemble.peer_ids().into_iter().find(|id| *id != leader);
    let follower = follower.unwrap();

    let owner = client_as("owner", &authority, &ensemble, follower).await;
    let auth = vec![Acl::new(Perms::ALL, AclId::new("auth", ""))];
    let mode = CreateMode::Persistent.with_acl(auth);
    owner.create("/own", b"1", mode).await.unwrap();
    owner.set_data("/own", b"2", None).await.unwrap();
    let (acl, _) = owner.get_acl("/own").await.unwrap();
    assert_eq!(acl[0].id.scheme, "x509", "{acl:?}");

    for id in [leader, follower] {
        let other = client_as("other", &authority, &ensemble, id).await;
        let refused = other.set_data("/own", b"3", None).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NoAuth), "{id}");
    }
    let owner = client_as("owner", &authority, &ensemble, leader).await;
    assert_eq!(owner.get_data("/own", None).await.unwrap().0, "2");
}
