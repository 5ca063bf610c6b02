use super::*;

fn ids(ids: &[i64]) -> BTreeSet<ServerId> {
    ids.iter().copied().map(ServerId).collect()
}

fn majority(voters: &[i64], observers: &[i64]) -> QuorumVerifier {
    let line = |id: &i64, role| format!("server.{id}=h{id}:2888:3888:{role}\n");
    let voters = voters.iter().map(|id| line(id, "participant"));
    let observers = observers.iter().map(|id| line(id, "observer"));
    QuorumVerifier::parse(&voters.chain(observers).collect::<String>()).unwrap()
}

#[test]
fn more_than_half_of_the_voters_are_a_quorum() {
    let three = majority(&[1, 2, 3], &[4]);
    for (acks, expected) in [
        (&[1, 2][..], true),
        (&[1], false),
        (&[1, 4], false),
        (&[1, 9], false),
        (&[], false),
        (&[1, 2, 3, 4], true),
    ] {
        assert_eq!(three.contains_quorum(&ids(acks)), expected, "{acks:?}");
    }
    assert!(!majority(&[1, 2, 3, 4], &[]).contains_quorum(&ids(&[1, 2])));
}

const SITES: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\n\
                     server.3=c:1:2:participant\nserver.4=d:1:2:participant\n\
                     server.5=e:1:2:participant\n\
                     group.1=1:2:3\ngroup.2=4:5\nweight.4=0\nweight.5=0\nversion=1f";

#[test]
fn groups_without_weight_do_not_count() {
    let sites = QuorumVerifier::parse(SITES).unwrap();
    assert!(sites.contains_quorum(&ids(&[1, 2])));
    assert!(!sites.contains_quorum(&ids(&[1, 4, 5])));
    assert!(!sites.contains_quorum(&ids(&[])));
    assert_eq!(sites.weight(ServerId(4)), 0);
    assert_eq!(sites.weight(ServerId(1)), 1);
    assert_eq!(sites.version(), 0x1f);
}

#[test]
fn a_majority_of_groups_is_needed() {
    let lines: String = (1..=9).map(|n| format!("server.{n}=h:1:2\n")).collect();
    let text = format!("{lines}group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\nweight.1=3");
    let verifier = QuorumVerifier::parse(&text).unwrap();
    assert!(
        verifier.contains_quorum(&ids(&[1, 4, 5])),
        "1 outweighs its group"
    );
    assert!(
        !verifier.contains_quorum(&ids(&[2, 3, 4, 5])),
        "2 of 5 in the first"
    );
    assert!(
        !verifier.contains_quorum(&ids(&[4, 5, 6])),
        "one group of three"
    );
}

#[test]
fn the_text_reads_back() {
    for text in [SITES, "server.1=a:1:2:participant;0.0.0.0:2181\nversion=0"] {
        assert_eq!(QuorumVerifier::parse(text).unwrap().to_text(), text);
    }
}

#[test]
fn a_client_address_from_the_static_file_is_not_told() {
    let addr = "0.0.0.0:2181".parse().unwrap();
    let one = majority(&[1], &[]).with_hidden_client_addr(ServerId(1), addr);
    assert_eq!(
        one.to_text(),
        "server.1=h1:2888:3888:participant\nversion=0"
    );
}

#[test]
fn versions_or_members_make_them_equal() {
    let (three, four) = (majority(&[1, 2, 3], &[]), majority(&[1, 2, 3, 4], &[]));
    assert_eq!(three, four, "both of version 0");
    assert_eq!(three, three.clone().with_version(7));
    assert_ne!(three, four.with_version(7));
}

#[test]
fn lists_that_can_elect_apart_are_told() {
    let list = |voters: &[i64]| majority(voters, &[]);
    let meets = |a: &[i64], b: &[i64]| list(a).always_meets(&list(b));
    assert!(meets(&[1, 2, 3], &[1, 2, 3, 4]));
    assert!(meets(&[1, 2, 3, 4], &[1, 2, 3, 4, 5]));
    assert!(!meets(&[1, 2, 3], &[1, 2, 3, 4, 5]));
    assert!(!meets(&[1, 2, 3], &[4, 5, 6]));
    assert!(meets(&[1, 2, 3], &[3, 2, 1]));
}

#[test]
fn a_text_without_end_is_not_read() {
    let error = QuorumVerifier::parse(&"a\n".repeat(5000)).unwrap_err();
    assert!(error.to_string().contains("4096 lines"), "{error}");
}

#[test]
fn what_makes_no_ensemble_is_refused() {
    for (text, reason) in [
        ("", "participant"),
        ("server.1=a:1:2:observer", "participant"),
        ("server.x=a:1:2", "whole numbers"),
        ("server.1=a:1:2\nfoo=1", "server, group, weight, version"),
        ("server.1=a:1:2\nversion=xyz", "hexadecimal"),
        ("server.1=a:1:2\ngroup.1=2", "in no group"),
        ("server.1=a:1:2\nweight.1=2", "in no group"),
        ("server.1=a:1:2\ngroup.1=1\ngroup.2=1", "1 is in two"),
        ("server.1=a:1:2\ngroup.1=1\nweight.1=-1", "0 to"),
        ("server.1=a:1:2\ngroups=1", "group.N and weight.N"),
    ] {
        let error = QuorumVerifier::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
