//! SASL: who is let in, what that is worth, and what the others hear.

use zk_proto::record::{Credential, GetSaslRequest, SetSaslResponse};
use zk_proto::sasl::{DIGEST_MD5_HOST, DigestMd5Client, SERVICE};
use zk_proto::{Acl, AclId, Perms};

use super::*;

fn with_users() -> ServerConfigBuilder {
    config()
        .sasl_users([("bob", "hush"), ("ann", "hush2")])
        .sasl_super_user("ann")
}

fn token(token: &[u8]) -> GetSaslRequest<'_> {
    GetSaslRequest {
        token: Credential(Some(token.into())),
    }
}

fn token_of(reply: &Reply) -> Option<Vec<u8>> {
    let SetSaslResponse { token } = Decode::decode(&mut Reader::new(&reply.body)).unwrap();
    token.0.map(std::borrow::Cow::into_owned)
}

/// The server's last word to a client that tries this.
fn log_in(s: &mut Fixture, c: &Client, user: &str, password: &str) -> Reply {
    let reply = s.call(c, OpCode::Sasl, &token(b""));
    assert_eq!((reply.zxid, reply.err), (Zxid::ZERO, ErrorCode::Ok));
    let client = DigestMd5Client::new(user, password, SERVICE, DIGEST_MD5_HOST);
    let challenge = token_of(&reply).unwrap();
    let (response, proof) = client.respond(&challenge, "cnonce").unwrap();
    let reply = s.call(c, OpCode::Sasl, &token(&response));
    if let Some(token) = token_of(&reply) {
        proof.verify(&token).unwrap();
    }
    reply
}

fn only(perms: Perms, user: &str) -> Vec<Acl> {
    vec![Acl::new(perms, AclId::new("sasl", user))]
}

#[test]
fn who_has_logged_in_is_what_acls_speak_of() {
    let mut s = Fixture::with(with_users());
    let (bob, stranger) = (s.client(), s.client());
    assert_eq!(log_in(&mut s, &bob, "bob", "hush").err, ErrorCode::Ok);
    let created = s.call(
        &bob,
        OpCode::Create,
        &create_with("/bob", 0, only(Perms::ALL, "bob")),
    );
    assert_eq!(created.err, ErrorCode::Ok);
    assert!(s.get_data(&bob, "/bob").is_ok());
    assert_eq!(s.get_data(&stranger, "/bob"), Err(ErrorCode::NoAuth));
    let mine = create_with("/mine", 0, vec![Acl::creator_all()]);
    assert_eq!(s.call(&bob, OpCode::Create, &mine).err, ErrorCode::Ok);
    assert_eq!(s.get_data(&stranger, "/mine"), Err(ErrorCode::NoAuth));

    let ann = s.client();
    assert_eq!(log_in(&mut s, &ann, "ann", "hush2").err, ErrorCode::Ok);
    assert!(s.get_data(&ann, "/bob").is_ok(), "the super user");
}

#[test]
fn who_is_refused_hears_so_and_is_closed() {
    let mut s = Fixture::with(with_users());
    for (user, password) in [("bob", "wrong"), ("eve", "hush"), ("bob", "")] {
        let c = s.client();
        let reply = log_in(&mut s, &c, user, password);
        assert_eq!(
            (reply.xid, reply.zxid, reply.err),
            (Xid(7), Zxid::ZERO, ErrorCode::AuthFailed)
        );
        assert_eq!(&reply.body[..], [0xff; 4], "a null token behind the header");
        assert!(s.is_closed(&c));
    }
}

#[test]
fn who_is_refused_may_stay_if_the_configuration_says_so() {
    let mut s = Fixture::with(with_users().allow_sasl_failed_clients(true));
    let c = s.client();
    let reply = log_in(&mut s, &c, "bob", "wrong");
    assert_eq!((reply.err, token_of(&reply)), (ErrorCode::Ok, None));
    assert!(!s.is_closed(&c));
    let invalid = s.call(
        &c,
        OpCode::Create,
        &create_with("/mine", 0, vec![Acl::creator_all()]),
    );
    assert_eq!(invalid.err, ErrorCode::InvalidAcl, "and is nobody");
}

#[test]
fn enforced_sasl_lets_nothing_else_through() {
    let enforcing = with_users()
        .enforce_auth_schemes(vec!["sasl".to_owned()])
        .allow_sasl_failed_clients(true);
    let mut s = Fixture::with(enforcing);
    let (bob, eve, stranger) = (s.client(), s.client(), s.client());
    log_in(&mut s, &bob, "bob", "hush");
    assert_eq!(s.call(&bob, OpCode::Ping, &()).err, ErrorCode::Ok);
    let refused = log_in(&mut s, &eve, "bob", "wrong");
    assert_eq!(refused.err, ErrorCode::SessionClosedRequireSaslAuth);
    assert!(s.is_closed(&eve));
    s.auth(&stranger, "digest", Some("any:one"));
    let reply = s.call(&stranger, OpCode::Ping, &());
    assert_eq!(reply.err, ErrorCode::SessionClosedRequireSaslAuth);
    assert!(s.is_closed(&stranger));
}

#[test]
fn an_answer_to_another_connections_challenge_is_refused() {
    let mut s = Fixture::with(with_users());
    let (one, other) = (s.client(), s.client());
    let client = DigestMd5Client::new("bob", "hush", SERVICE, DIGEST_MD5_HOST);
    let first = s.call(&one, OpCode::Sasl, &token(b""));
    let second = s.call(&other, OpCode::Sasl, &token(b""));
    assert_ne!(token_of(&first), token_of(&second));
    let (response, _) = client
        .respond(&token_of(&first).unwrap(), "cnonce")
        .unwrap();
    let reply = s.call(&other, OpCode::Sasl, &token(&response));
    assert_eq!(reply.err, ErrorCode::AuthFailed);
    assert_eq!(
        s.call(&one, OpCode::Sasl, &token(&response)).err,
        ErrorCode::Ok
    );
}

#[test]
fn without_users_there_are_no_ids_of_that_scheme() {
    let mut s = Fixture::new();
    let c = s.client();
    let reply = s.call(
        &c,
        OpCode::Create,
        &create_with("/a", 0, only(Perms::ALL, "bob")),
    );
    assert_eq!(reply.err, ErrorCode::InvalidAcl);
}

#[test]
fn no_password_shows() {
    let mut s = Fixture::with(with_users());
    let c = s.client();
    log_in(&mut s, &c, "bob", "hush");
    let text = format!("{:?} {:?}", s.server, with_users());
    assert!(!text.contains("hush"));
}
