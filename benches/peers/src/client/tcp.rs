//! The floor: the bytes of a get over a socket, without a client.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use zk_benches::{DATA_LEN, PATH};

use crate::Result;
use crate::client::Session;
use crate::workload::{DEPTH, Until, Workload};

/// Length word, reply header, data with its length, `Stat`.
const REPLY_LEN: usize = 4 + 16 + 4 + DATA_LEN + 68;

/// A socket on which a session was opened.
pub struct Tcp {
    /// The workload alone locks it; once per phase.
    stream: Mutex<TcpStream>,
    get: Vec<u8>,
}

impl Session for Tcp {
    async fn connect(address: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&connect_request()).await?;
        let length = stream.read_u32().await?;
        stream
            .read_exact(&mut vec![0; usize::try_from(length)?])
            .await?;
        Ok(Self {
            stream: Mutex::new(stream),
            get: get_request(),
        })
    }

    async fn work(&self, workload: Workload, span: Duration) -> Result<u64> {
        let mut stream = self.stream.lock().await;
        let until = Until::new(Instant::now() + span);
        match workload {
            Workload::Pipelined | Workload::PipelinedInOrder => {
                pipelined(&mut stream, &self.get, until).await
            }
            Workload::Sequential => sequential(&mut stream, &self.get, until).await,
        }
    }

    async fn close(self) -> Result<()> {
        let mut stream = self.stream.into_inner();
        stream.write_all(&close_request()).await?;
        stream.read_to_end(&mut Vec::new()).await?;
        Ok(())
    }
}

async fn pipelined(stream: &mut TcpStream, get: &[u8], mut until: Until) -> Result<u64> {
    let gets = get.repeat(DEPTH);
    let mut input = vec![0; DEPTH * REPLY_LEN];
    let (mut received, mut answered, mut in_flight) = (0, 0, DEPTH);
    stream.write_all(&gets).await?;
    while in_flight > 0 {
        received += read_some(stream, &mut input).await?;
        let replies = received / REPLY_LEN;
        received %= REPLY_LEN;
        answered += replies as u64;
        if until.more() {
            stream.write_all(&gets[..replies * get.len()]).await?;
        } else {
            in_flight -= replies;
        }
    }
    Ok(answered)
}

/// The buffer has room to spare: a read that does not fill it tells tokio that
/// nothing is left, which saves the read that would find out.
async fn sequential(stream: &mut TcpStream, get: &[u8], mut until: Until) -> Result<u64> {
    let mut input = [0; 2 * REPLY_LEN];
    let mut answered = 0;
    while until.more() {
        stream.write_all(get).await?;
        let mut received = 0;
        while received < REPLY_LEN {
            received += read_some(stream, &mut input).await?;
        }
        answered += 1;
    }
    Ok(answered)
}

async fn read_some(stream: &mut TcpStream, input: &mut [u8]) -> Result<usize> {
    match stream.read(input).await? {
        0 => Err("the server closed the connection".into()),
        count => Ok(count),
    }
}

/// Protocol version, last zxid seen, timeout, no session, no password, read-only.
fn connect_request() -> Vec<u8> {
    frame(&[
        &0_i32.to_be_bytes(),
        &0_i64.to_be_bytes(),
        &30_000_i32.to_be_bytes(),
        &0_i64.to_be_bytes(),
        &16_i32.to_be_bytes(),
        &[0; 16],
        &[0],
    ])
}

/// Xid and op code, path, no watch.
fn get_request() -> Vec<u8> {
    frame(&[
        &1_i32.to_be_bytes(),
        &4_i32.to_be_bytes(),
        &(PATH.len() as i32).to_be_bytes(),
        PATH.as_bytes(),
        &[0],
    ])
}

fn close_request() -> Vec<u8> {
    frame(&[&2_i32.to_be_bytes(), &(-11_i32).to_be_bytes()])
}

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    [&(payload.len() as i32).to_be_bytes()[..], &payload].concat()
}
