//! Asking another server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zk_env::{Env, sleep_until};

/// Room for the longest answer anyone reads.
const LONGEST_ANSWER: u64 = 16 << 20;

/// Sends `word` to the server at `addr` and returns its answer, within `timeout`.
#[doc(hidden)]
pub async fn four_letter_word(
    env: &dyn Env,
    addr: SocketAddr,
    word: &str,
    timeout: Duration,
) -> io::Result<String> {
    let mut timer = env.timer();
    tokio::select! {
        biased;
        answer = ask(env, addr, word) => answer,
        () = sleep_until(&mut *timer, env.now() + timeout) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn ask(env: &dyn Env, addr: SocketAddr, word: &str) -> io::Result<String> {
    let mut stream = env.connect(addr).await?;
    stream.write_all(word.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = String::new();
    stream
        .take(LONGEST_ANSWER)
        .read_to_string(&mut answer)
        .await?;
    Ok(answer)
}
