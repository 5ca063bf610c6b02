//! SASL: before everything else on every connection, and never skipped.

use std::sync::Arc;

use zk_env::EnvRng;
use zk_proto::record::{Credential, GetSaslRequest, SetSaslResponse};
use zk_proto::sasl::{DIGEST_MD5_HOST, DigestMd5Server, SERVICE, Secret};
use zk_proto::{ErrorCode, OpCode, ReplyHeader, Xid, Zxid};

use super::pair::{HANDSHAKE, ID, Pair, Seen, config, credentials, granted};
use crate::error::Error;
use crate::sasl::{DigestMd5, Sasl, SaslFailure};
use crate::session::{Cause, Epoch, SessionConfig, SessionState, WatchKind};
use crate::watcher::Watcher;

fn with_sasl() -> SessionConfig {
    SessionConfig {
        sasl: Some(Sasl {
            mechanism: Arc::new(DigestMd5::new("bob", Secret::new("hush"))),
            rng: EnvRng::from_seed(1),
        }),
        auths: vec![credentials("digest", "ann:secret")],
        ..config()
    }
}

fn token_of(seen: &Seen) -> Vec<u8> {
    assert_eq!(seen.op, OpCode::Sasl);
    let GetSaslRequest { token } = seen.record();
    token.0.unwrap().into_owned()
}

fn send_token(pair: &mut Pair, xid: Xid, err: ErrorCode, token: Option<&[u8]>) {
    let header = ReplyHeader {
        xid,
        zxid: Zxid::ZERO,
        err,
    };
    let token = Credential(token.map(Into::into));
    pair.send(&(header, SetSaslResponse { token }));
}

