//! The bundled server with random clients, and everything that was seen of it.

use std::sync::{Arc, Mutex};

use zk_server::{Server, ServerConfig};

use super::client::Client;
use crate::history::{History, Transaction, Wire};
use crate::{Sim, runtime};

pub(super) type Log = Arc<Mutex<Vec<Transaction>>>;

/// A server on the host `server`, and its log.
pub(super) async fn serve(sim: &Sim) -> (Server, Log) {
    let log = Log::default();
    let (kept, clock) = (Arc::clone(&log), sim.clone());
    let anywhere = ([0, 0, 0, 0], 2181).into();
    let config = ServerConfig::embedded()
        .client_addr(anywhere)
        .build()
        .unwrap();
    let server = Server::builder()
        .config(config)
        .env(sim.env("server"))
        .on_transaction(move |made| {
            kept.lock().unwrap().push(Transaction {
                zxid: made.zxid,
                session: made.session,
                cxid: made.cxid,
                time_ms: made.time_ms,
                op: made.op,
                err: made.err,
                path: made.path.clone(),
                config: made.config.clone(),
                at: clock.elapsed(),
            });
        })
        .start()
        .await
        .unwrap();
    (server, log)
}

/// What came of so many clients with so many requests each.
pub(super) fn run(seed: u64, clients: u64, requests: u64) -> History {
    runtime(seed).unwrap().block_on(async {
        let sim = Sim::new(seed);
        let wire = Wire::default();
        sim.watch(wire.observer());
        let (server, log) = serve(&sim).await;
        let tasks: Vec<_> = (0..clients)
            .map(|client| {
                let env = sim.env(&format!("client-{client}"));
                tokio::spawn(Client::new(env).work(requests))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        server.stop().await;
        let transactions = log.lock().unwrap().clone();
        History {
            connections: wire.connections(),
            transactions,
            ..History::default()
        }
    })
}
