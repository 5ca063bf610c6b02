//! The words, compared with what Apache 3.9.5 answers in the same situation.

use std::collections::BTreeMap;

use zk_proto::{CreateMode, SessionId};
use zk_server::{FourLetterWords, ServerConfig};

use crate::raw::{Raw, World};

/// A server with one session that owns the ephemeral `/a` and watches it.
async fn scene() -> (World, Raw, SessionId) {
    let world = World::start().await;
    let mut raw = world.connect().await;
    let session = raw.handshake(10_000).await.session_id;
    raw.create("/a", b"x", CreateMode::Ephemeral).await;
    raw.watch_data("/a").await;
    assert!(!raw.exists("/missing").await);
    (world, raw, session)
}

/// The client's address as the server shows it, and the one of who asks.
fn peers(stat: &str) -> (String, String) {
    let mut lines = stat.lines().filter(|line| line.starts_with(" /"));
    let mut peer = || lines.next().unwrap().split('[').next().unwrap().to_owned();
    (peer(), peer())
}

#[tokio::test(start_paused = true)]
async fn short_answers_have_no_line_end() {
    let (world, _raw, _) = scene().await;
    assert_eq!(world.word("ruok").await, "imok");
    assert_eq!(world.word("isro").await, "rw");
    assert_eq!(world.word("gtmk").await, "306");
    assert_eq!(world.bytes(b"stmk\0\0\0\0\0\0\x01\0").await, "256");
    assert_eq!(world.word("gtmk").await, "256");
    assert_eq!(world.word("hash").await, "");
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn srvr_counts_what_has_happened() {
    let (world, _raw, _) = scene().await;
    let text = world.word("srvr").await;
    let mut lines = text.lines();
    let version = lines.next().unwrap();
    assert!(
        version.starts_with("Zookeeper version: 3.9.5-"),
        "{version}"
    );
    assert!(version.contains(", built on "), "{version}");
    let rest: Vec<_> = lines.collect();
    let expected = [
        "Latency min/avg/max: 0/0.0/0",
        "Received: 5",
        "Sent: 4",
        "Connections: 2",
        "Outstanding: 0",
        "Zxid: 0x2",
        "Mode: standalone",
        "Node count: 6",
    ];
    assert_eq!(rest, expected);
    assert!(text.ends_with('\n'));
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stat_lists_connections_in_brief() {
    let (world, _raw, _) = scene().await;
    let text = world.word("stat").await;
    let (client, asker) = peers(&text);
    let clients = format!(
        "Clients:\n{client}[1](queued=0,recved=4,sent=4)\n{asker}[0](queued=0,recved=1,sent=0)\n\n\
         Latency min/avg/max: "
    );
    assert!(text.contains(&clients), "{text}");
    assert!(
        text.ends_with("Mode: standalone\nNode count: 6\n"),
        "{text}"
    );
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cons_lists_connections_in_full_and_crst_resets_them() {
    let (world, _raw, session) = scene().await;
    let text = world.word("cons").await;
    let (client, asker) = peers(&text);
    let start = format!("{client}[1](queued=0,recved=4,sent=4,sid={session},lop=EXIS,est=");
    assert!(text.starts_with(&start), "{text}");
    let middle = ",to=10000,lcxid=0x3,lzxid=0x2,lresp=";
    assert!(text.contains(middle), "{text}");
    let end =
        format!(",llat=0,minlat=0,avglat=0,maxlat=0)\n{asker}[0](queued=0,recved=1,sent=0)\n\n");
    assert!(text.ends_with(&end), "{text}");

    assert_eq!(world.word("crst").await, "Connection stats reset.\n");
    let text = world.word("cons").await;
    let start = format!("{client}[1](queued=0,recved=0,sent=0,sid={session},lop=NA,est=");
    assert!(text.starts_with(&start), "{text}");
    let middle = ",to=10000,lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)\n";
    assert!(text.contains(middle), "{text}");
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn srst_starts_counting_again() {
    let (world, _raw, _) = scene().await;
    assert_eq!(world.word("srst").await, "Server stats reset.\n");
    let text = world.word("srvr").await;
    let counters = "Latency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 1\nConnections: ";
    assert!(text.contains(counters), "{text}");
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn conf_shows_the_configuration() {
    let (world, _raw, _) = scene().await;
    let expected = "clientPort=2181\nsecureClientPort=-1\ndataDir=<NA>\ndataDirSize=0\n\
                    dataLogDir=<NA>\ndataLogSize=0\ntickTime=100\nmaxClientCnxns=0\n\
                    minSessionTimeout=200\nmaxSessionTimeout=60000\n\
                    clientPortListenBacklog=-1\nserverId=0\n";
    assert_eq!(world.word("conf").await, expected);
    assert_eq!(
        world.word("dirs").await,
        "datadir_size: 0\nlogdir_size: 0\n"
    );
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn dump_shows_sessions_ephemerals_and_connections() {
    let (world, _raw, session) = scene().await;
    let text = world.word("dump").await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[..2],
        ["SessionTracker dump:", "Session Sets (1)/(1):"]
    );
    assert!(is_expiry(lines[2], 1), "{text}");
    assert_eq!(lines[3], format!("\t{session}"));
    let ephemerals = [
        "ephemeral nodes dump:".to_owned(),
        "Sessions with Ephemerals (1):".to_owned(),
        format!("{session}:"),
        "\t/a".to_owned(),
        "Connections dump:".to_owned(),
    ];
    assert_eq!(lines[4..9], ephemerals);
    assert!(
        lines[9].starts_with("Connections Sets (") && lines[9].ends_with(")/(2):"),
        "{text}"
    );
    let cnxns: Vec<_> = lines[10..]
        .iter()
        .filter(|line| line.starts_with('\t'))
        .collect();
    assert_eq!(cnxns.len(), 2);
    let mine = format!(" sessionId: {session}");
    assert!(
        cnxns.iter().all(|line| line.starts_with("\tip: /")),
        "{text}"
    );
    assert!(cnxns.iter().any(|line| line.ends_with(&mine)), "{text}");
    assert!(
        cnxns.iter().any(|line| line.ends_with(" sessionId: 0x0")),
        "{text}"
    );
    world.server.stop().await;
}

/// `<n> expire at Sat Nov 21 03:48:47 UTC 2026:`
fn is_expiry(line: &str, count: usize) -> bool {
    let words: Vec<_> = line.split(' ').collect();
    let [n, "expire", "at", _, _, _, time, "UTC", year] = words[..] else {
        return false;
    };
    n == count.to_string() && time.len() == 8 && year.len() == 5 && year.ends_with(':')
}

#[tokio::test(start_paused = true)]
async fn watches_are_shown_in_sum_by_session_and_by_path() {
    let (world, _raw, session) = scene().await;
    let summary = "1 connections watching 1 paths\nTotal watches:1\n";
    assert_eq!(world.word("wchs").await, summary);
    assert_eq!(world.word("wchc").await, format!("{session}\n\t/a\n\n"));
    assert_eq!(world.word("wchp").await, format!("/a\n\t{session}\n\n"));
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn mntr_has_a_number_behind_each_key() {
    let (world, _raw, _) = scene().await;
    let text = world.word("mntr").await;
    let pairs = text.lines().map(|line| line.split_once('\t').unwrap());
    let values: BTreeMap<_, _> = pairs.collect();
    assert!(values["zk_version"].starts_with("3.9.5-"));
    let expected = [
        ("zk_server_state", "standalone"),
        ("zk_avg_latency", "0.0"),
        ("zk_packets_received", "5"),
        ("zk_packets_sent", "4"),
        ("zk_num_alive_connections", "2"),
        ("zk_outstanding_requests", "0"),
        ("zk_znode_count", "6"),
        ("zk_watch_count", "1"),
        ("zk_ephemerals_count", "1"),
        ("zk_approximate_data_size", "47"),
        ("zk_global_sessions", "1"),
        ("zk_local_sessions", "0"),
        ("zk_bytes_received_count", "151"),
        ("zk_last_client_response_size", "16"),
        ("zk_max_client_response_size", "89"),
        ("zk_min_client_response_size", "16"),
        ("zk_connection_request_count", "1"),
        ("zk_connection_rejected", "0"),
    ];
    for (key, value) in expected {
        assert_eq!(values[key], value, "{key}");
    }
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn envi_names_the_environment() {
    let (world, _raw, _) = scene().await;
    let text = world.word("envi").await;
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("Environment:"));
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("zookeeper.version=3.9.5-")
    );
    assert!(lines.all(|line| line.contains('=')));
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_word_outside_the_whitelist_is_refused_in_so_many_words() {
    let only_ruok = FourLetterWords::Only(["ruok".to_owned()].into());
    let world = World::with(ServerConfig::embedded().four_letter_words(only_ruok)).await;
    assert_eq!(world.word("ruok").await, "imok");
    let refused = "mntr is not executed because it is not in the whitelist.\n";
    assert_eq!(world.word("mntr").await, refused);
    let refused = "telnet close is not executed because it is not in the whitelist.\n";
    assert_eq!(world.bytes(&[0xff, 0xf4, 0xff, 0xfd]).await, refused);
    assert!(world.word("srvr").await.starts_with("Zookeeper version: "));
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_word_does_not_matter() {
    let (world, _raw, _) = scene().await;
    assert_eq!(world.word("ruok\n").await, "imok");
    assert_eq!(world.word("ruokruok").await, "imok");
    let mut raw = world.connect().await;
    raw.send(b"ru").await;
    raw.send(b"ok").await;
    assert_eq!(raw.rest().await, b"imok");
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_word_after_the_handshake_is_a_length() {
    let (world, mut raw, _) = scene().await;
    raw.send(b"ruok").await;
    assert!(raw.is_closed().await);
    world.server.stop().await;
}
