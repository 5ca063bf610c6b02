//! Values and files, good and bad.

use std::net::SocketAddr;
use std::time::Duration;

use zk_env::{Env, TokioEnv};

use super::{ConfigNote, FourLetterWords, ServerConfig, ZooCfg};
use crate::error::ConfigError;

/// What every file needs, and `more`.
fn parse(more: &str) -> Result<ZooCfg, ConfigError> {
    ZooCfg::parse(&format!("clientPort=2181\ndataDir=/data\n{more}"))
}

async fn config(more: &str) -> ServerConfig {
    let env = TokioEnv::new();
    parse(more).unwrap().into_config(&*env).await.unwrap()
}

fn error(more: &str) -> String {
    parse(more).unwrap_err().to_string()
}

#[tokio::test]
async fn a_minimal_file_has_apaches_defaults() {
    let config = config("").await;
    assert_eq!(config.client_addr(), "[::]:2181".parse().unwrap());
    assert_eq!(config.tick_time(), Duration::from_millis(3000));
    assert_eq!(config.min_session_timeout(), Duration::from_millis(6000));
    assert_eq!(config.max_session_timeout(), Duration::from_millis(60_000));
    assert_eq!(config.max_client_cnxns(), 60);
    assert_eq!(config.frame_limit(), 1_048_575);
    assert!(config.four_letter_words.allows("srvr"));
    assert!(!config.four_letter_words.allows("ruok"));
    assert!(!config.extended_types_enabled && !config.enforce_quota && !config.skip_acl);
    assert_eq!(config.data_log_dir, Some("/data".into()));
}

#[tokio::test]
async fn values_arrive_where_they_belong() {
    let config = config(
        "tickTime=2000\nminSessionTimeout=100\nmaxSessionTimeout=-1\nmaxClientCnxns=0\n\
         maxCnxns=5\nclientPortAddress=127.0.0.1\njute.maxbuffer=0x1000\n\
         extendedTypesEnabled=TRUE\nskipACL=yes\nenforceQuota=true\n\
         4lw.commands.whitelist=ruok, stat ,\nreadonlymode.enabled=true\n\
         znode.container.checkIntervalMs=50\nnio.sessionlessCnxnTimeout=700\n\
         DigestAuthenticationProvider.superDigest=super:x\n\
         enforce.auth.enabled=true\nenforce.auth.schemes=digest\ndataLogDir=/log\n\
         clientPortListenBacklog=-1",
    )
    .await;
    assert_eq!(
        config.client_addr(),
        SocketAddr::from(([127, 0, 0, 1], 2181))
    );
    assert_eq!(config.min_session_timeout(), Duration::from_millis(100));
    assert_eq!(config.max_session_timeout(), Duration::from_millis(40_000));
    assert_eq!((config.max_client_cnxns, config.max_cnxns), (0, 5));
    assert_eq!(config.frame_limit(), 4096);
    assert!(config.extended_types_enabled && config.skip_acl && config.enforce_quota);
    let words = ["ruok", "stat", "isro", "srvr"].map(str::to_owned);
    assert!(
        words
            .iter()
            .all(|word| config.four_letter_words.allows(word))
    );
    assert!(!config.four_letter_words.allows("mntr"));
    assert_eq!(config.container_check_interval, Duration::from_millis(50));
    assert_eq!(config.sessionless_timeout, Duration::from_millis(700));
    assert_eq!(config.super_digest.as_deref(), Some("super:x"));
    assert_eq!(config.enforce_auth_schemes, ["digest"]);
    assert_eq!(config.data_log_dir, Some("/log".into()));
}

#[tokio::test]
async fn a_star_whitelists_every_word() {
    let config = config("4lw.commands.whitelist=srvr,*").await;
    assert_eq!(config.four_letter_words, FourLetterWords::All);
}

#[tokio::test]
async fn a_host_name_is_looked_up() {
    assert!(
        config("clientPortAddress=localhost")
            .await
            .client_addr()
            .ip()
            .is_loopback()
    );
    let unknown = parse("clientPortAddress=no.such.host.invalid").unwrap();
    let env = TokioEnv::new();
    let error = unknown.into_config(&*env as &dyn Env).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("clientPortAddress is no.such.host.invalid, ")
    );
}

