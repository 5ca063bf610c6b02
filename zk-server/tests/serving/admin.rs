//! The admin server, compared with what Apache 3.9.5 answers in the same situation.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use zk_proto::CreateMode;
use zk_server::{ServerConfig, ServerConfigBuilder};

use crate::raw::{Raw, World};

fn config() -> ServerConfigBuilder {
    let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
    ServerConfig::embedded()
        .admin_server(any(8080))
        .metrics(any(7000))
}

/// What came back for a request.
struct Response {
    head: String,
    body: String,
}

impl World {
    async fn http_connection(&self, port: u16) -> Raw {
        let env = self.net.env("operator");
        let addr = env.resolve("server", port).await.unwrap()[0];
        Raw::connect(env, addr).await
    }

    async fn http(&self, port: u16, request: &str) -> Response {
        let mut connection = self.http_connection(port).await;
        let request = format!("{request} HTTP/1.1\r\nhost: server\r\n\r\n");
        connection.send(request.as_bytes()).await;
        let text = String::from_utf8(connection.rest().await).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Response {
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The answer to a command.
    async fn command(&self, command: &str) -> Value {
        let response = self.http(8080, &format!("GET /commands/{command}")).await;
        assert!(response.head.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(response.head.contains("\r\ncontent-type: application/json"));
        serde_json::from_str(&response.body).unwrap()
    }
}

/// A server with one session that owns the ephemeral `/a` and watches it.
async fn scene() -> (World, Raw, i64) {
    let world = World::with(config()).await;
    let mut raw = world.connect().await;
    let session = raw.handshake(10_000).await.session_id.0;
    raw.create("/a", b"x", CreateMode::Ephemeral).await;
    raw.watch_data("/a").await;
    (world, raw, session)
}

#[tokio::test(start_paused = true)]
async fn every_command_is_linked_and_answers_under_its_name() {
    let (world, _raw, _) = scene().await;
    let page = world.http(8080, "GET /commands").await.body;
    assert_eq!(page, world.http(8080, "GET /commands/").await.body);
    let mut lines = page.lines().filter(|line| *line != "<br/>");
    assert_eq!(
        lines.next(),
        Some("<a href=\"/commands/configuration\">configuration</a>")
    );
    for line in lines {
        let name = line.split(['>', '<']).nth(2).unwrap();
        let query = if name == "set_trace_mask" {
            "?traceMask=7"
        } else {
            ""
        };
        let answer = world.command(&format!("{name}{query}")).await;
        assert_eq!(answer["command"], *name);
        let error = match name {
            "leader" => json!("server is not initialized"),
            _ => Value::Null,
        };
        assert_eq!(answer["error"], error, "{name}");
    }
    for (alias, name) in [
        ("srvr", "server_stats"),
        ("stat", "stats"),
        ("mntr", "monitor"),
    ] {
        assert_eq!(world.command(alias).await["command"], *name);
    }
    assert_eq!(world.command("gtmk").await["tracemask"], 7);
    assert_eq!(
        world.command("stmk").await,
        json!({"error": "setTraceMask requires long traceMask argument", "command": "set_trace_mask"})
    );
    let unknown = json!({"command": "nosuch", "error": "Unknown command: nosuch"});
    assert_eq!(world.command("nosuch").await, unknown);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stats_are_those_of_four_letter_words() {
    let (world, _raw, session) = scene().await;
    let mut stats = world.command("stats").await;
    let address = stats["connections"][0]["remote_socket_address"].take();
    assert!(address.as_str().unwrap().contains(':'), "{address}");
    let version = stats["version"].take();
    assert!(version.as_str().unwrap().starts_with("3.9.5-"), "{version}");
    let sizes = json!({"last_buffer_size": 89, "min_buffer_size": 22, "max_buffer_size": 89});
    let mut expected = json!({
        "version": null,
        "read_only": false,
        "server_stats": {
            "packets_sent": 3,
            "packets_received": 3,
            "client_response_stats": sizes.clone(),
            "server_state": "standalone",
            "outstanding_requests": 0,
            "min_latency": 0,
            "avg_latency": 0.0,
            "max_latency": 0,
            "data_dir_size": 0,
            "log_dir_size": 0,
            "last_processed_zxid": 2,
            "num_alive_client_connections": 1,
            "uptime": stats["server_stats"]["uptime"],
            "provider_null": false,
        },
        "client_response": sizes,
        "node_count": 6,
        "connections": [{
            "remote_socket_address": null,
            "interest_ops": 1,
            "outstanding_requests": 0,
            "packets_received": 3,
            "packets_sent": 3,
        }],
        "secure_connections": [],
        "command": "stats",
        "error": null,
    });
    assert_eq!(stats, expected);

    let mut connection = world.command("cons").await["connections"][0].take();
    assert!(connection["last_response_time"].take().is_u64());
    assert!(connection["established"].take().is_i64());
    let brief = &mut expected["connections"][0];
    brief["remote_socket_address"] = address;
    for (key, value) in [
        ("session_id", json!(session)),
        ("last_operation", json!("GETD")),
        ("established", Value::Null),
        ("session_timeout", json!(10_000)),
        ("last_cxid", json!(2)),
        ("last_zxid", json!(2)),
        ("last_response_time", Value::Null),
        ("last_latency", json!(0)),
        ("min_latency", json!(0)),
        ("avg_latency", json!(0)),
        ("max_latency", json!(0)),
    ] {
        brief[key] = value;
    }
    assert_eq!(connection, *brief);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn resets_start_counting_again() {
    let (world, _raw, _) = scene().await;
    world.command("srst").await;
    world.command("crst").await;
    let stats = world.command("stats").await;
    assert_eq!(stats["server_stats"]["packets_received"], 0);
    assert_eq!(stats["client_response"]["last_buffer_size"], -1);
    let connection = &world.command("cons").await["connections"][0];
    assert_eq!(
        (&connection["last_operation"], &connection["last_cxid"]),
        (&json!("NA"), &json!(-1))
    );
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_ephemerals_and_watches_are_shown() {
    let (world, _raw, session) = scene().await;
    let dump = world.command("dump").await;
    let expiries = dump["expiry_time_to_session_ids"].as_object().unwrap();
    assert_eq!(expiries.values().collect::<Vec<_>>(), [&json!([session])]);
    let id = session.to_string();
    assert_eq!(
        dump["session_id_to_ephemeral_paths"],
        json!({id.clone(): ["/a"]})
    );
    let watches = world.command("watches").await;
    assert_eq!(watches["session_id_to_watched_paths"], json!({id: ["/a"]}));
    let watches = world.command("watches_by_path").await;
    assert_eq!(watches["path_to_session_ids"], json!({"/a": [session]}));
    assert_eq!(
        world.command("watch_summary").await,
        json!({
            "num_connections": 1, "num_paths": 1, "num_total_watches": 1,
            "command": "watch_summary", "error": null,
        })
    );
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_configuration_and_the_size_of_what_is_stored_are_shown() {
    let world = World::with(config().data_dir("/data").preallocate(4096)).await;
    let mut raw = world.session().await;
    raw.create("/a", b"x", CreateMode::Persistent).await;
    assert_eq!(
        world.command("conf").await,
        json!({
            "client_port": 2181, "data_dir": "/data/version-2", "data_log_dir": "/data/version-2",
            "tick_time": 100, "max_client_cnxns": 0, "min_session_timeout": 200,
            "max_session_timeout": 60_000, "server_id": 0, "client_port_listen_backlog": -1,
            "command": "configuration", "error": null,
        })
    );
    let dirs = world.command("dirs").await;
    assert!(dirs["datadir_size"].as_u64().unwrap() > 4096, "{dirs}");
    assert_eq!(dirs["datadir_size"], dirs["logdir_size"]);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn metrics_are_those_of_mntr() {
    let (world, _raw, _) = scene().await;
    let mntr = world.word("mntr").await;
    let keys = mntr.lines().map(|line| line.split_once('\t').unwrap().0);
    let keys: Vec<_> = keys.map(|key| key.strip_prefix("zk_").unwrap()).collect();
    let monitor = world.command("monitor").await;
    assert_eq!(monitor.as_object().unwrap().len(), keys.len() + 2);
    assert!(keys.iter().all(|key| monitor.get(key).is_some()));
    assert_eq!(monitor["znode_count"], 6);
    assert_eq!(monitor["avg_latency"], json!(0.0));

    let response = world.http(7000, "GET /metrics").await;
    let content_type = "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(response.head.contains(content_type), "{}", response.head);
    let text = response.body;
    for line in [
        "# HELP znode_count znode_count\n# TYPE znode_count gauge\nznode_count 6\n",
        "# TYPE connection_request_count counter\nconnection_request_count 1\n",
        "# TYPE avg_latency gauge\navg_latency 0.0\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("version") && !text.contains("server_state"));
    assert_eq!(text.matches("# TYPE").count(), keys.len() - 2);
    let there_too = world.http(8080, "GET /metrics").await.body;
    assert_eq!(there_too.matches("# TYPE").count(), keys.len() - 2);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_refused() {
    let world = World::with(config()).await;
    for (port, request, status) in [
        (8080, "GET /", "404 Not Found"),
        (8080, "GET /commandsx", "404 Not Found"),
        (7000, "GET /commands/stat", "404 Not Found"),
        (8080, "POST /commands/stat", "405 Method Not Allowed"),
        (8080, "GET", "400 Bad Request"),
    ] {
        let head = world.http(port, request).await.head;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
    let long = format!("GET /commands/stat?{}", "x".repeat(20_000));
    let head = world.http(8080, &long).await.head;
    assert!(head.starts_with("HTTP/1.1 4"), "{head}");
    let head = world.http(8080, "HEAD /commands/stat").await;
    assert!(head.head.starts_with("HTTP/1.1 200") && head.body.is_empty());
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn connections_are_bounded_in_number_and_time() {
    let world = World::with(config()).await;
    let start = world.net.env("operator").now();
    let mut silent = Vec::new();
    for _ in 0..32 {
        let mut connection = world.http_connection(8080).await;
        connection.send(b"GET /commands").await;
        silent.push(connection);
    }
    world.pass(Duration::from_millis(100)).await;
    let mut one_more = world.http_connection(7000).await;
    assert!(one_more.is_closed().await);
    for mut connection in silent {
        assert!(connection.is_closed().await);
    }
    let took = world.net.env("operator").now().since(start);
    assert!(
        took >= Duration::from_secs(30) && took < Duration::from_secs(32),
        "{took:?}"
    );
    assert_eq!(world.command("ruok").await["error"], Value::Null);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_stops_and_starts_with_the_server() {
    let (world, _raw, _) = scene().await;
    let addrs = (world.server.admin_addr(), world.server.metrics_addr());
    assert_eq!(addrs.0.map(|addr| addr.port()), Some(8080));
    let mut open = world.http_connection(8080).await;
    world.server.restart().await.unwrap();
    assert!(open.is_closed().await);
    assert_eq!(
        (world.server.admin_addr(), world.server.metrics_addr()),
        addrs
    );
    assert_eq!(world.command("monitor").await["znode_count"], 6);
    world.server.stop().await;
    let env = world.net.env("operator");
    let addr = env.resolve("server", 8080).await.unwrap()[0];
    assert!(env.connect(addr).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_server_serves_without_commands_if_their_port_is_taken() {
    let addr = SocketAddr::from(([0, 0, 0, 0], 2181));
    let world = World::with(ServerConfig::embedded().admin_server(addr)).await;
    assert_eq!(world.server.admin_addr(), None);
    assert_eq!(world.word("ruok").await, "imok");
    world.server.stop().await;
}
