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
    RecordedClient::connect(builder, recorder, sim)
        .await
        .unwrap()
}

/// Resets what there is between the writer and the server, and lets it work again.
async fn break_link(sim: &Sim) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    sim.cut("writer", "server");
    sim.heal("writer", "server");
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
        writer
            .create("/a", b"0", CreateMode::Persistent)
            .await
            .unwrap();
        let watcher = reader.watcher(16);
        for round in 1..6 {
            reader.get_data("/a", Some(&watcher)).await.unwrap();
            reader.get_children("/", Some(&watcher)).await.unwrap();
            writer.set_data("/a", [round], None).await.unwrap();
            writer
                .create(&format!("/b{round}"), b"", CreateMode::Ephemeral)
                .await
                .unwrap();
            watcher.next().await.unwrap();
            watcher.next().await.unwrap();
        }
        reader.get_data("/none", None).await.unwrap_err();
        // One request is lost on its way, one answer on its way back.
        sim.silence_one_way("writer", "server");
        let lost = writer.set_data("/a", b"lost", None);
        break_link(&sim).await;
        lost.await.unwrap_err();
        writer.sync("/").await.unwrap();
        let before = log.lock().unwrap().len();
        sim.silence_one_way("server", "writer");
        let delivered = writer.set_data("/a", b"delivered", None);
        while log.lock().unwrap().len() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        break_link(&sim).await;
        delivered.await.unwrap_err();
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

#[track_caller]
fn is_noticed(change: impl FnOnce(&mut History), as_what: &str) {
    let mut history = run(1);
    change(&mut history);
    let noticed = replay(&history).unwrap_err();
    assert!(noticed.contains(as_what), "{noticed}");
}

/// The first call that is like this, to be made another.
fn ended(history: &mut History, op: OpCode, fits: fn(&Outcome) -> bool) -> &mut Outcome {
    let call = history.calls.iter_mut().find_map(|call| {
        let Call { op: of, ended, .. } = call;
        let (_, outcome) = ended.as_mut()?;
        (*of == op && fits(outcome)).then_some(outcome)
    });
    call.expect("there is such a call")
}

fn is_answer(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answer(_))
}

fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown(_))
}

#[test]
fn callers_are_told_the_truth() {
    for seed in 0..4 {
        let history = run(seed);
        let replayed = replay(&history).unwrap();
        assert!(replayed.calls > 20, "{replayed:?}");
        assert_eq!((replayed.applied, replayed.not_applied), (1, 1));
        assert_eq!(history.heard.len(), 10);
    }
}

#[test]
fn another_answer_is_noticed() {
    let change = |history: &mut History| {
        let outcome = ended(history, OpCode::GetData, is_answer);
        let Outcome::Answer(body) = outcome else {
            unreachable!("that was asked for")
        };
        let mut changed = body.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        *outcome = Outcome::Answer(changed.into());
    };
    is_noticed(change, "the caller got");
}

#[test]
fn another_refusal_is_noticed() {
    let change = |history: &mut History| {
        *ended(history, OpCode::GetData, |outcome| {
            *outcome == Outcome::Refused(ErrorCode::NoNode)
        }) = Outcome::Refused(ErrorCode::NoAuth);
    };
    is_noticed(change, "the caller got");
}

#[test]
fn an_answer_to_what_was_lost_is_noticed() {
    let change = |history: &mut History| {
        *ended(history, OpCode::SetData, is_unknown) = Outcome::Answer(Bytes::new());
    };
    is_noticed(change, "an answer that the server did not give");
}

#[test]
fn an_answer_before_it_arrived_is_noticed() {
    let change = |history: &mut History| {
        let call = history
            .calls
            .iter_mut()
            .find(|call| call.op == OpCode::SetData)
            .unwrap();
        call.ended.as_mut().unwrap().0 = call.called;
    };
    is_noticed(change, "before it arrived");
}

#[test]
fn a_label_that_is_not_true_is_noticed() {
    is_noticed(
        |history| {
            *ended(history, OpCode::SetData, is_answer) = Outcome::NotApplied("it was not".into());
        },
        "did not take effect",
    );
    is_noticed(
        |history| {
            *ended(history, OpCode::SetData, is_unknown) = Outcome::Applied("it was".into());
        },
        "took effect",
    );
}

#[test]
fn an_answer_behind_a_lost_one_is_noticed() {
    let change = |history: &mut History| {
        let late = history.calls.last().unwrap().called;
        let call = history
            .calls
            .iter_mut()
            .find(|call| call.op == OpCode::GetData)
            .unwrap();
        call.ended = Some((late, Outcome::Unknown("the connection was lost".into())));
    };
    is_noticed(change, "on the same connection");
}

#[test]
fn an_event_that_nobody_sent_is_noticed() {
    is_noticed(
        |history| history.heard[3].event.event_type = EventType::NodeCreated,
        "had not arrived",
    );
    is_noticed(
        |history| history.heard[3].event.zxid = Some(Zxid(1)),
        "had not arrived",
    );
    is_noticed(
        |history| history.heard[3].at = Duration::ZERO,
        "had not arrived",
    );
}

#[test]
fn events_in_another_order_are_noticed() {
    is_noticed(
        |history| {
            let event = history.heard[4].event.clone();
            history.heard[4].event = history.heard[2].event.clone();
            history.heard[2].event = event;
        },
        "had not arrived",
    );
}

#[test]
fn an_event_that_a_watcher_left_out_is_noticed() {
    is_noticed(|history| drop(history.heard.remove(3)), "left it out");
}
