//! Every failpoint acting often: what is legal but unlikely breaks no promise.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zk_env::{Probe, ScriptedProbe};
use zk_proto::{CreateMode, ErrorCode, OpCode, Password, SessionId};
use zk_server::ServerConfig;

use crate::raw::{Raw, World, create_request};

const CREATES: usize = 50;
/// So that sessions alone wake the ticker.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// A client that comes back until it is let in, with its session once it has one.
async fn connect(
    world: &World,
    timeout_ms: i32,
    session: &mut Option<(SessionId, Password)>,
) -> Raw {
    loop {
        let mut raw = world.connect().await;
        let none = (SessionId::NONE, Password::none());
        let (id, password) = session.clone().unwrap_or(none);
        if let Some(granted) = raw.try_resume(timeout_ms, id, password).await {
            assert_ne!(granted.session_id, SessionId::NONE, "it has not expired");
            *session = Some((granted.session_id, granted.password));
            return raw;
        }
    }
}

/// Creates ephemerals one after the other, each until an answer comes.
async fn create_all(world: &World) {
    let mut session = None;
    let mut raw = connect(world, 20_000, &mut session).await;
    for n in 0..CREATES {
        let path = format!("/{n}");
        let create = create_request(&path, b"", CreateMode::Ephemeral);
        let (xid, frame) = raw.encode(OpCode::Create, &create);
        let answer = loop {
            if raw.try_send(&frame).await.is_ok()
                && let Some(answer) = raw.answer().await
            {
                break answer;
            }
            raw = connect(world, 20_000, &mut session).await;
        };
        assert_eq!(answer.header.xid, xid);
        // The answer to the first attempt may have been lost.
        let err = answer.header.err;
        assert!(
            matches!(err, ErrorCode::Ok | ErrorCode::NodeExists),
            "{err}"
        );
    }
}

/// Sessions that expire ever sooner, and are closed before that.
async fn come_and_go(world: &World) {
    for timeout_ms in (4_000..16_000).step_by(2_000).rev() {
        let mut raw = connect(world, timeout_ms, &mut None).await;
        let (_, frame) = raw.encode(OpCode::CloseSession, &());
        // The connection may have been closed meanwhile.
        if raw.try_send(&frame).await.is_ok() {
            raw.rest().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_done_twice_however_the_server_is_disturbed() {
    let mut fired = BTreeSet::new();
    for seed in 0..20 {
        let probe = Arc::new(ScriptedProbe::firing(0.1, seed));
        let watched = Probe::new(Arc::<ScriptedProbe>::clone(&probe));
        let config = ServerConfig::embedded().container_check_interval(AN_HOUR);
        let world = World::probed(config, watched).await;
        create_all(&world).await;
        assert_eq!(world.server.counters().ephemerals, CREATES);
        come_and_go(&world).await;
        world.server.stop().await;
        fired.extend(probe.fired());
    }
    let expected = [
        "server: accept late",
        "server: close before a reply",
        "server: close right after a reply",
        "server: close without lingering",
        "server: hold frames back",
        "server: one frame per turn",
        "server: one step per poll",
        "server: read few bytes",
        "server: refuse the connection",
        "server: skip a session id",
        "server: tick for nothing",
        "server: tick late",
        "server: write few bytes",
    ];
    assert_eq!(Vec::from_iter(fired), expected);
}

#[tokio::test(start_paused = true)]
async fn a_session_past_its_timeout_is_not_served_because_the_ticker_is_late() {
    const TICK: Duration = Duration::from_secs(10);
    let probe = Arc::new(ScriptedProbe::always("server: tick late"));
    let watched = Probe::new(Arc::<ScriptedProbe>::clone(&probe));
    let config = ServerConfig::embedded()
        .tick_time(TICK)
        .container_check_interval(AN_HOUR);
    let world = World::probed(config, watched).await;
    let mut raw = world.connect().await;
    assert_eq!(raw.handshake(20_000).await.timeout_ms, 20_000);
    // Its bucket ended at 30 s, and the ticker comes at 40 s.
    world.pass(TICK * 7 / 2).await;
    assert_eq!(world.server.counters().sessions, 1);
    assert!(raw.ping().await.is_none(), "it has expired");
    assert_eq!(world.server.counters().sessions, 0);
    assert!(probe.has_reached("server: timeout handled ahead of a late ticker"));
    world.server.stop().await;
}
