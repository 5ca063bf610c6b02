//! Local sessions, at a leader and at a learner.

use super::commit::{OK, exists};
use super::pair::{EPOCH, Pair, client_of};
use super::*;
use crate::session::LocalSessions;

const REFUSED: ErrorCode = ErrorCode::EphemeralOnLocalSession;

/// What can be said of both servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Leader,
    Learner,
}

const BOTH: [At; 2] = [At::Leader, At::Learner];

impl Pair {
    fn at(&mut self, at: At) -> &mut Fixture {
        match at {
            At::Leader => &mut self.leader,
            At::Learner => &mut self.learner,
        }
    }

    /// A client with a session, which costs nothing.
    fn local_client(&mut self, at: At) -> Client {
        let server = self.at(at);
        let conn = server.accept();
        server.feed(conn, &new_session());
        let response = server.response(conn).expect("at once");
        assert!(!server.server.has_upstream() && !server.server.has_txns());
        client_of(conn, &response)
    }

    fn ask(&mut self, at: At, client: &Client, op: OpCode, body: &impl Encode) -> ErrorCode {
        self.at(at).send(client, 9, op, body);
        self.settle();
        match self.at(at).answers(client)[..] {
            [(9, error)] => error,
            ref other => panic!("{other:?}"),
        }
    }
}

fn ephemeral_multi() -> MultiRequest<'static> {
    let ops = vec![
        MultiOp::Create(create("/p", 0)),
        MultiOp::Create(create("/p-e", 1)),
    ];
    MultiRequest { ops }
}

#[test]
fn a_local_session_is_no_transaction_and_known_to_one_server() {
    for at in BOTH {
        let mut p = Pair::with(LocalSessions::On);
        let c = p.local_client(at);
        assert_eq!(p.leader.zxid(), EPOCH);
        let counts = [&p.leader, &p.learner].map(|f| f.server.session_count());
        assert_eq!(counts.iter().sum::<usize>(), 1);
        let beginning = p.at(at).server.snapshot_beginning();
        assert_eq!(beginning.sessions, [], "in no snapshot");
        assert_eq!(p.ask(at, &c, OpCode::Create, &create("/a", 0)), OK);
        assert_eq!(p.ask(at, &c, OpCode::Exists, &exists("/a")), OK);
        assert_eq!(p.ask(at, &c, OpCode::Sync, &"/"), OK);
        assert_eq!(p.leader.zxid(), Zxid(EPOCH.0 + 1));
    }
}

#[test]
fn a_local_session_expires_where_it_lives() {
    for at in BOTH {
        let mut p = Pair::with(LocalSessions::On);
        let (silent, lives) = (p.local_client(at), p.local_client(at));
        let global = p.leader.server.sessions().len();
        for _ in 0..5 {
            p.at(at).advance(Duration::from_secs(1));
            p.at(at).send(&lives, -2, OpCode::Ping, &());
        }
        assert_eq!(p.at(at).server.take_touched().count(), 0, "{global}");
        assert!(p.at(at).is_closed(&silent) && !p.at(at).is_closed(&lives));
        assert_eq!(p.at(at).server.session_count(), 1);
        p.settle();
        assert_eq!(p.leader.zxid(), EPOCH, "no transaction");
        let wall = p.at(at).wall_ms;
        assert!(p.at(at).server.expire_session(lives.session, wall));
        p.at(at).collect();
        assert!(p.at(at).is_closed(&lives));
    }
}

#[test]
fn a_local_session_is_resumed_where_it_lives_and_nowhere_else() {
    for (here, there) in [(At::Leader, At::Learner), (At::Learner, At::Leader)] {
        let mut p = Pair::with(LocalSessions::Upgradeable);
        let c = p.local_client(here);
        let again = p.at(here).present(&c, TIMEOUT_MS);
        let response = p.at(here).response(again.conn).expect("at once");
        assert_eq!(response.session_id, c.session);
        assert!(p.at(here).is_closed(&c));
        let elsewhere = p.at(there).present(&c, TIMEOUT_MS);
        p.settle();
        let response = p.at(there).response(elsewhere.conn).unwrap();
        assert_eq!(response, ConnectResponse::expired(Some(false)), "{there:?}");
        assert!(!p.at(here).is_closed(&again), "and is not disturbed");
    }
}

