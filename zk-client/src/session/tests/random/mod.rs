//! Random interleavings of everything a user, a network and an ensemble can do,
//! against a model that knows what was executed.

mod ensemble;

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use zk_env::{Probe, ScriptedProbe};
use zk_proto::{Chroot, Zxid};

use super::pair::{CallId, Delivered, Pair, config};
use crate::error::{Error, Outcome};
use crate::session::WatchKind::{self, Child, Data, Exists, Persistent, Recursive};
use crate::session::{Cause, Limits, SessionConfig, SessionState};
use crate::watcher::Watcher;
use ensemble::{Ensemble, SERVERS};

/// Calls wait this long; steps of time are shorter.
const DEADLINE: Duration = Duration::from_secs(4);
/// Rounds in which a sound connection answers everything.
const ROUNDS: usize = 300;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Set,
    Create,
    Create2,
    Delete,
    MultiRead,
    WhoAmI,
    Sync,
    Watched(WatchKind),
    AddAuth,
}

impl Kind {
    const fn is_write(self) -> bool {
        matches!(
            self,
            Self::Set | Self::Create | Self::Create2 | Self::Delete
        )
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call(Kind),
    /// The socket takes some bytes.
    Write(u16),
    /// The server reads what arrived, executes some of it, and the client reads
    /// some of what it says.
    Serve {
        executes: u8,
        delivers: u8,
    },
    /// Some watched znode changes.
    Change(u8),
    Connect(u8),
    /// The connection breaks; the server still executes some of what it has.
    Lose {
        is_planned: bool,
        executes: u8,
    },
    /// The ensemble declares the session expired.
    Expire,
    DropWatcher(u8),
    Advance(u16),
    Close,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Get),
        4 => Just(Kind::Set),
        4 => Just(Kind::Create),
        3 => Just(Kind::Create2),
        1 => Just(Kind::Delete),
        2 => Just(Kind::MultiRead),
        1 => Just(Kind::WhoAmI),
        1 => Just(Kind::Sync),
        5 => prop::sample::select(vec![Data, Exists, Child, Persistent, Recursive])
            .prop_map(Kind::Watched),
        1 => Just(Kind::AddAuth),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => kind().prop_map(Step::Call),
        8 => (0..200_u16).prop_map(Step::Write),
        8 => Just(Step::Write(u16::MAX)),
        20 => (0..6_u8, 0..6_u8)
            .prop_map(|(executes, delivers)| Step::Serve { executes, delivers }),
        4 => any::<u8>().prop_map(Step::Change),
        8 => (1..=SERVERS).prop_map(Step::Connect),
        3 => (any::<bool>(), 0..6_u8)
            .prop_map(|(is_planned, executes)| Step::Lose { is_planned, executes }),
        1 => Just(Step::Expire),
        3 => any::<u8>().prop_map(Step::DropWatcher),
        4 => (0..2500_u16).prop_map(Step::Advance),
        1 => Just(Step::Close),
    ]
}

/// A call as the model knows it.
struct Made {
    kind: Option<Kind>,
    /// Sessions that had ended when it was made.
    after: u64,
}

struct World {
    pair: Pair,
    ensemble: Ensemble,
    made: Vec<Made>,
    watchers: Vec<Watcher>,
    newest: Zxid,
    /// How much of the log has been looked at.
    looked_at: usize,
    ended: u64,
    /// Has the unlikely happen, if it is wanted.
    probe: Arc<ScriptedProbe>,
}

