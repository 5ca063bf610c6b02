use super::*;

const CURRENT: i64 = 0x1_0000_0000;
const ZXID: Zxid = Zxid(0x1_0000_0007);

/// `a`, `b` and `c` vote, `d` observes; all but `c` are in step.
fn three() -> Membership {
    let text = "server.1=a:1:2;a:3\nserver.2=b:1:2;b:3\nserver.3=c:1:2;c:3\n\
                server.4=d:1:2:observer;d:3\nversion=100000000";
    let committed = QuorumVerifier::parse(text).unwrap();
    Membership {
        last_seen: committed.clone(),
        committed,
        synced: [1, 2].map(ServerId).into(),
        is_standalone_enabled: true,
    }
}

fn incremental<'r>(joining: &'r str, leaving: &'r str) -> ReconfigRequest<'r> {
    ReconfigRequest {
        joining: Some(joining),
        leaving: Some(leaving),
        new_members: None,
        config_id: -1,
    }
}

fn whole(members: &str) -> ReconfigRequest<'_> {
    ReconfigRequest {
        new_members: Some(members),
        config_id: -1,
        ..ReconfigRequest::default()
    }
}

/// Ids, voters first and observers behind a bar.
fn shape(verifier: &QuorumVerifier) -> String {
    let ids = |votes| {
        let members = verifier
            .members()
            .filter(move |m| m.is_participant() == votes);
        let ids: Vec<_> = members.map(|member| member.id.to_string()).collect();
        ids.join(" ")
    };
    format!("{}|{}", ids(true), ids(false))
}

#[test]
fn members_join_leave_and_change() {
    let synced = [1, 2, 5].map(ServerId);
    let membership = Membership {
        synced: synced.into(),
        ..three()
    };
    for (joining, leaving, expected) in [
        ("server.5=e:1:2;e:3", "", "1 2 3 5|4"),
        ("server.5=e:1:2;3", "3", "1 2 5|4"),
        (" server.5 = e:1:2;3 , ", " 3 , 4,", "1 2 5|"),
        ("", "4", "1 2 3|"),
        ("", "9", "1 2 3|4"),
        (
            "server.4=d:1:2:participant;d:3,server.5=e:1:2;3",
            "",
            "1 2 3 4 5|",
        ),
        ("server.3=c:1:2:observer;c:3", "", "1 2|3 4"),
        // Removed and added again: it has moved.
        ("server.3=x:1:2;x:3", "3", "1 2 3|4"),
        // In the place of one that leaves.
        ("server.5=c:1:2;c:3", "3", "1 2 5|4"),
        // Of two lines for one id the last counts.
        (
            "server.5=x:1:2;x:3,server.5=x:1:2:observer;x:3",
            "",
            "1 2 3|4 5",
        ),
        ("", "", "1 2 3|4"),
    ] {
        let request = incremental(joining, leaving);
        let next = membership.next(&request, ZXID);
        let next = next.unwrap_or_else(|error| panic!("{joining} {leaving}: {error}"));
        assert_eq!(shape(&next), expected, "{joining} {leaving}");
        assert_eq!(next.version(), ZXID.0);
    }
}

#[test]
fn a_whole_list_replaces_everything() {
    for text in [
        "server.1=a:1:2;3,server.2=b:1:2:observer;3,server.7=a:4:5",
        "server.1=a:1:2;3\nserver.2=b:1:2:observer;3\nserver.7=a:4:5\nversion=9",
    ] {
        let membership = Membership {
            synced: [1, 7].map(ServerId).into(),
            ..three()
        };
        let request = ReconfigRequest {
            joining: Some("nonsense"),
            ..whole(text)
        };
        let next = membership.next(&request, ZXID).unwrap();
        assert_eq!(shape(&next), "1 7|2", "{text}");
        assert_eq!(next.version(), ZXID.0, "whatever the text says");
    }
}

#[test]
fn groups_come_and_go_as_a_whole() {
    let grouped = "server.1=a:1:2,server.2=b:1:2,server.3=c:1:2,group.1=1:2:3,weight.3=0";
    let membership = three();
    let next = membership.next(&whole(grouped), ZXID).unwrap();
    assert!(!next.is_majority());
    let membership = Membership {
        committed: next.clone(),
        last_seen: next,
        ..membership
    };
    let refused = membership.next(&incremental("", "3"), ZXID);
    assert_eq!(refused.unwrap_err(), ReconfigError::NotMajority);
    let plain = "server.1=a:1:2,server.2=b:1:2";
    assert!(membership.next(&whole(plain), ZXID).unwrap().is_majority());
}

#[track_caller]
fn refused(membership: &Membership, request: &ReconfigRequest<'_>, code: ErrorCode, reason: &str) {
    let error = membership.next(request, ZXID).unwrap_err();
    assert_eq!(error.code(), code, "{request:?}: {error}");
    assert!(error.to_string().contains(reason), "{request:?}: {error}");
}

