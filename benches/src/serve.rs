//! The responder on a socket: one connection at a time, blocking.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::responder::Responder;

/// Holds a pipeline of some thousand requests, so that one read takes what came.
const INPUT: usize = 64 * 1024;

/// Serves one connection after the other, for as long as the listener lives. What
/// breaks a connection is the client's business and is not reported.
///
/// # Errors
///
/// Accepting fails.
pub fn accept_forever(listener: &TcpListener, data_len: usize) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        let _ = serve_one(stream, data_len);
    }
}

/// Serves `stream` until the client closes its session or goes away. After the
/// first few replies nothing is allocated any more.
///
/// # Errors
///
/// The connection broke, or did not carry ZooKeeper's protocol.
pub fn serve_one(mut stream: TcpStream, data_len: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut responder = Responder::new(data_len);
    let mut input = vec![0; INPUT];
    let mut filled = 0;
    let mut out = Vec::with_capacity(INPUT);
    loop {
        match stream.read(&mut input[filled..])? {
            0 => return Ok(()),
            count => filled += count,
        }
        let answered = responder
            .answer(&input[..filled], &mut out)
            .map_err(io::Error::other)?;
        stream.write_all(&out)?;
        out.clear();
        if answered.closed {
            return Ok(());
        }
        input.copy_within(answered.consumed..filled, 0);
        filled -= answered.consumed;
    }
}
