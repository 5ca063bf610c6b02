//! What a client's tasks run on.

use std::future::Future;
use std::io;

use clap::ValueEnum;

/// The tokio runtime of a run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Flavor {
    CurrentThread,
    MultiThread,
}

/// What runs one client in one round.
#[derive(Debug)]
pub enum Runtime {
    Tokio(tokio::runtime::Runtime),
    /// smol's global executor. The reactor runs on the thread that blocks, where
    /// clients built on async-io are at home.
    Smol,
}

impl Flavor {
    pub fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current-thread",
            Self::MultiThread => "multi-thread",
        }
    }

    pub fn build(self) -> io::Result<Runtime> {
        let mut builder = match self {
            Self::CurrentThread => tokio::runtime::Builder::new_current_thread(),
            Self::MultiThread => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.enable_all().build().map(Runtime::Tokio)
    }
}

impl Runtime {
    /// Runs `work` as a task, as an application would, and waits for it. A panic in
    /// it goes on here.
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self {
            Self::Tokio(runtime) => match runtime.block_on(runtime.spawn(work)) {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            Self::Smol => smol::block_on(work),
        }
    }
}
