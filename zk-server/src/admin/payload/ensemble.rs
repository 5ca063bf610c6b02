//! `leader`, `observers`, `voting_view` and `zabstate`: a member and its ensemble.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::net::Serving;
use crate::quorum::{HostPort, LearnerType, LearnerView, QuorumServer, QuorumView};

#[derive(Serialize)]
pub(in crate::admin) struct Leader {
    is_leader: bool,
    leader_id: i64,
    leader_ip: String,
}

/// `None` on a standalone server.
pub(in crate::admin) fn leader(serving: &Serving) -> Option<Leader> {
    let view = serving.quorum.as_ref()?;
    let member = view.leader.and_then(|leader| view.verifier.member(leader));
    let addr = member.and_then(|member| member.addrs.first());
    Some(Leader {
        is_leader: view.leading.is_some(),
        // As Apache has it when there is none.
        leader_id: view.leader.map_or(-1, |leader| leader.0),
        leader_ip: addr.map(|addr| addr.host.clone()).unwrap_or_default(),
    })
}

#[derive(Serialize)]
pub(in crate::admin) struct Observers {
    synced_observers: usize,
    observers: Vec<Observer>,
}

#[derive(Serialize)]
struct Observer {
    remote_socket_address: String,
    sid: i64,
    established: i64,
}

impl Observer {
    fn of(learner: &LearnerView) -> Self {
        Self {
            remote_socket_address: format!("/{}", learner.addr),
            sid: learner.id.0,
            established: learner.established_ms,
        }
    }
}

/// A leader's, or those that learn from this follower; others have none.
pub(in crate::admin) fn observers(serving: &Serving) -> Observers {
    let view = serving.quorum.as_ref();
    let learners = view.map_or(&[][..], |view| match &view.leading {
        Some(leading) => &leading.learners,
        None => &view.observers,
    });
    let is_observer = |learner: &&LearnerView| learner.learner_type == LearnerType::Observer;
    let observers = || learners.iter().filter(is_observer);
    Observers {
        synced_observers: observers().filter(|observer| observer.is_synced).count(),
        observers: observers().map(Observer::of).collect(),
    }
}

#[derive(Serialize)]
pub(in crate::admin) struct VotingView {
    current_config: BTreeMap<i64, Voter>,
}

#[derive(Serialize)]
struct Voter {
    server_addresses: Vec<String>,
    election_addresses: Vec<String>,
    client_address: String,
    learner_type: String,
}

impl Voter {
    fn of(server: &QuorumServer) -> Self {
        let addrs = || server.addrs.iter();
        let client = server.client_addr.as_ref().map(HostPort::to_string);
        Self {
            server_addresses: addrs().map(|addr| addr.quorum().to_string()).collect(),
            election_addresses: addrs().map(|addr| addr.election().to_string()).collect(),
            client_address: client.unwrap_or_default(),
            learner_type: server.learner_type.to_string(),
        }
    }
}

/// Whoever has a vote; nobody on a standalone server.
pub(in crate::admin) fn voting_view(serving: &Serving) -> VotingView {
    let members = serving
        .quorum
        .iter()
        .flat_map(|view| view.verifier.members());
    let voters = members.filter(|member| member.is_participant());
    VotingView {
        current_config: voters.map(|voter| (voter.id.0, Voter::of(voter))).collect(),
    }
}

/// What is there of it on a standalone server or one that serves nobody.
#[derive(Serialize)]
pub(in crate::admin) struct Zabstate {
    #[serde(flatten)]
    member: Option<MemberState>,
    voting: bool,
    #[serde(flatten)]
    history: Option<History>,
    zabstate: &'static str,
}

#[derive(Serialize)]
struct MemberState {
    myid: i64,
    is_leader: bool,
    quorum_address: Addresses,
    election_address: Addresses,
    client_address: String,
}

#[derive(Serialize)]
struct Addresses {
    empty: bool,
    all_addresses: Vec<String>,
    all_ports: Vec<u16>,
    all_host_strings: Vec<String>,
}

impl Addresses {
    fn of(addrs: Vec<HostPort>) -> Self {
        Self {
            empty: addrs.is_empty(),
            all_addresses: addrs.iter().map(HostPort::to_string).collect(),
            all_ports: addrs.iter().map(|addr| addr.port).collect(),
            all_host_strings: addrs.into_iter().map(|addr| addr.host).collect(),
        }
    }
}

#[derive(Serialize)]
struct History {
    last_zxid: String,
    zab_epoch: i64,
    zab_counter: i64,
}

pub(in crate::admin) fn zabstate(serving: &Serving) -> Zabstate {
    let Some(view) = serving.quorum.as_ref().filter(|view| view.is_serving) else {
        return Zabstate {
            member: None,
            voting: false,
            history: None,
            zabstate: "",
        };
    };
    let last = serving.zks.last_zxid();
    Zabstate {
        member: Some(member_state(view)),
        voting: view.verifier.is_voter(view.id()),
        history: Some(History {
            last_zxid: last.to_string(),
            zab_epoch: last.0 >> 32,
            zab_counter: last.0 & 0xffff_ffff,
        }),
        zabstate: view.zab_state.name(),
    }
}

fn member_state(view: &QuorumView) -> MemberState {
    let own = view.verifier.member(view.id());
    let addrs = || own.into_iter().flat_map(|own| own.addrs.iter());
    MemberState {
        myid: view.id().0,
        is_leader: view.leading.is_some(),
        quorum_address: Addresses::of(addrs().map(|addr| addr.quorum()).collect()),
        election_address: Addresses::of(addrs().map(|addr| addr.election()).collect()),
        client_address: view.config.client_addr.to_string(),
    }
}
