//! Replays the corpus of the fuzz target `session` (`fuzz/README.md`) with every test
//! run.

use std::path::Path;

#[path = "../../fuzz/harness/replay.rs"]
mod replay;

#[test]
fn session_replays_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/session");
    replay::replay(&corpus, zk_client::fuzzing::client_bytes);
}
