//! One client doing one workload once, measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_benches::{Backend, process_cpu};

use crate::Result;
use crate::client::Session;
use crate::runtime::Runtime;
use crate::workload::Workload;

/// How long to work.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    pub warm_up: Duration,
    pub measured: Duration,
}

/// The server of a run.
#[derive(Debug)]
pub enum Target {
    /// A process of our own, which tells its CPU time.
    Process(Backend),
    /// Started by someone else.
    Elsewhere(String),
}

impl Target {
    pub fn connect_string(&self) -> &str {
        match self {
            Self::Process(backend) => backend.connect_string(),
            Self::Elsewhere(address) => address,
        }
    }

    fn cpu(&mut self) -> Result<Option<Duration>> {
        match self {
            Self::Process(backend) => Ok(backend.cpu()?),
            Self::Elsewhere(_) => Ok(None),
        }
    }
}

/// What one round cost.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub gets: u64,
    pub wall: Duration,
    /// CPU time of this process: the client, its runtime and the workload's loop.
    pub cpu: Option<Duration>,
    pub server_cpu: Option<Duration>,
}

/// Connects, warms up, measures and closes the session. Every round has a session
/// and a runtime of its own, so that no client's idle tasks run in another's time.
pub fn measure<S: Session>(
    runtime: &Runtime,
    workload: Workload,
    phases: Phases,
    target: &mut Target,
) -> Result<Sample> {
    let address = target.connect_string().to_owned();
    let session = Arc::new(runtime.run(async move { S::connect(&address).await })?);
    let work = |span| {
        let session = Arc::clone(&session);
        runtime.run(async move { session.work(workload, span).await })
    };
    work(phases.warm_up)?;

    let server_cpu = target.cpu()?;
    let (start, cpu) = (Instant::now(), process_cpu());
    let gets = work(phases.measured)?;
    let sample = Sample {
        gets,
        wall: start.elapsed(),
        cpu: since(cpu, process_cpu()),
        server_cpu: since(server_cpu, target.cpu()?),
    };
    let session = Arc::into_inner(session).ok_or("a task still has the session")?;
    runtime.run(session.close())?;
    Ok(sample)
}

fn since(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    Some(after?.saturating_sub(before?))
}
