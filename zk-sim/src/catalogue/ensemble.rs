//! What an ensemble must survive.

use super::Entry;
use super::Met::{FaultAt, Places, Test};
use super::entry;

/// All of it, by id. Not of runs with ensembles: Apache's servers beside
/// ours (E31), and snapshots larger than `initLimit` allows for (E39).
pub const ENSEMBLE_CATALOGUE: &[Entry] = &[
    entry(
        "E01",
        "leader dies before and after its epoch is accepted, and between two acks of it",
        Places(&[
            "crash: leader chose an epoch",
            "crash: leader accepted its epoch",
            "crash: leader heard an ack of its epoch",
        ]),
    ),
    entry(
        "E02",
        "leader dies while it brings others up to date",
        Places(&[
            "crash: leader sent a DIFF",
            "crash: leader sent a TRUNC",
            "crash: leader sent a SNAP",
            "crash: leader heard an ack of NEWLEADER",
            "crash: leader established",
        ]),
    ),
    entry(
        "E03",
        "leader dies with a proposal sent, or a commit",
        Places(&["crash: leader proposed", "crash: leader committed"]),
    ),
    entry(
        "E04",
        "follower dies at a step of its synchronisation",
        Places(&[
            "crash: learner synchronises",
            "crash: learner logs the history",
            "crash: learner has the history",
            "crash: learner entered the epoch",
        ]),
    ),
    entry(
        "E05",
        "undecided transactions come with the history",
        Places(&["zab: leader sent undecided proposals with a history"]),
    ),
    entry(
        "E06",
        "history from the committed log, which has no hole",
        Places(&["zab: leader sent a DIFF"]),
    ),
    entry(
        "E07",
        "follower whose disk has failed comes back",
        FaultAt("disk sync fails", "ensemble: server ended by its disk"),
    ),
    entry(
        "E08",
        "role ends while the disk is still at work",
        FaultAt("slow sync", "zab: leader lost its quorum"),
    ),
    entry(
        "E09",
        "the leader's own disk fails",
        Places(&["ensemble: leader ended by its disk"]),
    ),
    entry(
        "E10",
        "server that lets connects hang during an election",
        FaultAt("blackhole", "zab: leader established"),
    ),
    entry(
        "E11",
        "names of servers that cannot be looked up",
        FaultAt("dns hangs", "zab: leader established"),
    ),
    entry(
        "E12",
        "partition in one direction",
        FaultAt("one-way silence", "zab: leader lost its quorum"),
    ),
    entry(
        "E13",
        "leader without a quorum",
        Places(&["zab: leader lost its quorum"]),
    ),
    entry(
        "E14",
        "bridge, ring, and one that hears nobody",
        Places(&["faults: links between servers cut unevenly"]),
    ),
    entry(
        "E15",
        "even number of voters",
        FaultAt("silence", "ensemble: even number of voters"),
    ),
    entry(
        "E16",
        "link or server that comes and goes",
        Places(&["faults: the same again within seconds"]),
    ),
    entry(
        "E17",
        "follower that is ahead is truncated, and dies of it",
        Places(&["zab: leader sent a TRUNC"]),
    ),
    entry(
        "E18",
        "follower that gets a snapshot, and dies of it",
        Places(&["zab: leader sent a SNAP"]),
    ),
    entry(
        "E19",
        "every place in the history that a follower may have",
        Test("learners_get_what_the_table_says"),
    ),
    entry(
        "E20",
        "notifications that are late or nonsense",
        Places(&["intruder: vote of nobody", "intruder: bad notification"]),
    ),
    entry(
        "E21",
        "votes of servers that are in no list",
        Places(&["intruder: vote of nobody"]),
    ),
    entry(
        "E22",
        "voter that changes its mind while a leader begins",
        Places(&[
            "crash: leader enters its epoch",
            "crash: leader entered its epoch",
            "crash: leader accepted its epoch",
        ]),
    ),
    entry(
        "E23",
        "leader that stands still and goes on",
        Places(&["ensemble: leader paused"]),
    ),
    entry(
        "E24",
        "read behind a sync while leaders change",
        Places(&["workload: read behind a sync while leaders change"]),
    ),
    entry(
        "E25",
        "all lose power at once",
        Places(&["ensemble: all are down"]),
    ),
    entry(
        "E26",
        "zxids of an epoch are used up",
        Places(&["zab: zxid rolled over"]),
    ),
    entry(
        "E27",
        "rolling restart under load",
        FaultAt("restart", "zab: learner serves"),
    ),
    entry(
        "E28",
        "members change while faults strike",
        Places(&["ensemble: members changed while a fault lasts"]),
    ),
    entry(
        "E29",
        "disk replaced by an empty one",
        Places(&["ensemble: voter with a new disk serves"]),
    ),
    entry(
        "E30",
        "observers, never counted",
        Places(&["ensemble: has an observer"]),
    ),
    entry(
        "E32",
        "session timers over a change of leaders",
        FaultAt("kill", "zab: learner serves"),
    ),
    entry(
        "E33",
        "sessions opened and closed while leaders change",
        FaultAt("kill at", "zab: leader proposed"),
    ),
    entry(
        "E34",
        "large proposals over a narrow link",
        FaultAt("bandwidth", "zab: leader committed"),
    ),
    entry(
        "E35",
        "clocks that run apart, and pauses",
        FaultAt("clock rate", "zab: leader established"),
    ),
    entry(
        "E36",
        "learner that takes its tree for another than the leader's",
        Places(&["ensemble: fenced itself off"]),
    ),
    entry(
        "E37",
        "noise at the ports of servers",
        Places(&[
            "intruder: noise",
            "intruder: huge length",
            "intruder: half a handshake",
        ]),
    ),
    entry(
        "E38",
        "learner that is none",
        Places(&["intruder: learner that is none"]),
    ),
    entry(
        "E40",
        "two faults at once",
        Places(&["faults: two at once"]),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::sources;
    use super::*;
    use crate::cli::ENSEMBLES;
    use crate::faults::{CRASH_POINTS, RECONFIG_CRASH_POINTS};

    #[test]
    fn ids_stand_in_order_and_once() {
        let ids: Vec<_> = ENSEMBLE_CATALOGUE.iter().map(|entry| entry.id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert_eq!(ids.len(), 38);
    }

    #[test]
    fn places_tests_and_faults_are_there() {
        let code = sources(&["zk-client/src", "zk-server/src", "zk-sim/src"]);
        let faults: BTreeSet<_> = ENSEMBLES.faults.iter().copied().collect();
        let exists = |place: &str| code.contains(&format!("\"{place}\""));
        for entry in ENSEMBLE_CATALOGUE {
            match entry.met {
                Places(places) => places.iter().for_each(|p| assert!(exists(p), "{p}")),
                FaultAt(fault, place) => {
                    assert!(faults.contains(fault), "{fault}");
                    assert!(exists(place), "{place}");
                }
                Test(name) => assert!(code.contains(&format!("fn {name}()")), "{name}"),
                super::super::Met::Fault(fault) => assert!(faults.contains(fault), "{fault}"),
            }
        }
    }

    #[test]
    fn servers_come_to_every_crash_point() {
        let code = sources(&["zk-server/src"]);
        for point in CRASH_POINTS.iter().chain(RECONFIG_CRASH_POINTS) {
            assert!(
                code.contains(&format!("\"{}\"", point.place)),
                "{}",
                point.place
            );
        }
    }
}
