//! Values and files, good and bad.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use zk_env::{Env, OpenMode, TokioEnv};

use super::{ConfigNote, EnsembleConfig, FourLetterWords, ServerConfig, ZooCfg};
use crate::error::ConfigError;

/// What every file needs, and `more`.
fn parse(more: &str) -> Result<ZooCfg, ConfigError> {
    ZooCfg::parse(&format!("clientPort=2181\ndataDir=/data\n{more}"))
}

async fn config(more: &str) -> ServerConfig {
    let env = TokioEnv::new();
    parse(more).unwrap().load(&*env).await.unwrap().0
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
    let error = unknown.load(&*env as &dyn Env).await.unwrap_err();
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
            "enforce.auth.schemes is foo, allowed: digest, ip, sasl, x509",
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

#[cfg(all(feature = "admin", feature = "tls"))]
#[test]
fn keys_without_effect_say_why() {
    let cfg = parse("admin.forceHttps=true\nssl.ciphersuites=x\nflushDelay=1");
    let notes = cfg
        .unwrap()
        .notes()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert_eq!(
        notes[0],
        "admin.forceHttps has no effect: the admin server speaks plain HTTP and has no such setting"
    );
    assert_eq!(
        notes[1],
        "ssl.ciphersuites has no effect: this part of TLS is not supported yet"
    );
    assert!(notes[2].starts_with("flushDelay has no effect: "));
    assert_eq!(notes.len(), 3);
}

#[cfg(feature = "admin")]
#[tokio::test]
async fn the_admin_server_is_apaches_by_default() {
    let admin = config("admin.forceHttps=false").await.admin;
    assert_eq!(admin.server_addr, Some("[::]:8080".parse().unwrap()));
    assert_eq!(
        (
            admin.command_url.as_str(),
            admin.idle_timeout,
            admin.metrics_addr
        ),
        ("/commands", Duration::from_secs(30), None)
    );
    assert_eq!(
        ServerConfig::embedded().build().unwrap().admin.server_addr,
        None
    );

    let text = "admin.serverAddress=127.0.0.1\nadmin.serverPort=0\nadmin.commandURL=/zk/\n\
                admin.idleTimeout=5\nmetricsProvider.httpPort=7070\nmetricsProvider.className=\
                org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
    assert!(parse(text).unwrap().notes().is_empty());
    let admin = config(text).await.admin;
    assert_eq!(admin.server_addr, Some("127.0.0.1:0".parse().unwrap()));
    assert_eq!(admin.metrics_addr, Some("[::]:7070".parse().unwrap()));
    assert_eq!(
        (admin.command_url.as_str(), admin.idle_timeout),
        ("/zk", Duration::from_millis(5))
    );
    let off = config("admin.enableServer=false\nmetricsProvider.httpPort=1")
        .await
        .admin;
    assert_eq!((off.server_addr, off.metrics_addr), (None, None));
    assert!(error("admin.commandURL=zk").ends_with("a path that begins with /"));
    assert!(error("admin.enableServer=1").ends_with("true, false"));
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

const THREE: &str = "initLimit=10\nsyncLimit=5\nserver.1=a:2888:3888\nserver.2=b:2888:3888\n\
                     server.3=127.0.0.1:2888:3888:observer;127.0.0.1:2183";

/// A simulated host's files, and a `zoo.cfg` beside them.
async fn load(
    files: &[(&str, &str)],
    cfg: &str,
) -> Result<(ServerConfig, Option<EnsembleConfig>), ConfigError> {
    let sim = zk_sim::Sim::new(1);
    let env = sim.host("server").env();
    let disk = env.disk();
    for (path, text) in files {
        let path = Path::new(path);
        disk.create_dir_all(path.parent().unwrap()).await.unwrap();
        let file = disk.open(path, OpenMode::CreateNew).await.unwrap();
        file.append((*text).to_owned().into()).await.unwrap();
    }
    ZooCfg::parse(cfg)?.load(&*env).await
}

#[tokio::test]
async fn members_and_myid_make_an_ensemble() {
    let cfg = format!("dataDir=/data\nclientPort=2181\n{THREE}");
    let (config, ensemble) = load(&[("/data/myid", "1\n")], &cfg).await.unwrap();
    assert_eq!(config.client_addr(), "[::]:2181".parse().unwrap());
    assert_eq!(config.data_dir, Some("/data".into()));
    assert_eq!(ensemble.unwrap().id(), 1);
    let cfg = format!("dataDir=/data\n{THREE}");
    let (config, ensemble) = load(&[("/data/myid", "3")], &cfg).await.unwrap();
    assert_eq!(config.client_addr(), "127.0.0.1:2183".parse().unwrap());
    let ensemble = ensemble.unwrap();
    assert_eq!(
        (ensemble.client_host(), ensemble.client_port()),
        ("127.0.0.1", 2183)
    );
}

#[tokio::test]
async fn a_dynamic_file_is_read_where_the_static_one_says() {
    let cfg = "dataDir=/data\ninitLimit=10\nsyncLimit=5\ndynamicConfigFile=/conf/zoo.dynamic.a0";
    let dynamic = "server.1=127.0.0.1:1:2;127.0.0.1:2181\nserver.2=b:1:2;2181";
    let files = [("/data/myid", "1"), ("/conf/zoo.dynamic.a0", dynamic)];
    let (config, ensemble) = load(&files, cfg).await.unwrap();
    assert_eq!(config.client_addr(), "127.0.0.1:2181".parse().unwrap());
    assert_eq!(ensemble.unwrap().verifier.version(), 0xa0);

    let single = "server.1=127.0.0.1:1:2;127.0.0.1:2181";
    let files = [("/conf/zoo.dynamic.a0", single)];
    let cfg = format!("{cfg}\nclientPort=2182");
    let (config, ensemble) = load(&files, &cfg).await.unwrap();
    assert!(ensemble.is_none(), "one server is standalone");
    assert_eq!(config.client_addr().port(), 2182);
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_said_with_their_names() {
    let cfg = format!("dataDir=/data\nclientPort=2181\n{THREE}");
    let dynamic = "dataDir=/data\ninitLimit=1\nsyncLimit=1\ndynamicConfigFile=/conf/dynamic";
    let long = "#".repeat((1 << 20) + 1);
    let cases = [
        (
            &cfg[..],
            vec![],
            "/data/myid is missing, it is needed for a member of an ensemble: write the N of this \
             server's server.N into it",
        ),
        (
            &cfg,
            vec![("/data/myid", "7")],
            "myid is 7, allowed: the N of a server.N",
        ),
        (
            dynamic,
            vec![],
            "/conf/dynamic is missing, it is needed for dynamicConfigFile, which names it",
        ),
        (
            dynamic,
            vec![("/conf/dynamic", "clientPort=1")],
            "/conf/dynamic: clientPort is 1, allowed: server, group and weight alone in a dynamic \
             file",
        ),
        (
            dynamic,
            vec![("/conf/dynamic", &long)],
            "/conf/dynamic cannot be read: it is longer than 1048576 bytes",
        ),
    ];
    for (cfg, files, expected) in cases {
        assert_eq!(load(&files, cfg).await.unwrap_err().to_string(), expected);
    }
}

#[test]
fn keys_of_an_ensemble_are_known() {
    let keys = "connectToLearnerMasterLimit=1\nelectionPortBindRetry=1\nfastleader.minNotificationInterval=9\n\
                observer.syncEnabled=true\nquorumCnxnTimeoutMs=-1\ncnxTimeout=1\nleaderServes=yes\n\
                group.1=1:2\nweight.1=1\n";
    let silent = "learner.asyncSending=true\nleader.nodelay=true\nsnapshotSizeFactor=0.33\n\
                  quorum.cnxn.threads.size=20\nssl.quorum.keyStore.location=x\n";
    let cfg = parse(&format!("{keys}{silent}{THREE}")).unwrap();
    assert_eq!(cfg.unknown_keys().count(), 0);
    assert_eq!(cfg.notes().len(), 5, "{:?}", cfg.notes());
    let unheeded = format!("{THREE}\nobserverMasterPort=2191\nsyncEnabled=false\n");
    let unheeded = parse(&unheeded).unwrap();
    let notes: Vec<_> = unheeded.notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("syncEnabled"), "{notes:?}");
    assert!(
        parse(silent).unwrap().notes().is_empty(),
        "a standalone server's"
    );
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_has_apaches_keys() {
    let cfg = parse(
        "secureClientPort=2281\nsecureClientPortAddress=127.0.0.1\nclient.portUnification=true\n\
         ssl.keyStore.location=/k.pem\nssl.trustStore.location=/t\nssl.trustStore.type=PEM\n\
         ssl.clientAuth=want\nssl.protocol=TLS\nssl.enabledProtocols=TLSv1.3,TLSv1.1\nssl.crl=true\nclient.certReload=true\n\
         ssl.handshakeDetectionTimeoutMillis=1000\n\
         X509AuthenticationProvider.superUser=CN=root\n",
    );
    let cfg = cfg.unwrap();
    assert_eq!(cfg.notes(), []);
    let (config, _) = cfg.load(&*TokioEnv::new()).await.unwrap();
    let addr = config.secure_client_addr.map(|addr| addr.to_string());
    assert_eq!(addr.as_deref(), Some("127.0.0.1:2281"));
    assert_eq!(config.x509_super_user.as_deref(), Some("CN=root"));
    assert!(config.has_port_unification);
    let tls = config.tls.unwrap();
    assert_eq!(tls.client_auth, super::ClientAuth::Want);
    assert_eq!(tls.trust_store.as_deref(), Some(Path::new("/t")));
    assert_eq!((tls.protocols.tls12, tls.protocols.tls13), (false, true));
    assert_eq!(tls.handshake_timeout, Duration::from_secs(1));
    assert!(tls.crl && tls.reload);
}

#[cfg(feature = "tls")]
#[test]
fn stores_that_are_not_read_come_with_the_way_out() {
    let refused = |store: &str| {
        let text = format!("secureClientPort=2281\nssl.keyStore.location={store}");
        parse(&text).unwrap_err().to_string()
    };
    let jks = refused("/k.jks");
    assert!(
        jks.contains("keytool -importkeystore -srckeystore /k.jks"),
        "{jks}"
    );
    assert!(
        jks.contains("openssl pkcs12 -in /k.p12 -nodes -out /k.pem"),
        "{jks}"
    );
    assert!(refused("/k.p12").contains("openssl pkcs12 -in /k.p12"));
    assert!(refused("/k").contains("PEM as its type"));
    let none = parse("secureClientPort=2281").unwrap_err().to_string();
    assert!(
        none.starts_with("ssl.keyStore.location is missing"),
        "{none}"
    );
    let enforced = parse("enforce.auth.enabled=true\nenforce.auth.schemes=x509").unwrap_err();
    assert!(
        enforced
            .to_string()
            .starts_with("secureClientPort is missing")
    );
    let old = parse("ssl.protocol=TLSv1.1").unwrap_err().to_string();
    assert!(old.contains("TLSv1.3, TLSv1.2"), "{old}");
}