impl World {
    fn new(probe: ScriptedProbe) -> Self {
        let probe = Arc::new(probe);
        let limits = Limits {
            queued_requests: 12,
            in_flight: 5,
            ..config().limits
        };
        let mut pair = Pair::new(SessionConfig {
            limits,
            probe: Probe::new(Arc::<ScriptedProbe>::clone(&probe)),
            ..config()
        });
        pair.writes_at_once = false;
        pair.deadline = DEADLINE;
        Self {
            pair,
            ensemble: Ensemble::default(),
            made: Vec::new(),
            watchers: Vec::new(),
            newest: Zxid::ZERO,
            looked_at: 0,
            ended: 0,
            probe,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Call(kind) => self.call(kind),
            Step::Write(len) => self.pair.write(len.into()),
            Step::Serve { executes, delivers } => self.serve(executes.into(), delivers.into()),
            Step::Change(which) => self.ensemble.change(which.into()),
            Step::Connect(server) => self.connect(server),
            Step::Lose {
                is_planned,
                executes,
            } => self.lose(is_planned, executes.into()),
            Step::Expire => self.ensemble.expire(),
            Step::DropWatcher(which) => self.drop_watcher(which.into()),
            Step::Advance(ms) => self.pair.advance(Duration::from_millis(ms.into())),
            Step::Close => self.close(),
        }
        if !self.pair.is_connected() {
            self.ensemble
                .disconnected(usize::from(self.made.len() as u8 % 3));
        }
        self.look();
    }

