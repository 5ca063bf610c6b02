//! What clients tell their callers, and what is made of lies.

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Client, CreateMode};
use zk_proto::{ErrorCode, EventType, OpCode, Zxid};

use super::{drive, replay};
use crate::history::{Call, History, Outcome, RecordedClient, Recorder, Wire};
use crate::{Sim, runtime};

async fn connect(sim: &Sim, recorder: &Recorder, host: &str) -> RecordedClient {
    let builder = Client::builder("server:2181").env(sim.env(host));
    RecordedClient::connect(builder, recorder, sim).await.unwrap()
}

/// Two clients: one writes, the other watches; then the writer is cut off with a
/// request on its way.
fn run(seed: u64) -> History {
    runtime(seed).unwrap().block_on(async {
        let sim = Sim::new(seed);
        let (wire, recorder) = (Wire::default(), Recorder::default());
        sim.watch(wire.observer());
        let (server, log) = drive::serve(&sim).await;
        let writer = connect(&sim, &recorder, "writer").await;
        let reader = connect(&sim, &recorder, "reader").await;
        writer.create("/a", b"0", CreateMode::Persistent).await.unwrap();
        let watcher = reader.watcher(16);
        for round in 1..6 {
            reader.get_data("/a", Some(&watcher)).await.unwrap();
            reader.get_children("/", Some(&watcher)).await.unwrap();
            writer.set_data("/a", [round], None).await.unwrap();
            writer.create(&format!("/b{round}"), b"", CreateMode::Ephemeral).await.unwrap();
            watcher.next().await.unwrap();
            watcher.next().await.unwrap();
        }
        reader.get_data("/none", None).await.unwrap_err();
        sim.silence("writer", "server");
        let lost = writer.set_data("/a", b"lost", None);
        let waits = tokio::time::timeout(Duration::from_secs(2), async {
            sim.cut("writer", "server");
            lost.await
        });
        waits.await.unwrap().unwrap_err();
        sim.heal("writer", "server");
        let delivered = writer.set_data("/a", b"delivered", None);
        let unanswered = async {
            while server.counters().last_zxid.0 == log.lock().unwrap().len() as i64 {
                tokio::task::yield_now().await;
                let last = log.lock().unwrap().last().unwrap().clone();
                if last.op == OpCode::SetData && last.at > Duration::from_millis(100) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        unanswered.await;
        sim.cut("writer", "server");
        delivered.await.ok();
        sim.heal("writer", "server");
        writer.close().await.unwrap();
        reader.close().await.unwrap();
        server.stop().await;
        let transactions = log.lock().unwrap().clone();
        History {
            calls: recorder.calls(),
            connections: wire.connections(),
            transactions,
            states: recorder.states(),
            sessions: recorder.sessions(),
            heard: recorder.heard(),
            ..History::default()
        }
    })
}
