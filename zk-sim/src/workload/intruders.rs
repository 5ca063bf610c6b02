//! Strangers at the ports that servers keep for each other (E20, E21, E37, E38): noise, half
//! packets, notifications that are late or of nobody, learners that are none, and resets.

use std::io;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_env::{BoxFuture, BoxStream, EnvRng};

use super::clients::{hosts, ms, one_of};
use crate::runner::{Stage, Workload};

/// Where servers listen for each other.
const PORTS: [u16; 2] = [2888, 3888];
/// What an election connection begins with: this, the server's id, and its addresses.
const PROTOCOL_VERSION: i64 = -65_536;

/// Strangers.
#[derive(Debug)]
pub(super) struct Intruders;

impl Workload for Intruders {
    fn name(&self) -> &'static str {
        "intruders"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("intruders", 1)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move {
            let mut rng = stage.rng("intruders");
            while stage.goes_on() {
                // Whatever comes of it: the servers must go on, which others see.
                if let Ok(connection) = dial(&stage, &mut rng).await {
                    stage.progress("connection");
                    drop(misbehave(&stage, connection, &mut rng).await);
                }
                stage.pause(ms(100, 1_500)).await;
            }
        })
    }
}

async fn dial(stage: &Stage, rng: &mut EnvRng) -> io::Result<BoxStream> {
    let servers = stage.connect_string().to_owned();
    let servers: Vec<&str> = servers.split(',').collect();
    let server = *one_of(rng, &servers);
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let port = *one_of(rng, &PORTS);
    let env = stage.env();
    let dialling = async {
        let found = env.resolve(host, port).await?;
        let first = found.first().ok_or(io::ErrorKind::NotFound)?;
        env.connect(*first).await
    };
    tokio::select! {
        biased;
        dialled = dialling => dialled,
        () = stage.pause(ms(1_000, 3_000)) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn misbehave(stage: &Stage, mut connection: BoxStream, rng: &mut EnvRng) -> io::Result<()> {
    let probe = stage.env().probe();
    let bytes = match rng.below(7) {
        0 => {
            probe.reached("intruder: noise");
            noise(rng)
        }
        1 => {
            probe.reached("intruder: says nothing");
            Vec::new()
        }
        2 => {
            probe.reached("intruder: huge length");
            [&[0x7f, 0xff, 0xff, 0xff], &noise(rng)[..]].concat()
        }
        3 => {
            probe.reached("intruder: half a handshake");
            let mut bytes = handshake(99);
            bytes.truncate(1 + rng.below(bytes.len() as u64 - 1) as usize);
            bytes
        }
        4 => {
            probe.reached("intruder: vote of nobody");
            [handshake(99), notification(rng)].concat()
        }
        5 => {
            probe.reached("intruder: bad notification");
            [handshake(100), noise(rng)].concat()
        }
        _ => {
            probe.reached("intruder: learner that is none");
            learner(rng)
        }
    };
    connection.write_all(&bytes).await?;
    let mut answer = vec![0; 4_096];
    tokio::select! {
        biased;
        read = connection.read(&mut answer) => drop(read?),
        () = stage.pause(Duration::from_millis(100)..Duration::from_secs(4)) => {}
    }
    Ok(())
}

fn noise(rng: &mut EnvRng) -> Vec<u8> {
    let len = 1 + rng.below(200);
    (0..len).map(|_| rng.below(256) as u8).collect()
}

/// As of a server with an id that is in no list.
fn handshake(id: i64) -> Vec<u8> {
    let address = b"intruders-1:3888";
    let mut out = BytesMut::new();
    out.put_i64(PROTOCOL_VERSION);
    out.put_i64(id);
    out.put_i32(address.len() as i32);
    out.put_slice(address);
    out.to_vec()
}

/// A vote for itself, of a round that is long over or far ahead, with a zxid that nobody has.
fn notification(rng: &mut EnvRng) -> Vec<u8> {
    let config = b"";
    let mut out = BytesMut::new();
    out.put_i32(40 + 4 + config.len() as i32);
    out.put_i32(rng.below(5) as i32);
    out.put_i64(99);
    out.put_i64(i64::MAX >> rng.below(40));
    out.put_i64(rng.below(1_000) as i64 - 1);
    out.put_i64(rng.below(1_000) as i64);
    out.put_i32(2);
    out.put_i32(config.len() as i32);
    out.put_slice(config);
    out.to_vec()
}

/// FOLLOWERINFO of a server that is in no list, with an epoch from far ahead.
fn learner(rng: &mut EnvRng) -> Vec<u8> {
    const FOLLOWER_INFO: i32 = 11;
    let mut out = BytesMut::new();
    out.put_i32(FOLLOWER_INFO);
    out.put_i64((rng.below(1 << 20) as i64) << 32);
    out.put_i32(20);
    out.put_i64(99);
    out.put_i32(0x1_0000);
    out.put_i64(0);
    out.put_i32(0);
    out.to_vec()
}
