//! A server that does no work, as a process: it prints where it listens, and ends
//! with its standard input.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use zk_benches::{DATA_LEN, accept_forever, answer_questions};

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark's server runs on real threads"
)]
fn main() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || accept_forever(&listener, DATA_LEN));
    answer_questions(&address.to_string())
}
