//! The standalone server of a run: started, stopped and started again as faults want.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use zk_proto::{OpCode, SessionId};
use zk_server::config::ServerConfigBuilder;
use zk_server::{Server, ServerError, observe};

use crate::Sim;
use crate::faults::apply::ServerControl;
use crate::history::{At, Listener, Step, Transaction};

use super::script::Script;

/// Where the server listens, on its host.
const ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 2181);

/// What the server logged, and which sessions are open by that.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<LogState>>);

#[derive(Debug, Default)]
struct LogState {
    transactions: Vec<Transaction>,
    open: BTreeSet<SessionId>,
    restarts: Vec<At>,
    listener: Listener,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction was made, the next one.
    pub(super) fn append(&self, transaction: Transaction) {
        let mut log = self.lock();
        match transaction.op {
            OpCode::CreateSession => _ = log.open.insert(transaction.session),
            OpCode::CloseSession => _ = log.open.remove(&transaction.session),
            _ => {}
        }
        log.listener.tell(&Step::Transaction(&transaction));
        log.transactions.push(transaction);
    }

    /// A server was started again.
    pub(super) fn restarted(&self, at: At) {
        self.lock().restarts.push(at);
    }

    /// Who is told of each transaction.
    pub(super) fn listener(&self) -> Listener {
        self.lock().listener.clone()
    }

    /// An open session, picked by a number.
    pub(super) fn pick(&self, number: u64) -> Option<SessionId> {
        let log = self.lock();
        let number = number.checked_rem(log.open.len() as u64)?;
        log.open.iter().nth(usize::try_from(number).ok()?).copied()
    }

    /// Everything logged, and when the server was started again.
    pub(super) fn seen(&self) -> (Vec<Transaction>, Vec<At>) {
        let log = self.lock();
        (log.transactions.clone(), log.restarts.clone())
    }
}

/// A transaction that a server tells of at this time.
pub(super) fn seen(transaction: &observe::Transaction, at: At) -> Transaction {
    Transaction {
        zxid: transaction.zxid,
        session: transaction.session,
        cxid: transaction.cxid,
        time_ms: transaction.time_ms,
        op: transaction.op,
        err: transaction.err,
        path: transaction.path.clone(),
        config: transaction.config.clone(),
        at,
    }
}

/// Starts the server on its host.
pub(super) async fn start(
    sim: &Sim,
    config: ServerConfigBuilder,
    log: &Log,
) -> Result<Server, ServerError> {
    let (log, clock) = (log.clone(), sim.clone());
    Server::builder()
        .config(config.client_addr(ADDR).build()?)
        .env(sim.env(super::SERVER))
        .on_transaction(move |transaction| log.append(seen(transaction, clock.elapsed())))
        .start()
        .await
}

/// What faults want of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Faults that keep it down.
    pub(super) down: u32,
    /// How often its host was killed.
    pub(super) kills: u32,
}

impl Wanted {
    pub(super) fn up(&mut self) {
        self.down = self.down.saturating_sub(1);
    }
}

/// Keeps the server as faults want it.
#[derive(Clone)]
pub(super) struct Keeper {
    server: Arc<Server>,
    script: Arc<Script>,
    log: Log,
    wanted: watch::Sender<Wanted>,
    /// What it was brought to last.
    reached: watch::Sender<Wanted>,
}

impl Keeper {
    /// Of a server that runs.
    pub(super) fn new(server: &Arc<Server>, script: &Arc<Script>, log: &Log) -> Self {
        Self {
            server: Arc::clone(server),
            script: Arc::clone(script),
            log: log.clone(),
            wanted: watch::Sender::default(),
            reached: watch::Sender::default(),
        }
    }

    fn is_down(&self) -> bool {
        self.wanted.borrow().down > 0
    }

    /// Stops and starts the server for as long as it is polled.
    pub(super) async fn keep(&self) {
        let mut wanted = self.wanted.subscribe();
        let mut now = Wanted::default();
        loop {
            let next = *wanted.borrow_and_update();
            self.bring(now, next).await;
            now = next;
            self.reached.send_replace(now);
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }

    /// From what was wanted to what is.
    async fn bring(&self, before: Wanted, now: Wanted) {
        if now.down > 0 {
            self.server.stop().await;
        } else if before.down > 0 || now.kills != before.kills {
            self.log.restarted(self.script.sim.elapsed());
            if let Err(error) = self.server.restart().await {
                self.script
                    .fail("server", format!("does not start again: {error}"));
            }
        }
    }

    /// Waits until the server is as faults want it.
    pub(super) async fn settled(&self) {
        let mut reached = self.reached.subscribe();
        let is_there = |reached: &Wanted| *reached == *self.wanted.borrow();
        // Both senders live as long as `self`, so that this cannot fail.
        let _ = reached.wait_for(is_there).await;
    }
}

/// There is one server, so that the host matters to kills alone. A server that is down
/// does nothing to sessions and connections.
impl ServerControl for Keeper {
    fn drop_connections(&self, _host: &str) {
        if !self.is_down() {
            self.server.drop_connections();
        }
    }

    fn expire_session(&self, _host: &str, pick: u64) {
        if let Some(session) = self.log.pick(pick).filter(|_| !self.is_down()) {
            self.server.expire_session(session);
        }
    }

    fn stop(&self, _host: &str) {
        self.wanted.send_modify(|wanted| wanted.down += 1);
    }

    fn killed(&self, host: &str) {
        if host == super::SERVER {
            self.wanted.send_modify(|wanted| {
                wanted.down += 1;
                wanted.kills += 1;
            });
        }
    }

    fn start(&self, host: &str) {
        if host == super::SERVER {
            self.wanted.send_modify(Wanted::up);
        }
    }
}
