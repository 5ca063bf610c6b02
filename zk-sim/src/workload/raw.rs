//! Connections to the server that send anything but what a client would, and read
//! nothing of what it answers (S01, S09).

use std::io;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_env::{BoxFuture, BoxStream, EnvRng};
use zk_proto::record::{ConnectRequest, ExistsRequest};
use zk_proto::{OpCode, Password, RequestHeader, SessionId, Xid, Zxid, encode_frame};

use super::clients::{hosts, ms};
use crate::runner::{Stage, Workload};

/// Connections that are opened at the same time.
const WORKERS: usize = 1;
/// Requests that are sent by somebody who reads no answer, at most.
const UNREAD: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Senders of nonsense.
#[derive(Debug)]
pub(super) struct Raw;

impl Workload for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("raw", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move {
            let mut rng = stage.rng("raw");
            while stage.goes_on() {
                // Whatever comes of it: the server must live, which others see.
                if let Ok(connection) = dial(&stage).await {
                    stage.progress("connection");
                    drop(misbehave(&stage, connection, &mut rng).await);
                }
                stage.pause(ms(50, 1_000)).await;
            }
        })
    }
}

async fn dial(stage: &Stage) -> io::Result<BoxStream> {
    let (env, servers) = (stage.env(), stage.connect_string());
    let (host, port) = servers.rsplit_once(':').unwrap_or((servers, "2181"));
    let port = port.parse().unwrap_or(2181);
    let dialling = async {
        let found = env.resolve(host, port).await?;
        let first = found.first().ok_or(io::ErrorKind::NotFound)?;
        env.connect(*first).await
    };
    tokio::select! {
        biased;
        dialled = dialling => dialled,
        () = stage.pause(ms(1_000, 5_000)) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn misbehave(stage: &Stage, mut connection: BoxStream, rng: &mut EnvRng) -> io::Result<()> {
    let bytes = match rng.below(6) {
        0 => noise(rng),
        1 => partial_handshake(rng),
        2 => [&[0x7f, 0xff, 0xff, 0xff], &noise(rng)[..]].concat(),
        3 => b"rubbish and ruok"[..1 + rng.below(15) as usize].to_vec(),
        4 => [handshake().to_vec(), noise(rng)].concat(),
        _ => return read_nothing(stage, connection, rng).await,
    };
    connection.write_all(&bytes).await?;
    // Until the server has had enough, or we have.
    let mut answer = vec![0; 4_096];
    tokio::select! {
        biased;
        read = connection.read(&mut answer) => drop(read?),
        () = stage.pause(ms(10, 12_000)) => {}
    }
    Ok(())
}

fn noise(rng: &mut EnvRng) -> Vec<u8> {
    let mut bytes = vec![0; 1 + rng.below(300) as usize];
    rng.fill(&mut bytes);
    bytes
}

fn handshake() -> BytesMut {
    let mut out = BytesMut::new();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 4_000,
        session_id: SessionId::NONE,
        password: Password::none(),
        read_only: Some(false),
    };
    encode_frame(&mut out, &request);
    out
}

fn partial_handshake(rng: &mut EnvRng) -> Vec<u8> {
    let whole = handshake();
    whole[..rng.below(whole.len() as u64) as usize].to_vec()
}

/// Asks and asks, and reads no answer: the server's memory has a bound, and it closes
/// the connection or lets it wait.
async fn read_nothing(
    stage: &Stage,
    mut connection: BoxStream,
    rng: &mut EnvRng,
) -> io::Result<()> {
    connection.write_all(&handshake()).await?;
    let mut requests = BytesMut::new();
    for n in 0..rng.below(UNREAD) {
        let header = RequestHeader {
            xid: Xid(n as i32),
            op: OpCode::Exists.into(),
        };
        let exists = ExistsRequest {
            path: "/".into(),
            watch: false,
        };
        encode_frame(&mut requests, &(header, exists));
    }
    requests.put_i32(-1);
    tokio::select! {
        biased;
        written = connection.write_all(&requests) => written,
        () = stage.pause(PATIENCE / 2..PATIENCE) => Ok(()),
    }
}
