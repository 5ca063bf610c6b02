//! One session, the follower it is connected to, and the leader. Time is counted in parts of a tick;
//! within one instant everything may happen in any order.

use stateright::{Model, Property};

use crate::rule::{Kind, Rule};

pub(crate) const NOT_GIVEN_AWAY: &str = "not given away while the client has a proof";
pub(crate) const PROVEN: &str = "the client has a proof";
pub(crate) const EXPIRES: &str = "the session expires";

/// A world to explore.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) rule: Kind,
    /// How fine time is.
    pub(crate) tick: u8,
    pub(crate) horizon: u8,
    pub(crate) ping_every: u8,
    /// Connections that may break.
    pub(crate) breaks: u8,
    /// Elections that may happen.
    pub(crate) elections: u8,
    /// Whether expiry is rounded up to ticks, as Apache does; not to is stricter.
    pub(crate) is_bucketed: bool,
}

impl World {
    /// A session with ZooKeeper's smallest timeout, two ticks.
    pub(crate) fn new(rule: Kind, tick: u8) -> Self {
        Self {
            rule,
            tick,
            // The second of the proofs that follow each other still counts here.
            horizon: 3 * tick - 1,
            ping_every: tick / 2,
            breaks: 0,
            elections: 0,
            is_bucketed: false,
        }
    }

    /// Small enough to be explored in a second.
    pub(crate) fn small(rule: Kind) -> Self {
        Self::new(rule, 2)
    }

    const fn timeout(&self) -> u8 {
        2 * self.tick
    }

