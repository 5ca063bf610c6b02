//! What the command line may say.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::client::Contestant;
use crate::round::Phases;
use crate::runtime::Flavor;
use crate::workload::Workload;

/// zk-client beside other ZooKeeper clients for Rust.
#[derive(Debug, Parser)]
pub struct Args {
    /// Server program of zk-benches to measure against; may be repeated.
    #[arg(long = "backend", value_name = "PROGRAM")]
    pub backends: Vec<PathBuf>,
    /// Address of a server that already runs, to measure against; may be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Vec<String>,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Milliseconds that each client is measured in each round.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    pub measure_ms: u64,
    /// Milliseconds of the same work before that, not measured.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pub warm_up_ms: u64,
    /// The tokio runtime that clients run on.
    #[arg(long, value_enum, default_value_t = Flavor::CurrentThread)]
    pub runtime: Flavor,
    /// Only this client; may be repeated.
    #[arg(long = "client", value_enum)]
    only_clients: Vec<Contestant>,
    /// Only this workload; may be repeated.
    #[arg(long = "workload", value_enum)]
    only_workloads: Vec<Workload>,
}

impl Args {
    pub fn clients(&self) -> &[Contestant] {
        some_or_all(&self.only_clients)
    }

    pub fn workloads(&self) -> &[Workload] {
        some_or_all(&self.only_workloads)
    }

    pub fn phases(&self) -> Phases {
        Phases {
            warm_up: Duration::from_millis(self.warm_up_ms),
            measured: Duration::from_millis(self.measure_ms),
        }
    }
}

fn some_or_all<T: clap::ValueEnum>(chosen: &[T]) -> &[T] {
    if chosen.is_empty() {
        T::value_variants()
    } else {
        chosen
    }
}
