//! Replays the corpus of the fuzz target F4 (`fuzz/README.md`) with every test run.

use std::path::Path;

#[path = "../../fuzz/harness/client/mod.rs"]
mod client;
#[path = "../../fuzz/harness/replay.rs"]
mod replay;

#[test]
fn client_replays_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/client");
    replay::replay(&corpus, client::check);
}
