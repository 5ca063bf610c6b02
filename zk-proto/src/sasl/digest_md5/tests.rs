use proptest::prelude::*;

use super::*;
use crate::sasl::{DIGEST_MD5_HOST, SERVICE, SaslError};

/// The example of RFC 2831, section 4.
const RFC_CHALLENGE: &[u8] = b"realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",algorithm=md5-sess,charset=utf-8";
const RFC_CNONCE: &str = "OA6MHXh6VqTrRk";

fn client(password: &str) -> DigestMd5Client {
    DigestMd5Client::new("bob", password, SERVICE, DIGEST_MD5_HOST)
}

fn server() -> DigestMd5Server {
    DigestMd5Server::new(SERVICE, DIGEST_MD5_HOST, nonce(&[7; NONCE_BYTES]))
}

/// What a server that knows `bob` by `password` says to `response`.
fn judge(response: &[u8], password: &str) -> Result<(String, Vec<u8>), SaslError> {
    let password = Secret::new(password);
    server().evaluate(response, |user| (user == "bob").then_some(&password))
}

fn respond(password: &str) -> (Vec<u8>, Proof) {
    client(password)
        .respond(&server().challenge(), "cnonce")
        .unwrap()
}

#[test]
fn the_example_of_the_rfc_comes_out() {
    let chris = DigestMd5Client::new("chris", "secret", "imap", "elwood.innosoft.com");
    let (response, proof) = chris.respond(RFC_CHALLENGE, RFC_CNONCE).unwrap();
    let response = String::from_utf8(response).unwrap();
    assert!(
        response.contains("response=d388dad90d4bbd760a152321f2143af7"),
        "{response}"
    );
    proof
        .verify(b"rspauth=ea40f60335c427b5527b84dbabcdfffd")
        .unwrap();
}

#[test]
fn both_sides_agree_and_the_server_proves_itself() {
    let (response, proof) = respond("hush");
    let (user, token) = judge(&response, "hush").unwrap();
    assert_eq!(user, "bob");
    assert_eq!(proof.verify(&token), Ok(()));
    let mut forged = token;
    let last = forged.len() - 1;
    forged[last] = if forged[last] == b'0' { b'1' } else { b'0' };
    assert_eq!(proof.verify(&forged), Err(SaslError::NotGenuine));
    assert_eq!(proof.verify(b""), Err(SaslError::NotGenuine));
}

#[test]
fn the_challenge_is_javas() {
    let text = String::from_utf8(server().challenge()).unwrap();
    let nonce = nonce(&[7; NONCE_BYTES]);
    assert_eq!(
        text,
        format!("realm=\"zk-sasl-md5\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess")
    );
}

#[test]
fn names_beyond_ascii_are_hashed_alike() {
    for name in ["b\u{f6}b", "\u{3b2}ob", "b\"o\\b"] {
        let password = Secret::new(name);
        let client = DigestMd5Client::new(name, name, SERVICE, DIGEST_MD5_HOST);
        let (response, _) = client.respond(&server().challenge(), "c").unwrap();
        let judged = server().evaluate(&response, |user| (user == name).then_some(&password));
        assert_eq!(judged.unwrap().0, name);
    }
    assert_eq!(latin1("\u{f6}"), [0xf6]);
    assert_eq!(latin1("\u{3b2}"), "\u{3b2}".as_bytes());
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    assert_eq!(
        judge(&respond("wrong").0, "hush"),
        Err(SaslError::WrongPassword)
    );
    let unknown = server().evaluate(&respond("hush").0, |_| None);
    assert_eq!(unknown, Err(SaslError::WrongPassword));
    let nobody = server().evaluate(&respond("").0, |_| None);
    assert_eq!(
        nobody,
        Err(SaslError::WrongPassword),
        "an unknown user has no empty password"
    );
}

#[test]
fn an_answer_to_something_else_is_refused() {
    let response = String::from_utf8(respond("hush").0).unwrap();
    for (from, to) in [
        ("nc=00000001", "nc=00000002"),
        ("nonce=\"BwcH", "nonce=\"CwcH"),
        ("realm=\"zk-sasl-md5\"", "realm=\"other\""),
        ("qop=auth", "qop=auth-conf"),
        ("charset=utf-8", "charset=latin1"),
        ("\"zookeeper/zk-sasl-md5\"", "\"imap/zk-sasl-md5\""),
        ("\"zookeeper/zk-sasl-md5\"", "\"zookeeper/zk-sasl-md5/x\""),
        ("username=\"bob\",", ""),
        ("username=\"bob\"", "username=\"bob\",username=\"bob\""),
        ("response=", "answer="),
    ] {
        let changed = response.replacen(from, to, 1);
        assert_ne!(changed, response, "{from}");
        assert!(judge(changed.as_bytes(), "hush").is_err(), "{to}");
    }
    judge(response.as_bytes(), "hush").unwrap();
}

#[test]
fn an_offer_that_is_none_is_refused() {
    for challenge in [
        "",
        "nonce=\"x\"",
        "algorithm=md5-sess",
        "nonce=\"x\",algorithm=sha",
        "nonce=\"x\",algorithm=md5-sess,qop=\"auth-conf\"",
        "nonce=\"x\",nonce=\"y\",algorithm=md5-sess",
        "nonce=\"x\",algorithm=md5-sess,charset=latin1",
    ] {
        assert!(
            client("hush").respond(challenge.as_bytes(), "c").is_err(),
            "{challenge}"
        );
    }
}

#[test]
fn nothing_secret_shows() {
    let (client, (_, proof)) = (client("hush"), respond("hush"));
    let text = format!("{client:?} {proof:?} {:?}", judge(b"x", "hush"));
    assert!(!text.contains("hush"), "{text}");
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(token in proptest::collection::vec(any::<u8>(), 0..5000), text in "[a-z=,\"\\\\ ]{0,60}") {
        let (_, proof) = respond("hush");
        for token in [&token[..], text.as_bytes()] {
            prop_assert!(judge(token, "hush").is_err());
            prop_assert!(proof.verify(token).is_err());
            let _ = client("hush").respond(token, "c");
        }
    }

    #[test]
    fn whatever_users_and_passwords_there_are_agree(user in ".{1,20}", password in ".{0,20}") {
        let secret = Secret::new(password.as_str());
        let client = DigestMd5Client::new(user.as_str(), password.as_str(), SERVICE, DIGEST_MD5_HOST);
        let (response, proof) = client.respond(&server().challenge(), "c").unwrap();
        let (judged, token) = server().evaluate(&response, |_| Some(&secret)).unwrap();
        prop_assert_eq!(judged, user);
        prop_assert!(proof.verify(&token).is_ok());
    }
}
