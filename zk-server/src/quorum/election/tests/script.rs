//! Runs the scripts in `testdata/election`.
//!
//! A script is a list of blocks: commands, a line `----`, what they print, an empty line.
//! `#` starts a comment. `REWRITE=1` writes what is printed into the files instead of
//! comparing it; look at the difference before it is committed.
//!
//! | command | what it does |
//! |---|---|
//! | `config voters=1,2,3 [observers=4] [group=1:2] [weight.1=0] [version=5]` | the list that peers started from now on have; `group` may be there several times |
//! | `start ID [zxid=0x5] [epoch=1] [observer] [reconfig]` | a process starts and looks for a leader |
//! | `look ID [zxid=0x5] [epoch=1]` | it looks again |
//! | `kill ID`, `silence ID` | the process ends and its machine refuses, or everything there is silent |
//! | `outside ID...` | ids that only the script speaks for |
//! | `recv ID from=1 [LOOKING] [leader=1] [zxid=0] [round=1] [epoch=0] [size=28] [byte.3=9] [voters=1,2] [version=0]` | a message arrives, cut to a size, with a byte changed, or with a list of its own |
//! | `link ID peer=1 lost\|refused\|unreachable\|up` | something happens to a connection |
//! | `cut A B`, `mend` | nothing passes between the two; everything does again |
//! | `lead ID epoch=2` | the leader's epoch is current at this peer |
//! | `reconfig ID voters=... [version=5]` | a configuration is committed |
//! | `run MS` | time passes; messages take a millisecond |
//! | `trace all\|decisions` | whether messages are printed |
//! | `state ID` | what the peer is doing |

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use std::{env, fs};

use zk_env::Mono;

use super::cluster::{Cluster, Happened, Parcel};
use crate::quorum::election::{
    ElectionOptions, InitialVote, LinkEvent, Notification, Output, PeerState, Vote,
};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};

type Cuts = Rc<RefCell<BTreeSet<(ServerId, ServerId)>>>;

/// The words of a command after the first.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn ids(&self) -> Vec<ServerId> {
        self.0
            .iter()
            .filter_map(|word| word.parse().ok().map(ServerId))
            .collect()
    }

    fn id(&self) -> ServerId {
        *self
            .ids()
            .first()
            .unwrap_or_else(|| panic!("no id in {:?}", self.0))
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let number = match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        Some(number.unwrap_or_else(|_| panic!("{key}={text} is no number")))
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    /// The list that `voters`, `observers`, `group`, `weight.N` and `version` make.
    fn config(&self) -> Option<QuorumVerifier> {
        let mut text = String::new();
        for (key, role) in [("voters", "participant"), ("observers", "observer")] {
            for id in self.text(key).into_iter().flat_map(|ids| ids.split(',')) {
                let _ = writeln!(text, "server.{id}=h{id}:2888:3888:{role}");
            }
        }
        let groups = self.0.iter().filter_map(|word| word.strip_prefix("group="));
        for (number, group) in groups.enumerate() {
            let _ = writeln!(text, "group.{number}={group}");
        }
        for word in self.0.iter().filter(|word| word.starts_with("weight.")) {
            let _ = writeln!(text, "{word}");
        }
        let _ = write!(text, "version={:x}", self.number("version").unwrap_or(0));
        self.text("voters")?;
        Some(QuorumVerifier::parse(&text).unwrap())
    }

    fn state(&self) -> PeerState {
        let states = [
            PeerState::Following,
            PeerState::Leading,
            PeerState::Observing,
        ];
        let named = states
            .into_iter()
            .find(|state| self.has(&state.to_string()));
        named.unwrap_or(PeerState::Looking)
    }
}

struct Script {
    cluster: Cluster,
    cuts: Cuts,
    config: Option<QuorumVerifier>,
    traces_messages: bool,
    printed: usize,
}

impl Script {
    fn new() -> Self {
        let cuts = Cuts::default();
        let shared = Rc::clone(&cuts);
        let route = move |a: ServerId, b: ServerId| {
            let is_cut = shared.borrow().contains(&(a.min(b), a.max(b)));
            (!is_cut).then_some(Duration::from_millis(1))
        };
        Self {
            cluster: Cluster::new(Box::new(route)),
            cuts,
            config: None,
            traces_messages: true,
            printed: 0,
        }
    }

    fn command(&mut self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let words = Words(words.collect());
        let mut out = String::new();
        match verb {
            "config" => self.config = words.config(),
            "start" => self.start(&words),
            "look" => self.look(&words),
            "kill" => self.cluster.kill(words.id()),
            "silence" => {
                self.cluster.silent.insert(words.id());
                self.cluster.kill(words.id());
            }
            "outside" => self.cluster.outside.extend(words.ids()),
            "recv" => self.receive(&words),
            "link" => self.link(&words),
            "cut" => {
                let ids = words.ids();
                self.cuts
                    .borrow_mut()
                    .insert((ids[0].min(ids[1]), ids[0].max(ids[1])));
            }
            "mend" => self.cuts.borrow_mut().clear(),
            "lead" => {
                let epoch = words.number("epoch").expect("an epoch");
                self.machine(words.id()).set_peer_epoch(epoch);
            }
            "reconfig" => {
                let config = words.config().expect("voters");
                self.machine(words.id()).set_config(config, None);
            }
            "run" => {
                let millis = words.ids()[0].0.unsigned_abs();
                self.cluster
                    .run_until(self.cluster.now + Duration::from_millis(millis));
            }
            "trace" => self.traces_messages = words.has("all"),
            "state" => {
                let machine = self.machine(words.id());
                let (state, round) = (machine.state(), machine.round());
                let vote = machine.current_vote();
                let _ = writeln!(out, "{}: {state} round={round}, says {vote}", words.id());
            }
            other => panic!("unknown command {other}"),
        }
        self.print_log(&mut out);
        out
    }

