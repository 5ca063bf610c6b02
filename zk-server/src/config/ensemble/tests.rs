//! Ensembles as their files describe them.

use std::path::Path;
use std::time::Duration;

use super::draft::version_of;
use super::*;
use crate::error::ConfigError;

const THREE: &str = "clientPort=2181\ninitLimit=10\nsyncLimit=5\nserver.1=a:2888:3888\n\
                     server.2=b:2888:3888\nserver.3=c:2888:3888:observer\n";

fn read(text: &str, myid: &str) -> Result<EnsembleConfig, ConfigError> {
    EnsembleDraft::parse(text)?.finish(myid)
}

fn ensemble(text: &str) -> EnsembleConfig {
    read(text, "1\n").unwrap()
}

#[track_caller]
fn refused(more: &str, reason: &str) {
    let error = read(&format!("{THREE}{more}"), "1")
        .unwrap_err()
        .to_string();
    assert!(error.contains(reason), "{more}: {error}");
}

#[test]
fn members_and_defaults_are_apaches() {
    let config = ensemble(THREE);
    assert_eq!(
        (config.id, config.learner_type),
        (ServerId(1), LearnerType::Participant)
    );
    assert_eq!(config.client_addr.to_string(), "0.0.0.0:2181");
    let expected = EnsembleSettings {
        init_limit: 10,
        sync_limit: 5,
        ..EnsembleSettings::default()
    };
    assert_eq!(config.settings, expected);
    assert_eq!(config.handshake_timeout(), Duration::from_secs(15));
    assert_eq!(
        config.verifier.to_text(),
        "server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant\n\
         server.3=c:2888:3888:observer\nversion=0",
        "without the client port of the static file"
    );
    assert_eq!(config.election_listen(), ["a:3888".parse().unwrap()]);
}

#[test]
fn every_setting_arrives() {
    let config = ensemble(&format!(
        "{THREE}tickTime=100\nquorumListenOnAllIPs=true\nreconfigEnabled=true\n\
         multiAddress.enabled=true\ncnxTimeout=7\nquorumCnxnTimeoutMs=8\n\
         electionPortBindRetry=0\nfastleader.minNotificationInterval=9\n\
         fastleader.maxNotificationInterval=10\nsyncEnabled=false\nobserverMasterPort=11\n\
         leaderServes=no\nlocalSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n\
         readonlymode.enabled=true\n\
         connectToLearnerMasterLimit=12\npeerType=observer\nelectionAlg=3",
    ));
    let expected = EnsembleSettings {
        tick_time: Duration::from_millis(100),
        init_limit: 10,
        sync_limit: 5,
        connect_to_learner_master_limit: 12,
        quorum_listen_on_all_ips: true,
        reconfig_enabled: true,
        is_standalone_enabled: true,
        is_multi_address: true,
        cnx_timeout: Duration::from_millis(7),
        quorum_cnxn_timeout: Some(Duration::from_millis(8)),
        election_port_bind_retry: 0,
        min_notification_interval: Duration::from_millis(9),
        max_notification_interval: Duration::from_millis(10),
        sync_enabled: false,
        observer_master_port: 11,
        leader_serves: false,
        local_sessions_enabled: true,
        local_sessions_upgrading_enabled: true,
        is_read_only_mode_enabled: true,
    };
    assert_eq!(config.settings, expected);
    let local = config.settings.local_sessions();
    assert_eq!(local, LocalSessions::Upgradeable);
    assert!(config.is_peer_type_overruled, "the list says participant");
    assert_eq!(config.election_listen(), ["[::]:3888".parse().unwrap()]);
    assert_eq!(config.handshake_timeout(), Duration::from_millis(8));
}

