//! The failures that recipes must survive, each with its permanent id, and how a run is known to
//! have met it.

use zk_sim::catalogue::{
    Entry,
    Met::{self, FaultAt, Places, Test},
};

const fn entry(id: &'static str, title: &'static str, met: Met) -> Entry {
    Entry { id, title, met }
}

/// All of it, by id.
pub const CATALOGUE: &[Entry] = &[
    entry(
        "R01",
        "holder stalls for longer than its session, then writes",
        FaultAt("pause", "recipes: write fenced"),
    ),
    entry(
        "R02",
        "the same by machine suspend",
        FaultAt("suspend", "recipes: write fenced"),
    ),
    entry(
        "R03",
        "session expires between the grant and the first write",
        Places(&["recipes: expired between the grant and the first write"]),
    ),
    entry(
        "R04",
        "connection lost in a sequential create",
        Places(&["client: protected create found again"]),
    ),
    entry(
        "R05",
        "session expires during that retry",
        Places(&["client: session ended with a protected create under way"]),
    ),
    entry(
        "R06",
        "ephemeral of one's former session is still there",
        Places(&["recipes: name still taken by a former session"]),
    ),
    entry(
        "R07",
        "reconnected, and again before the first is digested",
        Places(&["recipes: connection lost again while in doubt"]),
    ),
    entry(
        "R08",
        "parent deleted",
        Places(&["recipes: place in line removed by somebody else"]),
    ),
    entry(
        "R09",
        "close races an acquisition",
        Places(&["recipes: client closed amid a turn"]),
    ),
    entry(
        "R10",
        "release while disconnected",
        Places(&["recipes: released without a connection"]),
    ),
    entry(
        "R11",
        "acquisition times out, or its future is dropped in line",
        Places(&["recipes: waiter dropped", "recipes: gave up waiting"]),
    ),
    entry(
        "R12",
        "predecessor goes between list and watch",
        Places(&["recipes: predecessor gone before it was watched"]),
    ),
    entry(
        "R13",
        "very many waiters, one release",
        Test("one_waiter_wakes_per_release"),
    ),
    entry(
        "R14",
        "readers and writers without end; downgrade cut short",
        Places(&["recipes: downgraded", "recipes: downgrade dropped"]),
    ),
    entry(
        "R15",
        "semaphore resized with leases out; holder lost",
        Places(&["recipes: semaphore resized"]),
    ),
    entry(
        "R16",
        "member of a party dies; late joiner; barrier removed while arming",
        Places(&[
            "recipes: member left without the others",
            "recipes: stale ready removed",
        ]),
    ),
    entry(
        "R17",
        "sequence numbers are used up",
        Test("a_worn_out_parent_of_leases_is_made_anew_once_it_is_empty"),
    ),
    entry(
        "R18",
        "foreign and malformed children",
        Places(&["recipes: foreign child in line"]),
    ),
    entry(
        "R19",
        "member flaps",
        Places(&["recipes: member left and joins again"]),
    ),
    entry(
        "R20",
        "document changes there and back between event and read",
        Places(&["recipes: document changed there and back"]),
    ),
    entry(
        "R21",
        "watched znode deleted and made again",
        Places(&["recipes: watched znode deleted and made again"]),
    ),
    entry(
        "R22",
        "consumer dies with an item",
        FaultAt("kill", "recipes: item claimed"),
    ),
    entry(
        "R23",
        "increment of unknown outcome",
        Places(&["recipes: increment of unknown outcome"]),
    ),
    entry(
        "R24",
        "leader's work panics",
        Test("a_panic_in_the_work_releases_the_lock"),
    ),
    entry(
        "R25",
        "zxids are used up, and everybody reconnects",
        Test("zxids_that_are_used_up_cost_an_election_and_no_storm"),
    ),
    entry(
        "R26",
        "permissions withdrawn while in line",
        Places(&["recipes: permission withdrawn"]),
    ),
    entry(
        "R27",
        "servers restarted in turn under many latches",
        Test("one_latch_leads_at_a_time_while_servers_are_restarted_in_turn"),
    ),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn read(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).expect("a directory of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|end| end == "rs")
                && !path.ends_with("recipes_sim/catalogue.rs")
            {
                text.push_str(&fs::read_to_string(&path).expect("a source file"));
            }
        }
    }

    fn sources(parts: &[&str]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = String::new();
        for part in parts {
            read(&root.join(part), &mut text);
        }
        text
    }

    #[test]
    fn ids_stand_in_order_and_once() {
        let ids: Vec<_> = CATALOGUE.iter().map(|entry| entry.id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert_eq!(ids.len(), 27);
    }

    #[test]
    fn every_place_and_every_test_exists() {
        let code = sources(&[
            "zk-client/src",
            "zk-recipes/src",
            "tests/src",
            "tests/tests",
        ]);
        for entry in CATALOGUE {
            match entry.met {
                Places(places) => {
                    for place in places {
                        assert!(code.contains(&format!("\"{place}\"")), "{place}");
                    }
                }
                FaultAt(_, place) => assert!(code.contains(&format!("\"{place}\"")), "{place}"),
                Test(name) => assert!(code.contains(&format!("fn {name}()")), "{name}"),
                Met::Fault(_) => {}
            }
        }
    }
}