    fn call(&mut self, kind: Kind) {
        let path = format!("/{}", self.made.len());
        let was_full = self.pair.poll_ready().is_pending();
        let called = match kind {
            Kind::Get => self.pair.try_get(&path),
            Kind::Set => self.pair.try_set(&path, b"x"),
            Kind::Create => self.pair.try_create(&path),
            Kind::Create2 => self.pair.try_create2(&path),
            Kind::Delete => self.pair.try_delete(&path),
            Kind::MultiRead => self.pair.try_multi_read(&[&path, &path]),
            Kind::WhoAmI => self.pair.try_who_am_i(),
            Kind::Sync => self.pair.try_sync(&path),
            Kind::Watched(kind) => {
                let watcher = Watcher::new();
                let called = self
                    .pair
                    .try_watched(&Chroot::none(), kind, &path, &watcher);
                self.watchers.push(watcher);
                called
            }
            Kind::AddAuth => self.pair.try_add_auth("digest", &path),
        };
        match called {
            Ok(CallId(id)) => {
                assert_eq!(id, self.made.len());
                self.made.push(Made {
                    kind: Some(kind),
                    after: self.ended,
                });
            }
            Err(Error::QueueFull { .. }) => {
                let is_whim = self.probe.fired().contains("client: queue found full");
                assert!(was_full || is_whim);
            }
            Err(Error::Closed) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn close(&mut self) {
        self.pair.close();
        self.made.push(Made {
            kind: None,
            after: self.ended,
        });
    }

    fn connect(&mut self, server: u8) {
        if !self.pair.is_connected() && !self.pair.session.is_over() {
            self.ensemble.connected(server);
            self.pair.connect(server);
        }
    }

    fn lose(&mut self, is_planned: bool, executes: usize) {
        if self.pair.is_connected() {
            self.ensemble.read(&mut self.pair);
            self.ensemble.execute(executes);
            self.pair.lose_by(if is_planned {
                Cause::Rebalanced
            } else {
                Cause::ClosedByServer
            });
        }
    }

    fn serve(&mut self, executes: usize, delivers: usize) {
        self.ensemble.read(&mut self.pair);
        self.ensemble.execute(executes);
        for _ in 0..delivers {
            if !self.pair.is_connected() {
                return;
            }
            match self.ensemble.next_frame() {
                Some(frame) => self.pair.send_bytes(&frame),
                None if self.ensemble.has_closed() => return self.pair.lose(),
                None => return,
            }
            self.look();
        }
    }

    fn drop_watcher(&mut self, which: usize) {
        if !self.watchers.is_empty() {
            let watcher = self.watchers.swap_remove(which % self.watchers.len());
            self.pair.drop_watcher(watcher);
        }
    }

    /// What holds at every moment.
    fn look(&mut self) {
        for entry in &self.pair.log[self.looked_at..] {
            if matches!(entry, Delivered::State(SessionState::Expired { .. })) {
                self.ended += 1;
                self.newest = Zxid::ZERO;
            }
        }
        self.looked_at = self.pair.log.len();
        let newest = self.pair.session.last_zxid();
        assert!(newest >= self.newest, "zxid went back from {}", self.newest);
        self.newest = newest;
    }

    /// On a sound connection everything is answered, without a deadline's help.
    fn heal(&mut self) {
        let is_waiting =
            |world: &Self| (0..world.made.len()).any(|id| world.pair.is_waiting(CallId(id)));
        for _ in 0..ROUNDS {
            if !is_waiting(self) {
                return;
            }
            self.connect(1);
            self.pair.write(usize::MAX);
            self.serve(usize::MAX, usize::MAX);
            if !self.pair.is_connected() {
                self.ensemble.disconnected(0);
            }
            self.look();
        }
        for id in 0..self.made.len() {
            assert!(!self.pair.is_waiting(CallId(id)), "call {id} hangs");
        }
    }

    /// What holds in the end.
    fn judge(&self) {
        self.judge_outcomes();
        self.judge_order();
        self.judge_states();
    }

    fn judge_outcomes(&self) {
        for (id, made) in self.made.iter().enumerate() {
            let Some(kind) = made.kind.filter(|kind| kind.is_write()) else {
                continue;
            };
            let times = self.ensemble.executions(id).count();
            let result = self.pair.result(CallId(id)).unwrap();
            let outcome = result
                .as_ref()
                .map_or_else(|error| error.outcome(), |_| Outcome::Applied);
            let is_true = match outcome {
                Outcome::Applied => times == 1,
                Outcome::NotApplied => times == 0,
                Outcome::Unknown => times <= 1,
            };
            assert!(
                is_true,
                "call {id} {kind:?}: {result:?}, executed {times} times"
            );
        }
        for (id, session) in self.ensemble.executed() {
            let made = &self.made[*id];
            assert_eq!(
                self.ensemble.number(*session),
                Some(made.after + 1),
                "call {id} was carried over into another session"
            );
        }
    }

    fn judge_order(&self) {
        let executed: Vec<_> = self.ensemble.executed().iter().map(|(id, _)| *id).collect();
        assert!(executed.is_sorted(), "executed in the order {executed:?}");
        let answered: Vec<_> = self
            .pair
            .log
            .iter()
            .filter_map(|entry| match entry {
                Delivered::Answer(call) => Some(*call),
                _ => None,
            })
            .filter(|call| {
                let is_late = |error: &Error| matches!(error, Error::DeadlineExceeded { .. });
                let is_close = self.made[call.0].kind.is_none();
                !is_close
                    && !self
                        .pair
                        .result(*call)
                        .unwrap()
                        .as_ref()
                        .is_err_and(is_late)
            })
            .collect();
        assert!(answered.is_sorted(), "answered in the order {answered:?}");
    }

    fn judge_states(&self) {
        let mut last = SessionState::Connecting;
        for state in self.pair.states() {
            use SessionState::{Closed, Connected, Connecting, Expired, Suspended};
            let is_next = match (last, state) {
                (Connecting, Connected { epoch }) => epoch.number() == 1,
                (Connected { epoch }, Suspended { epoch: next, .. })
                | (Suspended { epoch, .. }, Connected { epoch: next })
                | (Suspended { epoch, .. }, Expired { epoch: next }) => epoch == next,
                // Lost over the handshake, before anything was connected.
                (Expired { epoch }, Expired { epoch: next })
                | (Expired { epoch }, Connected { epoch: next }) => {
                    next.number() == epoch.number() + 1
                }
                (Connecting, Expired { epoch }) => epoch.number() == 1,
                (last, Closed) => last != Closed,
                _ => false,
            };
            assert!(is_next, "{last:?} was followed by {state:?}");
            last = state;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_call_is_answered_once_truthfully_and_in_order(steps in vec(step(), 1..120)) {
        let mut world = World::new(ScriptedProbe::new());
        for step in steps {
            world.take(step);
        }
        world.heal();
        world.judge();
    }

    #[test]
    fn the_unlikely_breaks_no_promise(steps in vec(step(), 1..120), seed: u64) {
        let mut world = World::new(ScriptedProbe::firing(0.1, seed));
        for step in steps {
            world.take(step);
        }
        world.heal();
        world.judge();
    }
}
