//! The catalogue of failures: what a client and a standalone server must survive, each
//! with its permanent id, and how a run is known to have met it. Whoever brings workloads of
//! their own may have a catalogue of their own.

use std::collections::BTreeMap;

mod ensemble;

pub use ensemble::ENSEMBLE_CATALOGUE;

/// Something that must be survived.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its permanent id.
    pub id: &'static str,
    /// What happens.
    pub title: &'static str,
    /// How it is known to have happened.
    pub met: Met,
}

/// How a failure is known to have been met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// One of these rare places was reached.
    Places(&'static [&'static str]),
    /// Faults of this kind struck.
    Fault(&'static str),
    /// Faults of this kind struck, and this place was reached.
    FaultAt(&'static str, &'static str),
    /// By no run: an ordinary test of this name shows that it is survived.
    Test(&'static str),
}

use Met::{Fault, FaultAt, Places, Test};

const fn entry(id: &'static str, title: &'static str, met: Met) -> Entry {
    Entry { id, title, met }
}

/// All of it, by id.
pub const CATALOGUE: &[Entry] = &[
    entry(
        "C01",
        "session expires with writes in flight",
        Places(&["client: write unanswered at expiry"]),
    ),
    entry(
        "C02",
        "cut after the request was sent, before the reply",
        Places(&[
            "client: cut with the request written",
            "client: cut with the request partly written",
        ]),
    ),
    entry(
        "C03",
        "cut before the request's first byte",
        Places(&["client: cut before the request's first byte"]),
    ),
    entry(
        "C04",
        "cut amid many pipelined calls",
        Places(&["client: cut with a pipeline in flight"]),
    ),
    entry(
        "C05",
        "znode changes while its watch is not registered",
        Places(&["client: watch fired by re-registration"]),
    ),
    entry(
        "C06",
        "more watches than fit into a frame",
        Places(&["client: watches re-registered in several chunks"]),
    ),
    entry(
        "C07",
        "server lacks an operation",
        Test("what_has_no_substitute_is_unsupported_and_says_what"),
    ),
    entry(
        "C08",
        "server that is behind what the client has seen",
        Places(&[
            "client: reply refused, server behind",
            "server: refused a client that has seen more",
        ]),
    ),
    entry(
        "C09",
        "session moves to another connection",
        Places(&[
            "client: session moved",
            "server: session moved to another connection",
        ]),
    ),
    entry(
        "C10",
        "replies that answer nothing, twice or out of order",
        Places(&["client: reply out of order"]),
    ),
    entry(
        "C11",
        "lengths that cannot be",
        Places(&["client: frame length refused"]),
    ),
    entry(
        "C12",
        "connection ends within a handshake or a reply",
        Places(&[
            "client: cut in the handshake",
            "client: cut within a frame of the server",
        ]),
    ),
    entry(
        "C13",
        "half-open connection",
        FaultAt("forget", "client: connection dropped by read timeout"),
    ),
    entry(
        "C14",
        "server that accepts and says nothing, or a byte now and then",
        Places(&["client: handshake timed out"]),
    ),
    entry(
        "C15",
        "connects that hang",
        FaultAt("blackhole", "client: connect attempt timed out"),
    ),
    entry(
        "C16",
        "all servers down for long, and everybody comes back",
        Places(&["client: back-off at its longest"]),
    ),
    entry(
        "C17",
        "all servers down for longer than the session timeout",
        Places(&["client: heard of expiry after the session timeout"]),
    ),
    entry(
        "C18",
        "names that cannot be looked up",
        Places(&[
            "client: name lookup failed",
            "client: name lookup timed out",
            "client: name with very many addresses",
            "client: name without an address",
        ]),
    ),
    entry(
        "C19",
        "read-only server",
        Places(&["client: connected read-only"]),
    ),
    entry(
        "C20",
        "future dropped before its answer",
        Places(&["client: dropped call answered"]),
    ),
    entry(
        "C21",
        "last handle dropped",
        Places(&["client: last handle dropped"]),
    ),
    entry(
        "C22",
        "wall clock jumps",
        Places(&["faults: a client's wall clock was set"]),
    ),
    entry(
        "C23",
        "process paused for longer than the session timeout",
        // A client that wakes up mostly finds the end of its connection first.
        FaultAt("pause", "client: heard of expiry after the session timeout"),
    ),
    entry(
        "C24",
        "machine suspended for longer than the session timeout",
        Places(&["client: machine suspended past the session timeout"]),
    ),
    entry(
        "C25",
        "credentials refused",
        Places(&["client: credentials refused"]),
    ),
    entry(
        "C26",
        "calls queued while credentials are presented",
        Places(&["client: calls waited for credentials"]),
    ),
    entry(
        "C28",
        "handshake with something odd about it",
        Places(&["liar: odd handshake"]),
    ),
    entry(
        "C29",
        "server closes right after accepting",
        Places(&["liar: closes at once"]),
    ),
    entry(
        "C30",
        "everybody refuses what the client has seen",
        Places(&["client: ensemble regressed"]),
    ),
    entry(
        "C31",
        "large reply over a narrow link",
        Places(&["client: kept alive by part of a reply"]),
    ),
    entry(
        "C32",
        "server stops reading",
        Places(&["client: socket full", "client: queue full"]),
    ),
    entry(
        "C33",
        "watcher at which nobody looks",
        Places(&["client: watcher lagged"]),
    ),
    entry(
        "C34",
        "request numbers wrap",
        Places(&["client: xid wrapped"]),
    ),
    entry(
        "C35",
        "chroots with names that begin alike",
        Places(&["workload: chroots side by side"]),
    ),
    entry(
        "C36",
        "event handler that calls the client",
        Places(&["workload: call from an event handler"]),
    ),
    entry(
        "C37",
        "list of servers changes with calls in flight",
        Places(&["client: moved with calls in flight"]),
    ),
    entry(
        "C38",
        "multi with the wrong results",
        Places(&["liar: bad multi"]),
    ),
    entry(
        "S01",
        "bytes that no client sends",
        Places(&[
            "server: frame length refused",
            "server: cut within a frame of the client",
        ]),
    ),
    entry(
        "S02",
        "panic inside the server",
        Test("a_panic_in_the_middle_of_a_change_ends_the_server"),
    ),
    entry(
        "S04",
        "permissions that are missing",
        Places(&["server: ACL refused a write"]),
    ),
    entry(
        "S05",
        "ACL tightened after a watch was left",
        Places(&["server: ACL refused at event delivery"]),
    ),
    entry(
        "S06",
        "more in half frames than there is room for",
        Test("incomplete_requests_of_all_connections_together_are_limited"),
    ),
    entry(
        "S07",
        "many clients at once",
        Places(&["workload: crowd of clients"]),
    ),
    entry(
        "S09",
        "client that never reads",
        Places(&[
            "server: slow reader closed",
            "server: not reading from a slow reader",
        ]),
    ),
    entry(
        "S24",
        "server's wall clock jumps",
        Places(&["faults: the server's wall clock was set"]),
    ),
    entry(
        "S25",
        "session expires, not early and not late",
        Places(&["server: session expired"]),
    ),
    entry(
        "S26",
        "session ends with an ephemeral's create under way",
        Places(&[
            "server: request behind a close",
            "server: request of a session that has ended",
        ]),
    ),
    entry(
        "S28",
        "versions wrap",
        Test("the_version_wraps_and_its_checks_hold"),
    ),
    entry(
        "S30",
        "server stopped under load",
        Places(&["server: stopped with connections"]),
    ),
    entry(
        "S32",
        "expired sessions leave nothing behind",
        Places(&["server: ephemerals deleted with their session"]),
    ),
];

/// Which of these failures a run has met, and how often, from the places it reached and the
/// kinds of faults that struck.
pub fn reached(
    catalogue: &[Entry],
    places: &BTreeMap<&'static str, u64>,
    faults: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let place = |place: &str| places.get(place).copied().unwrap_or(0);
    let fault = |kind: &str| faults.get(kind).copied().unwrap_or(0);
    let count = |met: Met| match met {
        Places(all) => all.iter().map(|name| place(name)).sum(),
        Fault(kind) => fault(kind),
        FaultAt(kind, name) => fault(kind).min(place(name)),
        Test(_) => 0,
    };
    let counted = catalogue.iter().map(|entry| (entry.id, count(entry.met)));
    counted.filter(|(_, count)| *count > 0).collect()
}

/// Ids of these that runs can meet.
pub fn ids_of_runs(catalogue: &[Entry]) -> impl Iterator<Item = &'static str> {
    let of_runs = |entry: &&Entry| !matches!(entry.met, Test(_));
    catalogue.iter().filter(of_runs).map(|entry| entry.id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::faults::mix;

    /// Everything that is written in the sources of these parts of the workspace.
    pub(super) fn sources(parts: &[&str]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = String::new();
        for part in parts {
            read(&root.join(part), &mut text);
        }
        text
    }

    fn read(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).expect("a directory of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|end| end == "rs")
                && !path.ends_with("catalogue.rs")
            {
                text.push_str(&fs::read_to_string(&path).expect("a source file"));
            }
        }
    }

    fn places() -> impl Iterator<Item = &'static str> {
        CATALOGUE.iter().flat_map(|entry| match entry.met {
            Places(all) => all.to_vec(),
            FaultAt(_, place) => vec![place],
            Fault(_) | Test(_) => Vec::new(),
        })
    }

    #[test]
    fn ids_stand_in_order_and_once() {
        let ids: Vec<_> = CATALOGUE.iter().map(|entry| entry.id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        // C01–C38 without C27; S01–S09 without S03 and S08; S24–S26, S28, S30, S32.
        assert_eq!(ids.len(), 37 + 7 + 6);
    }

    #[test]
    fn every_place_is_somewhere_in_the_code() {
        let code = sources(&["zk-client/src", "zk-server/src", "zk-sim/src"]);
        for place in places() {
            assert!(code.contains(&format!("\"{place}\"")), "{place}");
        }
    }

    #[test]
    fn every_test_that_is_named_exists() {
        let code = sources(&[
            "zk-client/src",
            "zk-server/src",
            "zk-server/tests",
            "tests/tests",
        ]);
        for entry in CATALOGUE {
            if let Test(name) = entry.met {
                assert!(
                    code.contains(&format!("fn {name}()")),
                    "{}: {name}",
                    entry.id
                );
            }
        }
    }

    #[test]
    fn every_fault_is_one_that_is_drawn() {
        let mix = mix::named("all").expect("there is one");
        let hosts: Vec<_> = ["server", "garbled-1"].map(str::to_owned).to_vec();
        let drawn: BTreeSet<_> = (0..300)
            .flat_map(|seed| mix.draw(seed, &hosts, std::time::Duration::from_secs(40)))
            .map(|fault| fault.kind.name())
            .collect();
        for entry in CATALOGUE {
            if let Fault(kind) | FaultAt(kind, _) = entry.met {
                assert!(drawn.contains(kind), "{}: {kind}", entry.id);
            }
        }
    }

    #[test]
    fn what_takes_two_things_is_met_by_both() {
        let faults = [("forget", 2)].into();
        assert!(reached(CATALOGUE, &BTreeMap::new(), &faults).is_empty());
        let places = [("client: connection dropped by read timeout", 5)].into();
        assert!(reached(CATALOGUE, &places, &BTreeMap::new()).is_empty());
        assert_eq!(reached(CATALOGUE, &places, &faults), [("C13", 2)].into());
    }
}
