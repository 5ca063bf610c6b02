//! Replays the corpus of the fuzz targets F1 and F2 (`fuzz/README.md`) with every
//! test run, without a fuzzer.

use std::fs;
use std::path::Path;

#[macro_use]
mod every_record;
#[path = "../../fuzz/harness/frames.rs"]
mod frames;
#[path = "../../fuzz/harness/records.rs"]
mod records;

/// Runs every input of a target's corpus.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|input| input.unwrap().path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    for input in inputs {
        println!("{}", input.display()); // shown if the check panics
        check(&fs::read(&input).unwrap());
    }
}

#[test]
fn frames_replays_its_corpus() {
    replay("frames", frames::check);
}

#[test]
fn records_replays_its_corpus() {
    replay("records", records::check);
}