    fn deadline(&self, touched: u8) -> u8 {
        let exact = touched + self.timeout();
        if self.is_bucketed {
            (exact / self.tick + 1) * self.tick
        } else {
            exact
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: u8,
    leader: Leader,
    to_follower: Vec<ToFollower>,
    to_leader: Vec<ToLeader>,
    /// The follower's touch table has the session.
    is_touched: bool,
    client: Client,
    /// Of the client's connection: what is on its way to the follower, and back.
    request: bool,
    reply: Option<bool>,
    breaks: u8,
    elections: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Leader {
    /// When the session expires unless it is touched.
    deadline: u8,
    is_expired: bool,
    next_ping: u8,
    /// A write, of this connection, that passed the check of its session and waits for its quorum.
    proposed: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Client {
    rule: Rule,
    link: Link,
    /// Counts connections, so that a late answer is not taken for another's.
    connection: u8,
    /// When the write under way was sent.
    sent: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
    Down,
    Validating,
    Up,
    /// The server said that the session has expired.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ToFollower {
    Ping,
    Answer { connection: u8, is_good: bool },
    Validated { connection: u8, is_good: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ToLeader {
    Pong { is_touched: bool },
    Write { connection: u8 },
    Validate { connection: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes; not past a ping that is due.
    Pass,
    LeaderPings,
    LeaderHears,
    LeaderCommits,
    LeaderExpires,
    FollowerHearsLeader,
    FollowerHearsClient,
    ClientWrites,
    ClientHears,
    /// The connection between client and follower.
    ClientCut,
    /// The connection between follower and leader; the follower drops its clients.
    FollowerCut,
    Reconnect,
    Elect,
}

const ACTIONS: [Action; 13] = [
    Action::Pass,
    Action::LeaderPings,
    Action::LeaderHears,
    Action::LeaderCommits,
    Action::LeaderExpires,
    Action::FollowerHearsLeader,
    Action::FollowerHearsClient,
    Action::ClientWrites,
    Action::ClientHears,
    Action::ClientCut,
    Action::FollowerCut,
    Action::Reconnect,
    Action::Elect,
];

impl Model for World {
    type State = State;
    type Action = Action;

    /// The create has been sent. How long the session has at the leader, when that pings next,
    /// and whether the follower has heard from the session lately, is open.
    fn init_states(&self) -> Vec<State> {
        let mut states = Vec::new();
        for deadline in 0..=self.deadline(0) {
            for next_ping in 0..=self.ping_every {
                for is_touched in [false, true] {
                    states.push(self.init_state(deadline, next_ping, is_touched));
                }
            }
        }
        states
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(
            ACTIONS
                .into_iter()
                .filter(|action| self.can(state, *action)),
        );
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.act(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOT_GIVEN_AWAY, |_, state: &State| {
                !(state.leader.is_expired && state.client.rule.is_valid(state.now))
            }),
            Property::sometimes(PROVEN, |_, state: &State| {
                state.client.rule.is_valid(state.now)
            }),
            Property::sometimes(EXPIRES, |_, state: &State| state.leader.is_expired),
        ]
    }
}

impl World {
    fn init_state(&self, deadline: u8, next_ping: u8, is_touched: bool) -> State {
        State {
            now: 0,
            leader: Leader {
                deadline,
                is_expired: false,
                next_ping,
                proposed: None,
            },
            to_follower: Vec::new(),
            to_leader: Vec::new(),
            is_touched,
            client: Client {
                rule: Rule::Fresh(self.rule),
                link: Link::Up,
                connection: 0,
                sent: Some(0),
            },
            request: true,
            reply: None,
            breaks: self.breaks,
            elections: self.elections,
        }
    }

    fn can(&self, state: &State, action: Action) -> bool {
        let (leader, client) = (&state.leader, &state.client);
        match action {
            Action::Pass => state.now < self.horizon && leader.next_ping > state.now,
            Action::LeaderPings => leader.next_ping <= state.now,
            Action::LeaderHears => !state.to_leader.is_empty(),
            Action::LeaderCommits => leader.proposed.is_some(),
            Action::LeaderExpires => !leader.is_expired && leader.deadline <= state.now,
            Action::FollowerHearsLeader => !state.to_follower.is_empty(),
            Action::FollowerHearsClient => state.request,
            Action::ClientWrites => {
                client.link == Link::Up && client.sent.is_none() && client.rule.may_write(state.now)
            }
            Action::ClientHears => state.reply.is_some(),
            Action::ClientCut | Action::FollowerCut => state.breaks > 0 && client.link == Link::Up,
            Action::Reconnect => client.link == Link::Down,
            // A session that has been given away stays so.
            Action::Elect => state.elections > 0 && !leader.is_expired,
        }
    }

    fn act(&self, state: &mut State, action: Action) {
        match action {
            Action::Pass => state.now += 1,
            Action::LeaderPings => {
                // Two in a row are heard as one: whatever that leaves out has more touches.
                if state.to_follower.last() != Some(&ToFollower::Ping) {
                    state.to_follower.push(ToFollower::Ping);
                }
                state.leader.next_ping = state.now + self.ping_every;
            }
            Action::LeaderHears => self.leader_hears(state),
            Action::LeaderCommits => {
                if let Some(connection) = state.leader.proposed.take() {
                    let is_good = true;
                    let answer = ToFollower::Answer {
                        connection,
                        is_good,
                    };
                    state.to_follower.push(answer);
                }
            }
            Action::LeaderExpires => state.leader.is_expired = true,
            Action::FollowerHearsLeader => follower_hears(state),
            Action::FollowerHearsClient => {
                state.request = false;
                state.is_touched = true;
                let connection = state.client.connection;
                state.to_leader.push(ToLeader::Write { connection });
            }
            Action::ClientWrites => {
                state.client.sent = Some(state.now);
                state.request = true;
            }
            Action::ClientHears => self.client_hears(state),
            Action::ClientCut => {
                state.breaks -= 1;
                disconnect(state);
            }
            Action::FollowerCut => {
                state.breaks -= 1;
                cut_follower(state);
            }
            Action::Reconnect => {
                state.client.link = Link::Validating;
                let connection = state.client.connection;
                state.to_leader.push(ToLeader::Validate { connection });
            }
            Action::Elect => {
                state.elections -= 1;
                cut_follower(state);
                state.leader.deadline = self.deadline(state.now);
                state.leader.next_ping = state.now + self.ping_every;
            }
        }
    }

    fn client_hears(&self, state: &mut State) {
        let client = &mut state.client;
        match (state.reply.take(), client.sent.take()) {
            (Some(true), Some(sent)) => {
                client.rule.handle_answered(self.timeout(), sent, state.now);
            }
            _ => client.link = Link::Over,
        }
    }

    fn leader_hears(&self, state: &mut State) {
        let leader = &mut state.leader;
        let is_good = !leader.is_expired;
        match state.to_leader.remove(0) {
            ToLeader::Pong { is_touched } => {
                if is_touched && is_good {
                    leader.deadline = leader.deadline.max(self.deadline(state.now));
                }
            }
            ToLeader::Write { connection } if is_good => leader.proposed = Some(connection),
            ToLeader::Write { connection } => {
                let answer = ToFollower::Answer {
                    connection,
                    is_good,
                };
                state.to_follower.push(answer);
            }
            ToLeader::Validate { connection } => {
                if is_good {
                    leader.deadline = leader.deadline.max(self.deadline(state.now));
                }
                let validated = ToFollower::Validated {
                    connection,
                    is_good,
                };
                state.to_follower.push(validated);
            }
        }
    }
}

fn follower_hears(state: &mut State) {
    let current = state.client.connection;
    match state.to_follower.remove(0) {
        ToFollower::Ping => {
            let mut is_touched = std::mem::take(&mut state.is_touched);
            // Two in a row are heard as one here, too.
            if let Some(ToLeader::Pong { is_touched: before }) = state.to_leader.last() {
                is_touched |= *before;
                state.to_leader.pop();
            }
            state.to_leader.push(ToLeader::Pong { is_touched });
        }
        ToFollower::Answer {
            connection,
            is_good,
        } => {
            if connection == current {
                state.reply = Some(is_good);
            }
        }
        ToFollower::Validated {
            connection,
            is_good,
        } => {
            if connection == current {
                state.client.link = if is_good { Link::Up } else { Link::Over };
            }
        }
    }
}

/// The client loses its connection, with all that is on it.
fn disconnect(state: &mut State) {
    state.client.link = Link::Down;
    state.client.connection += 1;
    state.client.sent = None;
    state.request = false;
    state.reply = None;
}

/// The follower loses its leader: what was under way between them, its touch table, and its
/// clients.
fn cut_follower(state: &mut State) {
    state.to_follower.clear();
    state.to_leader.clear();
    state.leader.proposed = None;
    state.is_touched = false;
    if state.client.link != Link::Over {
        disconnect(state);
    }
}