#[test]
fn a_wrong_value_says_what_is_allowed() {
    let cases = [
        (
            "tickTime=0",
            "tickTime is 0, allowed: whole numbers from 1 to 2147483647",
        ),
        (
            "tickTime=2s",
            "tickTime is 2s, allowed: whole numbers from 1 to 2147483647",
        ),
        (
            "clientPort=65536",
            "clientPort is 65536, allowed: whole numbers from 0 to 65535",
        ),
        (
            "reconfigEnabled=yes",
            "reconfigEnabled is yes, allowed: true, false",
        ),
        ("skipACL=true", "skipACL is true, allowed: yes, no"),
        ("syncEnabled=1", "syncEnabled is 1, allowed: true, false"),
        (
            "enforce.auth.schemes=digest,foo",
            "enforce.auth.schemes is foo, allowed: digest, ip",
        ),
        (
            "DigestAuthenticationProvider.digestAlg=MD5",
            "DigestAuthenticationProvider.digestAlg is MD5, allowed: SHA1",
        ),
        (
            "tickTime=2000\nminSessionTimeout=50000",
            "minSessionTimeout is 50000 ms, allowed: at most maxSessionTimeout, 40000 ms",
        ),
        ("a=\\u00", "line 3: \\u takes four hexadecimal digits"),
    ];
    for (more, expected) in cases {
        assert_eq!(error(more), expected);
    }
}

#[test]
fn what_must_be_there_is_missed() {
    let error = |text| ZooCfg::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("dataDir=/data"),
        "clientPort is missing, it is needed for clients to connect"
    );
    assert_eq!(
        error("clientPort=1"),
        "dataDir is missing, it is needed for what the server stores"
    );
    assert!(parse("enforce.auth.enabled=true").is_err());
}

#[test]
fn an_ensemble_is_refused_clearly() {
    let cases = [
        "server.1=a:2888:3888\nserver.2=b:2888:3888",
        "server.1=a:2888:3888\nstandaloneEnabled=false",
        "standaloneEnabled=false",
        "dynamicConfigFile=/conf/dynamic",
        "group.1=1:2:3",
    ];
    for more in cases {
        let error = error(more);
        assert!(error.ends_with("only a standalone server is"), "{error}");
    }
    let several = error(cases[0]);
    assert!(several.starts_with("server.1, server.2: "), "{several}");
}

#[test]
fn one_server_line_is_a_standalone_server() {
    let cfg = parse("server.1=a:2888:3888\nstandaloneEnabled=true").unwrap();
    let about_it = |note: &&ConfigNote| note.to_string().starts_with("server.1 has no effect");
    assert!(cfg.notes().iter().any(|note| about_it(&note)));
}

#[test]
fn unknown_keys_are_listed_and_not_fatal() {
    let cfg = parse("fooBar=1\ninitLimit=10\nsyncLimit=5\ntickTme=1").unwrap();
    assert_eq!(
        cfg.unknown_keys().collect::<Vec<_>>(),
        ["fooBar", "tickTme"]
    );
}

#[test]
fn keys_without_effect_say_why() {
    let cfg = parse("admin.serverPort=8080\nssl.keyStore.location=x\nflushDelay=1");
    let notes = cfg
        .unwrap()
        .notes()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert_eq!(
        notes[0],
        "admin.serverPort has no effect: the admin server is not supported yet"
    );
    assert_eq!(
        notes[1],
        "ssl.keyStore.location has no effect: TLS is not supported yet"
    );
    assert!(notes[2].starts_with("flushDelay has no effect: "));
    assert_eq!(notes.len(), 3);
}

#[test]
fn keys_about_storage_are_those_of_apache() {
    let cfg = parse(
        "snapCount=1\nsnapSizeLimitInKb=-1\npreAllocSize=64\ntxnLogSizeLimitInKb=2\nforceSync=no\n\
         autopurge.snapRetainCount=1\nautopurge.purgeInterval=2\ndb.autocreate=false",
    );
    let config = cfg.unwrap().builder.build().unwrap();
    let storage = config.storage;
    assert_eq!(storage.snap_count, 2);
    assert_eq!(storage.snap_size_limit_bytes, None);
    assert_eq!(storage.preallocate_bytes, 64 << 10);
    assert_eq!(storage.log_size_limit_bytes, Some(2 << 10));
    assert_eq!(storage.snap_retain_count, 3);
    assert_eq!(storage.purge_interval, Some(Duration::from_secs(7200)));
    assert!(!storage.force_sync && !storage.autocreate);
    assert_eq!(config.data_log_dir, config.data_dir);
    assert!(parse("forceSync=true").is_err());
}

#[test]
fn values_that_do_not_fit_each_other_are_refused() {
    let refused = [
        ServerConfig::builder().tick_time(Duration::ZERO).build(),
        ServerConfig::builder()
            .max_session_timeout(Duration::from_secs(1))
            .build(),
        ServerConfig::builder()
            .min_session_timeout(Duration::MAX)
            .build(),
        ServerConfig::builder().frame_limit(1).build(),
        ServerConfig::builder().outbox_limits(2, 1).build(),
        ServerConfig::builder().global_outstanding_limit(0).build(),
        ServerConfig::builder()
            .container_check_interval(Duration::ZERO)
            .build(),
    ];
    for (index, result) in refused.into_iter().enumerate() {
        assert!(
            matches!(result, Err(ConfigError::Value { .. })),
            "case {index}: {result:?}"
        );
    }
    assert!(ServerConfig::embedded().build().is_ok());
}