    fn machine(&mut self, id: ServerId) -> &mut crate::quorum::election::FastLeaderElection {
        let peer = self.cluster.peers.get_mut(&id);
        &mut peer.unwrap_or_else(|| panic!("{id} does not run")).machine
    }

    fn start(&mut self, words: &Words<'_>) {
        let options = ElectionOptions {
            learner_type: if words.has("observer") {
                LearnerType::Observer
            } else {
                LearnerType::Participant
            },
            reconfig_enabled: words.has("reconfig"),
            ..ElectionOptions::new(words.id())
        };
        let config = words.config().or_else(|| self.config.clone());
        let initial = InitialVote {
            zxid: words.number("zxid").unwrap_or(0),
            peer_epoch: words.number("epoch").unwrap_or(0),
        };
        self.cluster
            .start(options, config.expect("a config"), initial);
    }

    fn look(&mut self, words: &Words<'_>) {
        let id = words.id();
        let peer = self.cluster.peers.get_mut(&id).expect("a peer that runs");
        let InitialVote { zxid, peer_epoch } = peer.initial;
        peer.initial = InitialVote {
            zxid: words.number("zxid").unwrap_or(zxid),
            peer_epoch: words.number("epoch").unwrap_or(peer_epoch),
        };
        self.cluster.look(id);
    }

    fn receive(&mut self, words: &Words<'_>) {
        let from = ServerId(words.number("from").expect("a sender"));
        let config = words.config().or_else(|| self.config.clone());
        let notification = Notification {
            vote: Vote {
                version: 2,
                leader: ServerId(words.number("leader").unwrap_or(from.0)),
                zxid: words.number("zxid").unwrap_or(0),
                round: words.number("round").unwrap_or(1),
                peer_epoch: words.number("epoch").unwrap_or(0),
                state: words.state(),
            },
            config: config.map(|config| config.to_text()),
        };
        let mut bytes = notification.encode().to_vec();
        for word in &words.0 {
            if let Some((at, value)) = word.strip_prefix("byte.").and_then(|w| w.split_once('=')) {
                bytes[at.parse::<usize>().unwrap()] = value.parse().unwrap();
            }
        }
        if let Some(size) = words.number("size") {
            bytes.truncate(size as usize);
        }
        self.cluster
            .deliver(from, words.id(), Parcel::Message(bytes));
    }

    fn link(&mut self, words: &Words<'_>) {
        let events = [
            ("lost", LinkEvent::Lost),
            ("refused", LinkEvent::Refused),
            ("unreachable", LinkEvent::Unreachable),
            ("up", LinkEvent::Up),
        ];
        let event = events.into_iter().find(|(name, _)| words.has(name));
        let peer = ServerId(words.number("peer").expect("a peer"));
        let (_, event) = event.expect("an event");
        self.cluster.deliver(peer, words.id(), Parcel::Link(event));
    }

    /// What has happened since the last time.
    fn print_log(&mut self, out: &mut String) {
        for (at, happened) in &self.cluster.log[self.printed..] {
            let millis = at.since(Mono::ZERO).as_millis();
            match happened {
                Happened::Sent { .. } if !self.traces_messages => {}
                Happened::Sent {
                    from,
                    to,
                    notification,
                } => {
                    let _ = writeln!(out, "{millis}ms {from} -> {to}: {}", notification.vote);
                }
                Happened::Dropped { at, reason } => {
                    let _ = writeln!(out, "{millis}ms {at} drops a message: {reason}");
                }
                Happened::Output { at, output } => {
                    let _ = writeln!(out, "{millis}ms {at} {}", describe(output));
                }
            }
        }
        self.printed = self.cluster.log.len();
    }
}

fn describe(output: &Output) -> String {
    match output {
        Output::Send { .. } => String::new(),
        Output::Reconnect(_) => String::new(),
        Output::Redial(peer) => format!("dials {peer} again"),
        Output::Decided(decision) => format!("decides: {}", decision.vote),
        Output::ConfigAdopted(config) => format!("adopts version {:x}", config.version()),
        Output::ConfigConflict { from, .. } => format!("refuses the list of {from}"),
        Output::VoterIsLooking { from, vote } => format!("hears that {from} is {vote}"),
    }
}

/// The text of a script with what its commands print now.
fn run(text: &str) -> String {
    let mut script = Script::new();
    let mut result = String::new();
    let mut printed = String::new();
    let mut is_expectation = false;
    for line in text.lines() {
        if is_expectation {
            // The old expectation ends with an empty line.
            is_expectation = !line.is_empty();
            if !is_expectation {
                result.push('\n');
            }
            continue;
        }
        result.push_str(line);
        result.push('\n');
        if line == "----" {
            result.push_str(&std::mem::take(&mut printed));
            is_expectation = true;
        } else if !line.is_empty() && !line.starts_with('#') {
            printed.push_str(&script.command(line));
        }
    }
    assert!(
        printed.is_empty(),
        "the last commands have no ---- after them"
    );
    result
}

fn scripts() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/election");
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut scripts: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    scripts.sort();
    scripts
}

#[test]
fn scripts_print_what_they_say() {
    let is_rewriting = env::var_os("REWRITE").is_some();
    let scripts = scripts();
    assert!(scripts.len() >= 40, "{} scripts", scripts.len());
    let mut failures = String::new();
    for path in scripts {
        let text = fs::read_to_string(&path).unwrap();
        let result = run(&text);
        if is_rewriting {
            fs::write(&path, result).unwrap();
        } else if result != text {
            let _ = writeln!(failures, "{} now prints:\n{result}", path.display());
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
