//! The clients under comparison, each behind the same two traits.

mod tcp;
mod zk_client;
mod zookeeper_async;
mod zookeeper_client;

use std::future::Future;
use std::time::Duration;

use clap::ValueEnum;

use crate::Result;
use crate::round::{Phases, Sample, Target, measure};
use crate::runtime::{Flavor, Runtime};
use crate::workload::Workload;

pub use self::zk_client::set_up;

/// A connected client that can do every workload.
pub trait Session: Sized + Send + Sync + 'static {
    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send;
    /// See [`Workload::run`].
    fn work(&self, workload: Workload, span: Duration) -> impl Future<Output = Result<u64>> + Send;
    fn close(self) -> impl Future<Output = Result<()>> + Send;
}

/// A session whose gets the shared workload code makes one by one.
pub trait Gets: Sized + Send + Sync + 'static {
    /// Whether a get takes its place in line when it is called, or only when it is
    /// first polled.
    const SENDS_WHEN_CALLED: bool;
    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send;
    /// Returns how many bytes of data came back.
    fn get(&self) -> impl Future<Output = Result<usize>> + Send;
    fn close(self) -> impl Future<Output = Result<()>> + Send;
}

impl<C: Gets> Session for C {
    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send {
        C::connect(address)
    }

    fn work(&self, workload: Workload, span: Duration) -> impl Future<Output = Result<u64>> + Send {
        workload.run(self, span)
    }

    fn close(self) -> impl Future<Output = Result<()>> + Send {
        C::close(self)
    }
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contestant {
    /// No client at all: the same bytes over a tokio socket, by one task.
    Tcp,
    /// Ours.
    ZkClient,
    /// zookeeper-client on the tokio runtime.
    ZookeeperClient,
    /// zookeeper-client on smol, whose reactor it uses in any case.
    ZookeeperClientSmol,
    /// zookeeper-async, which needs tokio.
    ZookeeperAsync,
}

impl Contestant {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tokio TcpStream (floor)",
            Self::ZkClient => "zk-client",
            Self::ZookeeperClient => "zookeeper-client 0.11.2",
            Self::ZookeeperClientSmol => "  the same, on smol",
            Self::ZookeeperAsync => "zookeeper-async 5.0.0",
        }
    }

    pub fn is_peer(self) -> bool {
        match self {
            Self::Tcp | Self::ZkClient => false,
            Self::ZookeeperClient | Self::ZookeeperClientSmol | Self::ZookeeperAsync => true,
        }
    }

    /// Measures this client once.
    pub fn measure(
        self,
        flavor: Flavor,
        workload: Workload,
        phases: Phases,
        target: &mut Target,
    ) -> Result<Sample> {
        let measure = match self {
            Self::Tcp => measure::<tcp::Tcp>,
            Self::ZkClient => measure::<::zk_client::Client>,
            Self::ZookeeperClient | Self::ZookeeperClientSmol => {
                measure::<::zookeeper_client::Client>
            }
            Self::ZookeeperAsync => measure::<::zookeeper_async::ZooKeeper>,
        };
        let runtime = match self {
            Self::ZookeeperClientSmol => Runtime::Smol,
            Self::Tcp | Self::ZkClient | Self::ZookeeperClient | Self::ZookeeperAsync => {
                flavor.build()?
            }
        };
        measure(&runtime, workload, phases, target)
    }
}
