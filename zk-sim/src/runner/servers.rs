//! The servers of a run, one or several, and who keeps them as faults want.

use std::sync::Arc;

use zk_proto::SessionId;
use zk_server::{Server, ServerError};

use super::ensemble::{self, Peers};
use super::judge::Witnesses;
use super::script::Script;
use super::{Run, server};
use crate::Sim;
use crate::faults::FaultKind;
use crate::faults::apply::ServerControl;

/// What the clients of a run connect to.
#[derive(Clone)]
pub(super) enum Servers {
    Standalone(Arc<Server>),
    Ensemble(Arc<Peers>),
}

impl Servers {
    /// Starts those of `run`.
    pub(super) async fn start(
        run: &Run,
        sim: &Sim,
        witnesses: &Witnesses,
    ) -> Result<Self, ServerError> {
        let log = &witnesses.log;
        Ok(match &run.ensemble {
            None => {
                let server = server::start(sim, run.server.clone(), log).await?;
                Self::Standalone(Arc::new(server))
            }
            Some(shape) => Self::Ensemble(Arc::new(Peers::start(run, shape, sim, log).await?)),
        })
    }

    /// As clients want them.
    pub(super) fn connect_string(&self) -> String {
        match self {
            Self::Standalone(server) => {
                format!("{}:{}", super::SERVER, server.client_addr().port())
            }
            Self::Ensemble(peers) => peers.connect_string(),
        }
    }

    /// Stops them politely.
    pub(super) async fn stop(&self) {
        match self {
            Self::Standalone(server) => server.stop().await,
            Self::Ensemble(peers) => peers.stop().await,
        }
    }

    /// Ends a session as if it had timed out.
    pub(super) fn expire_session(&self, session: SessionId) -> bool {
        match self {
            Self::Standalone(server) => server.expire_session(session),
            Self::Ensemble(peers) => peers.expire_session(session),
        }
    }
}

/// Keeps the servers as faults want them.
#[derive(Clone)]
pub(super) enum Keeper {
    Standalone(server::Keeper),
    Ensemble(ensemble::Keeper),
}

impl Keeper {
    /// Of servers that run.
    pub(super) fn new(script: &Arc<Script>, log: &server::Log) -> Self {
        match &script.servers {
            Servers::Standalone(server) => {
                Self::Standalone(server::Keeper::new(server, script, log))
            }
            Servers::Ensemble(peers) => Self::Ensemble(ensemble::Keeper(Arc::clone(peers))),
        }
    }

    /// Stops and starts servers for as long as it is polled.
    pub(super) async fn keep(&self) {
        match self {
            Self::Standalone(keeper) => keeper.keep().await,
            Self::Ensemble(keeper) => keeper.keep().await,
        }
    }

    pub(super) const fn is_of_ensemble(&self) -> bool {
        matches!(self, Self::Ensemble(_))
    }

    /// Waits until servers are as faults want them.
    pub(super) async fn settled(&self) {
        match self {
            Self::Standalone(keeper) => keeper.settled().await,
            Self::Ensemble(keeper) => keeper.settled().await,
        }
    }

    /// The fault, with hosts for roles.
    pub(super) fn cast(&self, kind: &FaultKind) -> FaultKind {
        match self {
            Self::Standalone(_) => kind.clone(),
            Self::Ensemble(keeper) => keeper.cast(kind),
        }
    }

    /// A fault begins or ends that lasts for a while.
    pub(super) fn note_fault(&self, begins: bool) {
        if let Self::Ensemble(keeper) = self {
            keeper.note_fault(begins);
        }
    }

    fn control(&self) -> &dyn ServerControl {
        match self {
            Self::Standalone(keeper) => keeper,
            Self::Ensemble(keeper) => keeper,
        }
    }
}

impl ServerControl for Keeper {
    fn drop_connections(&self, server: &str) {
        self.control().drop_connections(server);
    }

    fn expire_session(&self, server: &str, pick: u64) {
        self.control().expire_session(server, pick);
    }

    fn stop(&self, server: &str) {
        self.control().stop(server);
    }

    fn killed(&self, host: &str) {
        self.control().killed(host);
    }

    fn start(&self, server: &str) {
        self.control().start(server);
    }
}
