use bytes::BytesMut;
use zk_client::{Client, CreateMode, EventType, SessionState};
use zk_proto::record::{CreateResponse, MultiResponse, MultiResult};
use zk_proto::{Encode, ErrorCode, OpCode};
use zk_server::{Server, ServerConfig};

use super::*;
use crate::{Sim, runtime};

/// Runs `test` with a server on the host `server` and a recorded client of it.
fn with_client<F>(test: impl FnOnce(RecordedClient, Recorder) -> F)
where
    F: Future<Output = ()>,
{
    let runtime = runtime(1).expect("tokio's choices can be seeded");
    runtime.block_on(async {
        let sim = Sim::new(1);
        let addr = "0.0.0.0:2181".parse().expect("an address");
        let config = ServerConfig::embedded().client_addr(addr).build();
        let server = Server::builder()
            .config(config.expect("values that fit"))
            .env(sim.env("server"))
            .start()
            .await
            .expect("a free port");
        let recorder = Recorder::default();
        let builder = Client::builder("server:2181").env(sim.env("client"));
        let client = RecordedClient::connect(builder, &recorder, &sim).await;
        test(client.expect("the network is sound"), recorder).await;
        server.stop().await;
    });
}

fn record(record: &impl Encode) -> Outcome {
    let mut body = BytesMut::new();
    record.encode(&mut body);
    Outcome::Answer(body.freeze())
}

fn outcome(call: &Call) -> &Outcome {
    &call.ended.as_ref().expect("the call has ended").1
}

#[test]
fn a_call_is_written_down_when_called_and_when_answered() {
    with_client(|client, recorder| async move {
        let create = client.create("/a", b"x", CreateMode::Persistent);
        assert_eq!((recorder.call_count(), recorder.open_calls()), (1, 1));
        create.await.expect("the name is free");
        assert_eq!(recorder.open_calls(), 0);
        let calls = recorder.calls();
        assert_eq!(calls[0].op, OpCode::Create);
        assert_eq!(calls[0].path, "/a");
        assert!(calls[0].xid.is_some());
        let path = "/a".into();
        assert_eq!(*outcome(&calls[0]), record(&CreateResponse { path }));
    });
}

#[test]
fn refusals_and_what_nobody_waits_for_are_written_down() {
    with_client(|client, recorder| async move {
        drop(client.delete("/missing", None).await);
        drop(client.get_data("/missing", None));
        drop(client.exists("/missing", None).await);
        let calls = recorder.calls();
        let no_node = Outcome::Refused(ErrorCode::NoNode);
        assert_eq!(*outcome(&calls[0]), no_node);
        assert_eq!(*outcome(&calls[1]), Outcome::Dropped);
        assert_eq!(*outcome(&calls[2]), no_node);
    });
}

#[test]
fn a_chroots_answers_and_events_have_the_servers_paths() {
    with_client(|client, recorder| async move {
        let root = client.create("/app", b"", CreateMode::Persistent);
        root.await.expect("the name is free");
        let inside = client.chroot("/app").expect("a valid path");
        let watcher = inside.watcher(4);
        drop(inside.exists("/a", Some(&watcher)).await);
        let created = inside.create("/a", b"", CreateMode::Persistent).await;
        assert_eq!(created.as_deref(), Ok("/a"));
        let event = watcher.try_next().expect("one's own event came first");
        assert_eq!(event.path, "/a");
        let path = "/app/a".into();
        let calls = recorder.calls();
        assert_eq!(*outcome(&calls[2]), record(&CreateResponse { path }));
        let heard = recorder.heard();
        assert_eq!(heard[0].event.path, "/app/a");
        assert_eq!(heard[0].event.event_type, EventType::NodeCreated);
        assert_eq!(heard[0].client, client.id());
    });
}

#[test]
fn a_refused_transaction_is_an_answer_of_errors() {
    with_client(|client, recorder| async move {
        let commit = client
            .transaction()
            .check("/", None)
            .delete("/missing", None)
            .set_data("/", b"", None)
            .commit();
        drop(commit.await);
        let codes = [
            ErrorCode::Ok,
            ErrorCode::NoNode,
            ErrorCode::RuntimeInconsistency,
        ];
        let results = codes.map(MultiResult::Error).to_vec();
        assert_eq!(
            *outcome(&recorder.calls()[0]),
            record(&MultiResponse { results })
        );
    });
}

#[test]
fn sessions_and_their_states_are_seen_until_the_end() {
    with_client(|client, recorder| async move {
        let session = client.session_id();
        // A round trip, so that the witness has had its turn.
        drop(client.sync("/").await);
        assert_eq!(recorder.sessions()[0].session, session);
        client.close().await.expect("the network is sound");
        let mut states = client.state();
        drop(
            states
                .wait_for(|state| *state == SessionState::Closed)
                .await,
        );
        tokio::task::yield_now().await;
        let seen = recorder.states();
        let last = seen.last().expect("there were some");
        assert_eq!(last.state, SessionState::Closed);
    });
}

#[test]
fn the_record_does_not_keep_a_client_open() {
    with_client(|client, recorder| async move {
        let mut states = client.state();
        drop(client);
        let closed = states
            .wait_for(|state| *state == SessionState::Closed)
            .await;
        assert!(closed.is_ok_and(|state| *state == SessionState::Closed));
        assert_eq!(recorder.open_calls(), 0);
    });
}
