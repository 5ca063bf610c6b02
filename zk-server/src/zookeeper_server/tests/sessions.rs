//! Sessions: begin, resume, expire, end.

use super::*;

#[test]
fn a_session_has_an_id_a_password_and_a_negotiated_timeout() {
    let mut s = Fixture::new();
    let negotiated = |s: &mut Fixture, timeout_ms| {
        let conn = s.accept();
        let request = ConnectRequest {
            timeout_ms,
            ..new_session()
        };
        s.handshake(conn, &request).unwrap().timeout_ms
    };
    for (asked, given) in [
        (-1, 2000),
        (0, 2000),
        (2001, 2001),
        (20_000, 20_000),
        (i32::MAX, 20_000),
    ] {
        assert_eq!(negotiated(&mut s, asked), given);
    }
    let (a, b) = (s.client(), s.client());
    assert_eq!(b.session.0, a.session.0 + 1);
    assert_ne!(a.password, b.password);
    assert_eq!(a.session.0 >> 56, 1, "the server's id");
    assert_eq!(s.zxid(), Zxid(7), "one for each session");
}

#[test]
fn the_read_only_byte_is_answered_only_if_asked_for() {
    let mut s = Fixture::new();
    for read_only in [None, Some(false), Some(true)] {
        let conn = s.accept();
        let request = ConnectRequest {
            read_only,
            ..new_session()
        };
        let response = s.handshake(conn, &request).unwrap();
        assert_eq!(response.read_only, read_only.map(|_| false));
    }
    let mut gone = s.client();
    gone.session = SessionId(99);
    gone.conn = s.accept();
    let request = ConnectRequest {
        session_id: gone.session,
        read_only: None,
        ..new_session()
    };
    let response = s.handshake(gone.conn, &request).unwrap();
    assert_eq!(response, ConnectResponse::expired(None));
}

#[test]
fn a_renewed_session_lives_on_and_its_old_connection_closes() {
    let mut s = Fixture::new();
    let old = s.client();
    s.create(&old, "/e", 1);
    let zxid = s.zxid();
    let mut new = old.clone();
    let response = s.reconnect(&mut new);
    assert_eq!(response.session_id, old.session);
    assert_eq!(response.password, old.password);
    assert!(s.is_closed(&old));
    assert!(s.exists(&new, "/e", false).is_ok());
    assert_eq!(s.zxid(), zxid, "renewal is no transaction");
}

#[test]
fn a_wrong_password_gets_nothing_but_still_kicks_the_connection() {
    let mut s = Fixture::new();
    let old = s.client();
    s.create(&old, "/e", 1);
    let mut thief = Client {
        password: Password::none(),
        ..old.clone()
    };
    assert_eq!(
        s.reconnect(&mut thief),
        ConnectResponse::expired(Some(false))
    );
    assert!(s.is_closed(&thief) && s.is_closed(&old));
    let mut new = old;
    assert_eq!(s.reconnect(&mut new).session_id, new.session);
    assert!(s.exists(&new, "/e", false).is_ok());
}

#[test]
fn a_client_that_has_seen_more_is_turned_away_without_a_word() {
    let mut s = Fixture::new();
    s.client();
    for (seen, refused) in [(Zxid(1), false), (Zxid(9), true)] {
        let conn = s.accept();
        let request = ConnectRequest {
            last_zxid_seen: seen,
            ..new_session()
        };
        assert_eq!(s.handshake(conn, &request).is_none(), refused, "{seen}");
        assert_eq!(s.inboxes[&conn].is_closed, refused);
    }
}

#[test]
fn silence_expires_a_session_and_its_ephemerals_at_the_end_of_a_tick() {
    let mut s = Fixture::new();
    let (silent, witness) = (s.client(), s.client());
    s.create(&silent, "/e", 1);
    s.create(&silent, "/f", 1);
    assert!(s.exists(&witness, "/e", true).is_ok());
    assert!(s.exists(&silent, "/e", true).is_ok());
    s.advance(Duration::from_millis(500));
    s.call(&silent, OpCode::Ping, &());
    for _ in 0..4 {
        s.advance(Duration::from_secs(1));
        s.call(&witness, OpCode::Ping, &());
        assert!(!s.is_closed(&silent));
    }
    s.advance(Duration::from_millis(499));
    assert!(!s.is_closed(&silent), "4.999 s are within the tick");
    let before = s.zxid();
    s.advance(Duration::from_millis(1));
    assert!(s.is_closed(&silent));
    assert_eq!(s.zxid().0, before.0 + 1, "one transaction");
    assert!(s.events(&silent).is_empty(), "closed without a word");
    let gone = (EventType::NodeDeleted, "/e".to_owned(), s.zxid());
    assert_eq!(s.events(&witness), [gone]);
    assert_eq!(s.exists(&witness, "/f", false), Err(ErrorCode::NoNode));
    let mut late = silent;
    assert_eq!(
        s.reconnect(&mut late),
        ConnectResponse::expired(Some(false))
    );
    assert!(s.is_closed(&late));
}

