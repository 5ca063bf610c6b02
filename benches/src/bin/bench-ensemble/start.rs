//! From nothing to an ensemble that serves, within this process.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at clocks")]

use std::time::Instant;

use tokio::runtime::Runtime;
use zk_server::{Ensemble, EnsembleBuilder, Transport};

use crate::Result;
use crate::args::Start;
use crate::table::{Better, Table};

/// What an ensemble may stand on.
const KINDS: [&str; 2] = ["disk, TCP", "memory"];

/// Interleaved, each time in a runtime of its own, as tests have it.
pub(crate) fn run(start: &Start) -> Result<()> {
    let title = format!("start of {} servers in one process, ms", start.servers);
    let mut table = Table::new(title, Better::Less, 1, &KINDS).incomparable();
    for _ in 0..start.rounds {
        for (row, kind) in KINDS.into_iter().enumerate() {
            let builder = Ensemble::builder().voters(start.servers);
            let builder = match kind {
                "memory" => builder,
                _ => builder.temporary_dir().transport(Transport::Tcp),
            };
            let runtime = Runtime::new()?;
            table.add(row, runtime.block_on(millis(builder))?, &[]);
        }
    }
    println!("{}\n{table}\n", table.head());
    Ok(())
}

/// Until one leads and all others follow it, and clients are served everywhere.
async fn millis(builder: EnsembleBuilder) -> Result<f64> {
    let begin = Instant::now();
    let ensemble = builder.start().await?;
    ensemble.wait_until_serving().await?;
    let took = begin.elapsed();
    ensemble.stop_all().await;
    Ok(took.as_secs_f64() * 1e3)
}
