//! SASL with a server that is not ours, which `scripts/security.sh` starts: user `bob`
//! with password `bobsecret`, ACLs of scheme `sasl`.

use zk_client::{
    Acl, AclId, Client, ConnectError, CreateMode, Error, ErrorCode, Perms, SaslFailure,
};

fn servers() -> String {
    std::env::var("ZK_TEST_CONNECT").expect("ZK_TEST_CONNECT names the server")
}

async fn as_user(user: &str, password: &str) -> Result<Client, ConnectError> {
    let builder = Client::builder(&servers());
    builder.sasl_digest_md5(user, password).connect().await
}

#[tokio::test]
#[ignore = "needs a foreign server: scripts/security.sh"]
async fn the_right_password_makes_an_identity() {
    let bob = as_user("bob", "bobsecret").await.unwrap();
    let identities = bob.who_am_i().await.unwrap();
    let is_bob = identities
        .iter()
        .any(|it| it.auth_scheme == "sasl" && it.user == "bob");
    assert!(is_bob, "{identities:?}");
    let acl = vec![Acl::new(Perms::ALL, AclId::new("sasl", "bob"))];
    let path = bob
        .create("/sasl-", b"", CreateMode::EphemeralSequential.with_acl(acl))
        .await
        .unwrap();
    let stranger = Client::connect(&servers()).await.unwrap();
    let refused = stranger.get_data(&path, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NoAuth));
    assert!(bob.get_data(&path, None).await.is_ok());
}

#[tokio::test]
#[ignore = "needs a foreign server: scripts/security.sh"]
async fn a_wrong_password_is_terminal_and_not_told() {
    let error = as_user("bob", "wrongsecret").await.unwrap_err();
    assert!(
        matches!(error, ConnectError::SaslFailed(SaslFailure::Refused)),
        "{error:?}"
    );
    let text = format!(
        "{error} {error:?} {}",
        Error::SaslFailed(SaslFailure::Refused)
    );
    assert!(!text.contains("wrongsecret"));
}
