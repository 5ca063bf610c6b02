//! Runs a target's corpus without a fuzzer, for ordinary tests.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Runs every input in `corpus`.
pub(crate) fn replay(corpus: &Path, check: impl Fn(&[u8])) {
    let inputs = inputs(corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    for (path, input) in inputs {
        println!("{}", path.display()); // a test that panics shows it
        check(&input);
    }
}

fn inputs(corpus: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(corpus)? {
        let path = entry?.path();
        inputs.push((path.clone(), fs::read(&path)?));
    }
    inputs.sort();
    Ok(inputs)
}