#[test]
fn what_makes_no_ensemble_is_standalone_or_refused() {
    let alone = "clientPort=2181\nserver.1=a:1:2\n";
    let is_ensemble = |text: &str| EnsembleDraft::parse(text).unwrap().is_ensemble();
    assert!(!is_ensemble("clientPort=2181").unwrap());
    assert!(!is_ensemble(alone).unwrap());
    assert!(!is_ensemble("oraclePath=/x\nsslQuorum=true").unwrap());
    let distributed = format!("{alone}standaloneEnabled=false\ninitLimit=1\nsyncLimit=1");
    assert!(is_ensemble(&distributed).unwrap() && read(&distributed, "1").is_ok());
    assert!(EnsembleConfig::parse(&distributed, 1).is_ok());
    for text in [
        format!("{alone}server.2=b:1:2:observer"),
        "server.2=b:1:2:observer".to_owned(),
        "standaloneEnabled=false\ninitLimit=1\nsyncLimit=1".to_owned(),
        alone.to_owned(),
    ] {
        let error = read(&text, "1").unwrap_err().to_string();
        assert!(error.starts_with("server.N is missing"), "{error}");
    }
}

#[test]
fn limits_have_to_be_set() {
    for key in ["initLimit", "syncLimit"] {
        let text: String = THREE
            .lines()
            .filter(|line| !line.starts_with(key))
            .collect::<Vec<_>>()
            .join("\n");
        let error = read(&text, "1").unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{key} is missing, it is needed for an ensemble")
        );
    }
}

#[test]
fn what_cannot_be_obeyed_is_refused() {
    refused("electionAlg=1", "electionAlg is 1");
    refused("peerType=leader", "observer, participant");
    refused("oraclePath=/x", "oracle");
    refused("sslQuorum=true", "TLS between servers");
    refused("portUnification=true", "TLS between servers");
    refused("quorum.auth.enableSasl=true", "SASL between servers");
    refused("server.4=d:1:2|e:1:2", "multiAddress.enabled");
    refused("server.4=d:1:1", "that differ");
    refused("group.1=1", "in no group");
    refused("standaloneEnabled=maybe", "true, false");
    refused("initLimit=-1", "whole numbers");
    refused(
        "fastleader.maxNotificationInterval=1",
        "at most the longest",
    );
    refused("server.1=a:2888:3888;2182", "what server.1 says");
}

#[test]
fn myid_has_to_name_a_member() {
    for myid in ["", "x", "9", "1 2"] {
        let error = read(THREE, myid).unwrap_err().to_string();
        assert!(error.contains("the N of a server.N"), "{myid:?}: {error}");
    }
    assert_eq!(read(THREE, " 3 \nrest").unwrap().id(), 3);
    let text = format!("{THREE}extendedTypesEnabled=true\nserver.255=d:1:2");
    let error = read(&text, "255").unwrap_err().to_string();
    assert!(error.contains("254"), "{error}");
}

#[test]
fn a_dynamic_file_has_the_members_and_in_its_name_the_version() {
    let statics = "initLimit=10\nsyncLimit=5\ndynamicConfigFile=/conf/zoo.cfg.dynamic.10000000a\n";
    let servers = "server.1=a:1:2:participant;2181\nserver.2=b:1:2:participant;2181\n";
    let file = Path::new("/conf/zoo.cfg.dynamic.10000000a");
    let finish = |statics: &str, dynamic: &str| {
        let draft = EnsembleDraft::parse(statics)?;
        assert_eq!(draft.dynamic_config_file(), Some(file));
        draft.with_dynamic(file, dynamic)?.finish("2")
    };
    let config = finish(statics, servers).unwrap();
    assert_eq!(config.verifier.version(), 0x1_0000_000a);
    assert_eq!(config.client_addr.to_string(), "0.0.0.0:2181");
    let error = |statics: &str, dynamic: &str| finish(statics, dynamic).unwrap_err().to_string();
    assert_eq!(
        error(statics, &format!("{servers}version=1")),
        "/conf/zoo.cfg.dynamic.10000000a: version is 1, allowed: server, group and weight alone \
         in a dynamic file"
    );
    let both = format!("{statics}server.1=a:1:2");
    assert!(error(&both, servers).contains("beside dynamicConfigFile"));
    let alone = EnsembleConfig::parse(statics, 1).unwrap_err().to_string();
    assert!(alone.starts_with("dynamicConfigFile is /conf/"), "{alone}");
}

#[test]
fn a_file_without_a_version_has_version_zero() {
    for (name, version) in [("/a/zoo.dynamic", 0), ("zoo.cfg.dynamic.ff", 255), ("x", 0)] {
        assert_eq!(version_of(Path::new(name)), version, "{name}");
    }
}