#[test]
fn a_local_session_is_closed_in_its_turn() {
    for at in BOTH {
        let mut p = Pair::with(LocalSessions::On);
        let c = p.local_client(at);
        p.at(at).send(&c, 1, OpCode::Create, &create("/a", 0));
        p.at(at).send(&c, 2, OpCode::CloseSession, &());
        p.at(at).send(&c, 3, OpCode::Create, &create("/late", 0));
        assert_eq!(p.at(at).answers(&c), []);
        p.settle();
        assert_eq!(p.at(at).answers(&c), [(1, OK), (2, OK)]);
        assert!(p.at(at).is_closed(&c));
        assert_eq!(p.at(at).server.session_count(), 0);
        assert_eq!(p.leader.zxid(), Zxid(EPOCH.0 + 1), "of the create");

        let idle = p.local_client(at);
        p.at(at).send(&idle, 1, OpCode::CloseSession, &());
        assert_eq!(p.at(at).answers(&idle), [(1, OK)], "at once");
    }
}

#[test]
fn what_a_dead_local_session_has_asked_for_happens() {
    for at in BOTH {
        let mut p = Pair::with(LocalSessions::On);
        let c = p.local_client(at);
        p.at(at).send(&c, 1, OpCode::Create, &create("/a", 0));
        p.at(at).send(&c, 2, OpCode::Exists, &exists("/a"));
        let wall = p.at(at).wall_ms;
        p.at(at).server.expire_session(c.session, wall);
        p.settle();
        assert_eq!(p.at(at).answers(&c), []);
        assert!(p.leader.server.tree().node("/a").is_some());
    }
}

#[test]
fn without_upgrading_there_are_no_ephemerals() {
    for at in BOTH {
        let mut p = Pair::with(LocalSessions::On);
        let c = p.local_client(at);
        for flags in [1, 3] {
            assert_eq!(p.ask(at, &c, OpCode::Create, &create("/e", flags)), REFUSED);
            assert_eq!(
                p.ask(at, &c, OpCode::Create2, &create("/e", flags)),
                REFUSED
            );
        }
        assert_eq!(p.ask(at, &c, OpCode::Multi, &ephemeral_multi()), REFUSED);
        assert_eq!(p.leader.zxid(), EPOCH);
        p.at(at).send(&c, 1, OpCode::Create, &create("/a", 0));
        p.at(at).send(&c, 2, OpCode::Create, &create("/e", 1));
        assert_eq!(p.at(at).answers(&c), [], "in its place");
        p.settle();
        assert_eq!(p.at(at).answers(&c), [(1, OK), (2, REFUSED)]);
    }
}

#[test]
fn the_first_ephemeral_makes_a_session_global() {
    for at in BOTH {
        for op in [OpCode::Create, OpCode::Create2, OpCode::Multi] {
            let mut p = Pair::with(LocalSessions::Upgradeable);
            let c = p.local_client(at);
            assert_eq!(p.ask(at, &c, OpCode::Create, &create("/plain", 0)), OK);
            assert_eq!(p.leader.zxid(), Zxid(EPOCH.0 + 1), "nothing else");
            let error = match op {
                OpCode::Multi => p.ask(at, &c, op, &ephemeral_multi()),
                _ => p.ask(at, &c, op, &create("/e", 3)),
            };
            assert_eq!(error, OK, "{at:?} {op:?}");
            assert_eq!(p.leader.zxid(), Zxid(EPOCH.0 + 3), "one for the session");
            for fixture in [&p.leader, &p.learner] {
                assert_eq!(fixture.server.session_count(), 1);
                assert_eq!(fixture.server.ephemerals_count(), 1);
                let beginning = fixture.server.snapshot_beginning();
                assert_eq!(beginning.sessions, [(c.session, TIMEOUT_MS)]);
            }
            assert_eq!(p.ask(at, &c, OpCode::Create, &create("/second", 1)), OK);
            assert_eq!(p.leader.zxid(), Zxid(EPOCH.0 + 4), "upgraded once");
        }
    }
}

