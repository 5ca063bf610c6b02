//! Replays the corpora of the server's fuzz targets (`fuzz/README.md`) with every test
//! run.

use std::path::Path;

#[path = "../../fuzz/harness/log.rs"]
mod log;
#[path = "../../fuzz/harness/replay.rs"]
mod replay;
#[path = "../../fuzz/harness/server/mod.rs"]
mod server;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    replay::replay(&corpora.join(target), check);
}

#[test]
fn server_replays_its_corpus() {
    replay("server", server::check);
}

#[test]
fn log_replays_its_corpus() {
    replay("log", log::check);
}

#[test]
fn snapshot_replays_its_corpus() {
    replay("snapshot", zk_server::fuzzing::snapshot_bytes);
}

#[test]
fn wire_replays_its_corpus() {
    replay("wire", zk_server::fuzzing::wire_bytes);
}

#[test]
fn packets_replays_its_corpus() {
    replay("packets", zk_server::fuzzing::packet_bytes);
}
