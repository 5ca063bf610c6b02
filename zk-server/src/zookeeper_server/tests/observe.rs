//! What a simulator is told, and what it can plant.

use std::sync::{Arc, Mutex};

use zk_env::{Probe, ScriptedProbe};
use zk_proto::record::CheckVersionRequest;

use super::*;
use crate::observe::{Transaction, TransactionObserver};

type Told = Arc<Mutex<Vec<Transaction>>>;

/// A server whose transactions are told, with a probe.
fn observed(probe: &Arc<ScriptedProbe>) -> (Fixture, Told) {
    let told = Told::default();
    let sink = Arc::clone(&told);
    let observer = TransactionObserver::new(Arc::new(move |transaction: &Transaction| {
        sink.lock().unwrap().push(transaction.clone());
    }));
    let mut fixture = Fixture::new();
    let probe = Probe::new(Arc::<ScriptedProbe>::clone(probe));
    fixture.server = fixture.server.observed_by(probe, observer);
    (fixture, told)
}

fn planted(bug: &'static str) -> Fixture {
    observed(&Arc::new(ScriptedProbe::planting(bug))).0
}

/// Operations, errors and reaped paths, in order.
fn taken(told: &Told) -> Vec<(OpCode, ErrorCode, Option<String>)> {
    let told = std::mem::take(&mut *told.lock().unwrap());
    let brief = |told: Transaction| (told.op, told.err, told.path);
    told.into_iter().map(brief).collect()
}

#[test]
fn every_transaction_is_told_once_in_order_and_by_the_logs_name() {
    let (mut s, told) = observed(&Arc::default());
    let c = s.client();
    s.create(&c, "/a", 0);
    s.create2(&c, "/b", 0);
    s.create(&c, "/e", 1);
    s.call(&c, OpCode::CreateContainer, &create("/c", 4));
    s.call(&c, OpCode::CreateTtl, &create_ttl("/t", 5, 100));
    s.set_data(&c, "/a", b"y", -1);
    s.delete(&c, "/b", -1);
    assert_eq!(s.delete(&c, "/b", -1), ErrorCode::NoNode);
    let check = |path: &'static str, version| {
        MultiOp::Check(CheckVersionRequest {
            path: path.into(),
            version,
        })
    };
    s.multi(&c, vec![check("/a", 1)]);
    s.multi(&c, vec![check("/a", 1), check("/a", 7)]);
    s.exists(&c, "/a", false).unwrap();
    s.call(&c, OpCode::CloseSession, &());
    {
        let told = told.lock().unwrap();
        let zxids = told.iter().map(|told| told.zxid.0);
        assert!(zxids.eq(1..=told.len() as i64), "{told:?}");
        assert!(told.iter().all(|told| told.session == c.session));
        assert!(told[1..].iter().all(|told| told.cxid == Xid(7)));
        assert_eq!(told[0].time_ms, 1_700_000_000_000);
    }
    let ok = |op| (op, ErrorCode::Ok, None);
    let expected = [
        ok(OpCode::CreateSession),
        ok(OpCode::Create),
        ok(OpCode::Create2),
        ok(OpCode::Create),
        ok(OpCode::CreateContainer),
        ok(OpCode::CreateTtl),
        ok(OpCode::SetData),
        ok(OpCode::Delete),
        (OpCode::Error, ErrorCode::NoNode, None),
        ok(OpCode::Multi),
        (OpCode::Multi, ErrorCode::BadVersion, None),
        ok(OpCode::CloseSession),
    ];
    assert_eq!(taken(&told), expected);
}

#[test]
fn the_reaper_names_what_it_deletes() {
    let (mut s, told) = observed(&Arc::default());
    let c = s.client();
    s.call(&c, OpCode::CreateTtl, &create_ttl("/t", 5, 1));
    s.call(&c, OpCode::CloseSession, &());
    taken(&told);
    s.advance(Duration::from_secs(200));
    let reaped = (
        OpCode::DeleteContainer,
        ErrorCode::Ok,
        Some("/t".to_owned()),
    );
    assert_eq!(taken(&told), [reaped]);
}

#[test]
fn places_are_noted_where_they_are_reached() {
    let probe = Arc::new(ScriptedProbe::new());
    let (mut s, _) = observed(&probe);
    let mut c = s.client();
    s.create(&c, "/e", 1);
    s.reconnect(&mut c);
    assert!(probe.has_reached("server: session moved to another connection"));
    assert!(!probe.has_reached("server: session expired"));
    s.advance(Duration::from_secs(10));
    assert!(probe.has_reached("server: session expired"));
    assert!(probe.has_reached("server: ephemerals deleted with their session"));
}

#[test]
fn a_planted_bug_reuses_sequence_numbers() {
    let names = |mut s: Fixture| {
        let c = s.client();
        let first = s.create(&c, "/q-", 2);
        s.delete(&c, &first, -1);
        (first, s.create(&c, "/q-", 2))
    };
    let (first, second) = names(planted("server: sequence number reused"));
    assert_eq!(first, second);
    let (first, second) = names(Fixture::new());
    assert_ne!(first, second);
}

#[test]
fn a_planted_bug_does_not_count_creations() {
    let cversion = |mut s: Fixture| {
        let c = s.client();
        s.create(&c, "/a", 0);
        s.create(&c, "/a/b", 0);
        s.exists(&c, "/a", false).unwrap().cversion
    };
    assert_eq!(cversion(Fixture::new()), 1);
    assert_ne!(cversion(planted("server: cversion not counted")), 1);
}

#[test]
fn a_planted_bug_lets_connected_sessions_outlive_their_timeout() {
    let is_alive = |mut s: Fixture| {
        let mut c = s.client();
        s.advance(Duration::from_secs(6));
        s.reconnect(&mut c).session_id == c.session
    };
    assert!(!is_alive(Fixture::new()));
    assert!(is_alive(planted("session served past its expiry")));
}