/// The one request there is, SASL's.
fn take_step(pair: &mut Pair) -> Seen {
    let mut requests = pair.take_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

/// A connection whose session is granted, and the client's first step.
fn begun() -> (Pair, Seen) {
    let mut pair = Pair::new(with_sasl());
    pair.connect(1);
    pair.take_connect_request();
    pair.grant(&granted(ID));
    let first = take_step(&mut pair);
    (pair, first)
}

/// Plays a server that knows the password, up to its proof, which is not yet sent.
fn play(pair: &mut Pair, first: &Seen) -> (Xid, Vec<u8>) {
    assert_eq!(token_of(first), b"");
    let server = DigestMd5Server::new(SERVICE, DIGEST_MD5_HOST, "nonce".into());
    let challenge = server.challenge();
    send_token(pair, first.xid, ErrorCode::Ok, Some(&challenge));
    let second = take_step(pair);
    let password = Secret::new("hush");
    let judged = server.evaluate(&token_of(&second), |user| {
        (user == "bob").then_some(&password)
    });
    (second.xid, judged.unwrap().1)
}

fn complete(pair: &mut Pair, first: &Seen) {
    let (xid, proof) = play(pair, first);
    send_token(pair, xid, ErrorCode::Ok, Some(&proof));
}

fn accept_credentials(pair: &mut Pair) {
    pair.send(&ReplyHeader {
        xid: Xid::AUTH,
        zxid: Zxid::ZERO,
        err: ErrorCode::Ok,
    });
}

/// What the client says once it is terminal, having sent nothing more.
fn end_of(pair: &mut Pair) -> SaslFailure {
    assert_eq!(pair.states(), [SessionState::AuthFailed]);
    assert!(pair.take_requests().is_empty());
    match pair.try_get("/a") {
        Err(Error::SaslFailed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn on_every_connection_sasl_precedes_credentials_watches_and_calls() {
    let (mut pair, first) = begun();
    pair.get("/a");
    complete(&mut pair, &first);
    assert_eq!(pair.take_ops(), [OpCode::Auth]);
    assert!(pair.states().is_empty(), "not connected before that");
    accept_credentials(&mut pair);
    assert_eq!(pair.take_ops(), [OpCode::GetData]);
    assert_eq!(pair.states(), [SessionState::Connected { epoch: Epoch(1) }]);
    pair.lose();

    let watcher = Watcher::new();
    pair.connect(2);
    pair.take_connect_request();
    pair.grant(&granted(ID));
    let again = take_step(&mut pair);
    complete(&mut pair, &again);
    assert_eq!(pair.take_ops(), [OpCode::Auth]);
    accept_credentials(&mut pair);
    pair.watched(WatchKind::Data, "/w", &watcher);
    pair.answer_all();
    pair.lose();

    pair.get("/b");
    pair.connect(1);
    pair.take_connect_request();
    pair.grant(&granted(ID));
    let third = take_step(&mut pair);
    complete(&mut pair, &third);
    assert_eq!(pair.take_ops(), [OpCode::Auth]);
    accept_credentials(&mut pair);
    assert_eq!(pair.take_ops(), [OpCode::SetWatches, OpCode::GetData]);
}

#[test]
fn nothing_leaves_before_the_server_has_proved_itself() {
    let (mut pair, first) = begun();
    let call = pair.get("/a");
    let (xid, _) = play(&mut pair, &first);
    assert!(pair.take_requests().is_empty() && pair.is_waiting(call));
    send_token(&mut pair, xid, ErrorCode::Ok, Some(b"rspauth=0000"));
    assert_eq!(end_of(&mut pair), SaslFailure::NotGenuine);
    assert_eq!(pair.error(call), Error::SaslFailed(SaslFailure::NotGenuine));
}

#[test]
fn a_server_without_sasl_is_no_reason_to_do_without() {
    let (mut pair, first) = begun();
    send_token(&mut pair, first.xid, ErrorCode::Ok, None);
    assert_eq!(end_of(&mut pair), SaslFailure::NotOffered);
    let (mut pair, first) = begun();
    let (xid, _) = play(&mut pair, &first);
    send_token(&mut pair, xid, ErrorCode::Ok, None);
    assert_eq!(
        end_of(&mut pair),
        SaslFailure::NotOffered,
        "nor is a late retreat"
    );
}

#[test]
fn a_refusal_is_terminal() {
    for err in [
        ErrorCode::AuthFailed,
        ErrorCode::SessionClosedRequireSaslAuth,
    ] {
        let (mut pair, first) = begun();
        let (xid, _) = play(&mut pair, &first);
        send_token(&mut pair, xid, err, None);
        assert_eq!(end_of(&mut pair), SaslFailure::Refused);
    }
}

#[test]
fn an_unusable_challenge_is_terminal() {
    let (mut pair, first) = begun();
    send_token(&mut pair, first.xid, ErrorCode::Ok, Some(b"\xff"));
    assert!(matches!(end_of(&mut pair), SaslFailure::BadToken(_)));
}

#[test]
fn an_answer_to_nothing_costs_the_connection() {
    let (mut pair, first) = begun();
    send_token(&mut pair, first.xid.next(), ErrorCode::Ok, Some(b""));
    assert_eq!(pair.causes(), [Cause::OutOfOrder]);
}

#[test]
fn a_silent_server_is_left_for_another() {
    let (mut pair, _) = begun();
    pair.advance(HANDSHAKE);
    assert_eq!(pair.causes(), [Cause::HandshakeTimeout]);
}

#[test]
fn every_exchange_has_a_nonce_of_its_own() {
    let mut responses = Vec::new();
    let (mut pair, mut first) = begun();
    for _ in 0..2 {
        let server = DigestMd5Server::new(SERVICE, DIGEST_MD5_HOST, "nonce".into());
        send_token(
            &mut pair,
            first.xid,
            ErrorCode::Ok,
            Some(&server.challenge()),
        );
        responses.push(token_of(&take_step(&mut pair)));
        pair.lose();
        pair.connect(1);
        pair.take_connect_request();
        pair.grant(&granted(ID));
        first = take_step(&mut pair);
    }
    assert_ne!(responses[0], responses[1]);
}

#[test]
fn no_secret_shows() {
    let (mut pair, first) = begun();
    play(&mut pair, &first);
    assert!(!format!("{:?}", pair.session).contains("hush"));
    assert!(!format!("{:?}", with_sasl()).contains("hush"));
}
