//! What the disk itself takes, without which figures of durable writes say nothing.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at clocks")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::table::median;

const TIMES: u32 = 200;
/// About what one write of 100 bytes is in a log.
const RECORD: [u8; 200] = [b'x'; 200];

/// Median microseconds of `fdatasync` behind one small record, in a file that was extended
/// before, as logs are.
pub(crate) fn micros(dir: &Path) -> Result<f64> {
    let path = dir.join(format!("fsync-{}", std::process::id()));
    let file = File::create_new(&path)?;
    let samples = sample(file);
    fs::remove_file(&path)?;
    median(&samples?).ok_or_else(|| "no samples".into())
}

fn sample(mut file: File) -> Result<Vec<f64>> {
    file.set_len(64 << 20)?;
    file.sync_all()?;
    let mut samples = Vec::new();
    for _ in 0..TIMES {
        file.write_all(&RECORD)?;
        let begin = Instant::now();
        file.sync_data()?;
        samples.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    Ok(samples)
}