#[test]
fn what_cannot_be_read_or_makes_no_ensemble_is_a_bad_argument() {
    let membership = three();
    for (joining, leaving, reason) in [
        ("server.5", "", "server.N=host"),
        ("server.x=e:1:2;3", "", "server.N=host"),
        ("server.5=e:1", "", "host:quorumPort"),
        ("server.5=e:1:1;3", "", "that differ"),
        ("server.5=e:1:2", "", "server.5 has no client address"),
        ("server.5=a:1:9;8", "", "server.1 both have the address a:1"),
        (
            "server.5=e:1:2;A:2",
            "",
            "server.1 both have the address A:2",
        ),
        (
            "server.5=e:1:2;3,server.6=e:4:1;5",
            "",
            "server.5 both have",
        ),
        ("", "one", "ids of servers"),
        ("", "1,2,3", "participant"),
        ("", "1,2", "1 voters where there have to be at least 2"),
    ] {
        let request = incremental(joining, leaving);
        refused(&membership, &request, ErrorCode::BadArguments, reason);
    }
    for (members, reason) in [
        ("", "participant"),
        ("server.1=a:1:2:observer", "participant"),
        ("server.1=a:1:2", "1 voters"),
        (
            "server.1=a:1:2,clientPort=5",
            "server, group, weight, version",
        ),
        ("server.1=a:1:2,group.1=2", "in no group"),
        ("server.1", "host:quorumPort"),
    ] {
        refused(
            &membership,
            &whole(members),
            ErrorCode::BadArguments,
            reason,
        );
    }
}

#[test]
fn any_and_loopback_addresses_may_be_shared() {
    let text = "server.1=localhost:1:2;3\nserver.2=127.0.0.1:4:5;3\nversion=100000000";
    let committed = QuorumVerifier::parse(text).unwrap();
    let membership = Membership {
        last_seen: committed.clone(),
        committed,
        ..three()
    };
    for joining in ["localhost:1:2;3", "127.0.0.1:1:2;3", "[::1]:1:2;3"] {
        let joining = format!("server.3={joining}");
        let next = membership.next(&incremental(&joining, ""), ZXID);
        assert_eq!(shape(&next.unwrap()), "1 2 3|");
    }
}

#[test]
fn a_single_voter_needs_standalone_to_be_off() {
    let membership = Membership {
        is_standalone_enabled: false,
        ..three()
    };
    let next = membership.next(&incremental("", "2,3"), ZXID).unwrap();
    assert_eq!(shape(&next), "1|4");
    let all = incremental("", "1,2,3");
    refused(&membership, &all, ErrorCode::BadArguments, "participant");
}

#[test]
fn the_next_configuration_has_to_have_a_quorum_in_step() {
    let membership = three();
    let no_quorum = ErrorCode::NewConfigNoQuorum;
    let joining = "server.5=e:1:2;3,server.6=f:1:2;3";
    refused(
        &membership,
        &incremental(joining, ""),
        no_quorum,
        "no quorum",
    );
    // Enough of the old ones, and too few of the new ones.
    let moved = "server.1=a:1:2,server.5=e:1:2,server.6=f:1:2";
    refused(&membership, &whole(moved), no_quorum, "no quorum");
    // Who only observes is in step with nothing.
    let observer_votes = "server.4=d:1:2:participant;d:3";
    let request = incremental(observer_votes, "1");
    refused(&membership, &request, no_quorum, "no quorum");
    assert!(
        membership
            .next(&incremental("server.5=e:1:2;3", "3"), ZXID)
            .is_ok()
    );
}

#[test]
fn one_at_a_time_and_the_one_that_is_meant() {
    let membership = three();
    let of = |config_id| ReconfigRequest {
        config_id,
        ..incremental("", "4")
    };
    assert!(membership.next(&of(CURRENT), ZXID).is_ok());
    let other = ErrorCode::BadVersion;
    refused(&membership, &of(0), other, "0x100000000");
    let pending = Membership {
        last_seen: membership.last_seen.clone().with_version(ZXID.0 - 1),
        ..membership
    };
    let in_progress = ErrorCode::ReconfigInProgress;
    refused(&pending, &of(-1), in_progress, "in progress");
}

/// Each request has everything wrong that comes after the one check it is refused by.
#[test]
fn the_first_check_that_fails_is_told() {
    let membership = Membership {
        synced: BTreeSet::new(),
        ..three()
    };
    let pending = Membership {
        last_seen: membership.last_seen.clone().with_version(ZXID.0 - 1),
        ..membership.clone()
    };
    let bad = |config_id, leaving| ReconfigRequest {
        config_id,
        ..incremental("", leaving)
    };
    for (membership, request, code) in [
        (&pending, bad(0, "x"), ErrorCode::ReconfigInProgress),
        (&membership, bad(0, "x"), ErrorCode::BadVersion),
        (&membership, bad(-1, "x"), ErrorCode::BadArguments),
        (&membership, bad(-1, "1,2"), ErrorCode::BadArguments),
        (&membership, bad(-1, "1"), ErrorCode::NewConfigNoQuorum),
    ] {
        refused(membership, &request, code, "");
    }
}

#[test]
fn a_client_address_of_the_static_file_stays_hidden() {
    let addr: HostPort = "0.0.0.0:2181".parse().unwrap();
    let hidden = |membership: Membership| {
        let committed = QuorumVerifier::parse("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2");
        let committed = committed.unwrap().with_version(CURRENT);
        let committed = committed.with_hidden_client_addr(ServerId(1), addr.clone());
        Membership {
            last_seen: committed.clone(),
            committed,
            ..membership
        }
    };
    let membership = hidden(three());
    let text = |joining, leaving| {
        let next = membership.next(&incremental(joining, leaving), ZXID);
        next.unwrap().to_text()
    };
    assert_eq!(
        text("", "3"),
        "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nversion=100000007"
    );
    assert!(text("server.1=a:1:2;9", "").starts_with("server.1=a:1:2:participant;0.0.0.0:9\n"));
}
