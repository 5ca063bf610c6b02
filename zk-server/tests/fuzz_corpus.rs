//! Replays the corpus of the fuzz target F3 (`fuzz/README.md`) with every test run.

use std::path::Path;

#[path = "../../fuzz/harness/replay.rs"]
mod replay;
#[path = "../../fuzz/harness/server/mod.rs"]
mod server;

#[test]
fn server_replays_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/server");
    replay::replay(&corpus, server::check);
}
