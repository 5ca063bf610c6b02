//! The bundled server as a process: it prints where it listens, and ends with its
//! standard input.

use std::error::Error;

use zk_benches::answer_questions;
use zk_server::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let server = runtime.block_on(Server::start())?;
    answer_questions(&server.connect_string())?;
    runtime.block_on(server.stop());
    Ok(())
}