#[test]
fn an_upgraded_session_is_the_leaders_and_moves() {
    let mut p = Pair::with(LocalSessions::Upgradeable);
    let c = p.local_client(At::Learner);
    p.create(&c, "/e", 1);
    for _ in 0..6 {
        p.learner.send(&c, -2, OpCode::Ping, &());
        p.learner.answers(&c);
        p.ping();
        p.advance(Duration::from_secs(1));
    }
    assert!(!p.learner.is_closed(&c), "the leader hears that it lives");
    let moved = p.leader.present(&c, TIMEOUT_MS);
    assert!(p.leader.response(moved.conn).unwrap().timeout_ms > 0);
    let back = p.learner.present(&c, TIMEOUT_MS);
    p.settle();
    assert!(p.learner.response(back.conn).unwrap().timeout_ms > 0);
    p.advance(Duration::from_secs(6));
    assert!(p.learner.is_closed(&back), "expired");
    assert_eq!(p.learner.server.ephemerals_count(), 0);
}

#[test]
fn an_upgrade_under_way_orders_what_is_asked_for_behind_it() {
    let mut p = Pair::with(LocalSessions::Upgradeable);
    let c = p.local_client(At::Learner);
    p.learner.send(&c, 0, OpCode::Create, &create("/zero", 0));
    p.learner.send(&c, 1, OpCode::Create, &create("/e", 1));
    p.learner.send(&c, 2, OpCode::Exists, &exists("/e"));
    p.learner.send(&c, 3, OpCode::CloseSession, &());
    assert_eq!(p.learner.answers(&c), []);
    p.settle();
    assert_eq!(p.learner.answers(&c), [(0, OK), (1, OK), (2, OK), (3, OK)]);
    assert_eq!(p.leader.server.session_count(), 0);
    assert_eq!(p.leader.server.ephemerals_count(), 0);
}

#[test]
fn containers_and_what_cannot_be_read_upgrade_nothing() {
    let mut p = Pair::with(LocalSessions::Upgradeable);
    let c = p.local_client(At::Leader);
    assert_eq!(
        p.ask(At::Leader, &c, OpCode::CreateContainer, &create("/c", 4)),
        OK
    );
    let ttl = create_ttl("/t", 5, 1000);
    assert_eq!(p.ask(At::Leader, &c, OpCode::CreateTtl, &ttl), OK);
    let nonsense = Raw(b"nonsense");
    let marshalling = ErrorCode::MarshallingError;
    assert_eq!(
        p.ask(At::Leader, &c, OpCode::Create, &nonsense),
        marshalling
    );
    assert_eq!(p.leader.server.snapshot_beginning().sessions, []);
}

#[test]
fn the_end_of_a_role_ends_local_sessions() {
    for at in BOTH {
        let mut p = Pair::with(LocalSessions::Upgradeable);
        let c = p.local_client(at);
        let now = p.at(at).now;
        p.at(at).server.handle_closed(c.conn);
        p.at(at).server.end_role(now);
        assert_eq!(p.at(at).server.session_count(), 0);
        assert_eq!(p.at(at).server.poll_timeout(), None);
    }
}

#[test]
fn a_standalone_server_has_none() {
    let mut s = Fixture::new();
    s.server = s.server.with_local_sessions(LocalSessions::Upgradeable);
    let c = s.client();
    assert_eq!(s.zxid(), Zxid(1));
    s.create(&c, "/e", 1);
}
