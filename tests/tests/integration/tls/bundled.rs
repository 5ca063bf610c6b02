//! The bundled server's own TLS.

use std::fs;

use zk_client::{Acl, AclId, ErrorCode, Perms};
use zk_server::{Server, ServerConfig, TlsConfig};
use zk_tests::bundled_only;

use super::*;

#[tokio::test]
async fn certificates_are_identities() {
    if !bundled_only::may_run("tls::bundled::certificates_are_identities") {
        return;
    }
    let authority = Authority::new("tests");
    let (shown, dir) = (
        authority.server(LOOPBACK, Validity::Valid),
        tempfile::tempdir().unwrap(),
    );
    let file = |name: &str, content: String| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let key_store = file("server.pem", shown.certificate + &shown.key);
    let tls = TlsConfig::new(key_store).trust_store(file("ca.pem", authority.pem()));
    let config = ServerConfig::embedded()
        .tls(tls)
        .secure_client_addr(([127, 0, 0, 1], 0).into());
    let server = Server::builder().config(config.build().unwrap());
    let stage = Stage {
        target: Target::bundled(server.start().await.unwrap()).await,
        authority,
    };
    let port = stage.target.server().secure_client_addr().unwrap().port();
    let client = async |name: &str| {
        let Signed {
            certificate, key, ..
        } = stage.authority.client(name, Validity::Valid);
        let tls = stage.tls().identity_pem(certificate, key);
        target::connect(stage.builder("localhost", port).tls(tls)).await
    };
    let (orders, billing) = (client("orders").await, client("billing").await);
    let acl = vec![Acl::new(Perms::ALL, AclId::new("auth", ""))];
    let mode = CreateMode::Persistent.with_acl(acl);
    orders.create("/orders", b"1", mode).await.unwrap();
    let (acl, _) = orders.get_acl("/orders").await.unwrap();
    assert_eq!(
        acl,
        [Acl::new(
            Perms::ALL,
            AclId::new("x509", "O=tests,CN=orders")
        )]
    );
    let refused = billing.get_data("/orders", None).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NoAuth));
    let told = stage
        .refusal(stage.builder("localhost", port).tls(stage.tls()))
        .await;
    assert!(told.contains("Tls::identity_files"), "{told}");
}
