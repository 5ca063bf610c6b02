//! Replays the corpus of the fuzz targets F1 and F2 (`fuzz/README.md`) with every
//! test run.

use std::path::Path;

#[macro_use]
mod every_record;
#[path = "../../fuzz/harness/frames.rs"]
mod frames;
#[path = "../../fuzz/harness/records.rs"]
mod records;
#[path = "../../fuzz/harness/replay.rs"]
mod replay;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    replay::replay(&corpus.join(target), check);
}

#[test]
fn frames_replays_its_corpus() {
    replay("frames", frames::check);
}

#[test]
fn records_replays_its_corpus() {
    replay("records", records::check);
}
