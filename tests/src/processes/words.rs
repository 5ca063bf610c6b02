//! What a server tells about itself, by four-letter words.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets"
)]

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::Zxid;

use crate::wait::ready_within;

/// A server that is stopped in its tracks does not answer at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server's part in its ensemble while it serves clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It leads.
    Leader,
    /// It follows and votes.
    Follower,
    /// It follows and does not vote.
    Observer,
    /// There is no ensemble.
    Standalone,
}

/// The answer to a four-letter word.
///
/// # Errors
///
/// Those of the socket; `TimedOut` if there is no answer.
pub async fn ask(host: &str, word: &str) -> io::Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(word.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    ready_within(PATIENCE, asked)
        .await
        .unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
}

/// The mode of a server that serves; `None` of one that does not, or is not there.
pub async fn mode(host: &str) -> Option<Mode> {
    match &*line_of_srvr(host, "Mode: ").await? {
        "leader" => Some(Mode::Leader),
        "follower" => Some(Mode::Follower),
        "observer" => Some(Mode::Observer),
        "standalone" => Some(Mode::Standalone),
        _ => None,
    }
}

/// The last transaction that a serving server has applied.
pub async fn zxid(host: &str) -> Option<Zxid> {
    let zxid = line_of_srvr(host, "Zxid: 0x").await?;
    i64::from_str_radix(&zxid, 16).ok().map(Zxid)
}

async fn line_of_srvr(host: &str, begin: &str) -> Option<String> {
    let answer = ask(host, "srvr").await.ok()?;
    let mut lines = answer.lines();
    lines
        .find_map(|line| line.strip_prefix(begin))
        .map(str::to_owned)
}

/// A number that `mntr` tells, by its name with `zk_`.
pub async fn monitored(host: &str, name: &str) -> Option<usize> {
    let answer = ask(host, "mntr").await.ok()?;
    let mut pairs = answer.lines().filter_map(|line| line.split_once('\t'));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    value.trim().parse().ok()
}