#[test]
fn a_closed_socket_leaves_the_session_until_it_expires() {
    let mut s = Fixture::new();
    let mut c = s.client();
    s.create(&c, "/e", 1);
    s.exists(&c, "/e", true).unwrap();
    s.server.handle_closed(c.conn);
    assert_eq!(s.server.watch_count(), 0);
    assert_eq!(s.server.session_conn(c.session), None);
    s.advance(Duration::from_secs(3));
    assert_eq!(s.reconnect(&mut c).session_id, c.session);
    s.server.handle_closed(c.conn);
    s.advance(Duration::from_secs(5));
    assert_eq!(s.server.session_count(), 0);
    assert_eq!(s.server.ephemerals_count(), 0);
}

#[test]
fn close_session_is_answered_after_its_events_and_ends_the_connection() {
    let mut s = Fixture::new();
    let c = s.client();
    s.create(&c, "/e", 1);
    s.exists(&c, "/e", true).unwrap();
    let reply = s.call(&c, OpCode::CloseSession, &());
    assert_eq!((reply.err, reply.zxid), (ErrorCode::Ok, s.zxid()));
    assert!(s.is_closed(&c));
    let own = (EventType::NodeDeleted, "/e".to_owned(), s.zxid());
    assert_eq!(s.events(&c), [own]);
    assert_eq!(s.server.session_count(), 0);
}

#[test]
fn requests_behind_close_session_are_ignored() {
    let mut s = Fixture::new();
    let c = s.client();
    let mut frames = Vec::new();
    for (xid, op) in [(1, OpCode::CloseSession), (2, OpCode::Create)] {
        let mut frame = BytesMut::new();
        let header = RequestHeader {
            xid: Xid(xid),
            op: op.into(),
        };
        (header, create("/late", 0)).encode(&mut frame);
        frames.push(frame.freeze());
    }
    for frame in &frames {
        s.server.handle_frame(c.conn, frame, s.now, s.wall_ms);
    }
    s.collect();
    assert_eq!(s.inbox(&c).frames.len(), 1);
    assert!(s.is_closed(&c));
    assert_eq!(s.server.node_count(), 5);
}

#[test]
fn renewal_negotiates_afresh() {
    let mut s = Fixture::new();
    let c = s.client();
    let conn = s.accept();
    let request = ConnectRequest {
        session_id: c.session,
        password: c.password,
        timeout_ms: 10_000,
        ..new_session()
    };
    assert_eq!(s.handshake(conn, &request).unwrap().timeout_ms, 10_000);
    s.advance(Duration::from_secs(9));
    assert_eq!(s.server.session_count(), 1);
    assert_eq!(s.server.sessions()[0].timeout_ms, 10_000);
    s.advance(Duration::from_secs(2));
    assert_eq!(s.server.session_count(), 0);
}

#[test]
fn a_session_can_be_expired_by_request() {
    let mut s = Fixture::new();
    let c = s.client();
    s.create(&c, "/e", 1);
    assert!(s.server.expire_session(c.session, s.wall_ms));
    assert!(!s.server.expire_session(c.session, s.wall_ms));
    s.collect();
    assert!(s.is_closed(&c));
    assert_eq!(s.server.ephemerals_count(), 0);
}

#[test]
fn a_restart_keeps_tree_and_sessions_and_starts_their_timers_over() {
    let mut s = Fixture::new();
    let mut c = s.client();
    s.create(&c, "/e", 1);
    let zxid = s.zxid();
    s.server.handle_closed(c.conn);
    s.set_time(s.now + Duration::from_secs(60));
    s.server.handle_restarted(s.now);
    s.advance(Duration::from_secs(3));
    assert_eq!(s.zxid(), zxid);
    assert_eq!(s.reconnect(&mut c).session_id, c.session);
    assert!(s.exists(&c, "/e", false).is_ok());
}

#[test]
fn servers_that_start_together_do_not_share_session_ids() {
    let config = config().build().unwrap();
    let first_id = |seed| {
        let mut s = Fixture::new();
        s.server = ZooKeeperServer::new(&config, s.now, s.wall_ms, seed);
        s.client().session
    };
    assert_ne!(first_id(1 << 60), first_id(1 << 61));
    assert_eq!(first_id(7), first_id(7));
}

#[test]
fn a_storm_of_expiries_leaves_nothing_behind() {
    const SESSIONS: usize = 500;
    let mut s = Fixture::new();
    let fresh = (s.server.node_count(), s.server.watch_count());
    let clients: Vec<Client> = (0..SESSIONS).map(|_| s.client()).collect();
    for (index, c) in clients.iter().enumerate() {
        for n in 0..10 {
            let path = s.create(c, &format!("/{index}-{n}"), 1);
            s.exists(c, &path, true).unwrap();
        }
    }
    assert_eq!(s.server.ephemerals_count(), SESSIONS * 10);
    let now = s.now;
    s.advance(Duration::from_secs(6));
    assert!(clients.iter().all(|c| s.is_closed(c)));
    assert_eq!((s.server.node_count(), s.server.watch_count()), fresh);
    assert_eq!(
        (s.server.session_count(), s.server.ephemerals_count()),
        (0, 0)
    );
    let reaping = s.server.poll_timeout().unwrap();
    assert!(
        reaping.since(now) > Duration::from_secs(30),
        "no session is waited for"
    );
}
