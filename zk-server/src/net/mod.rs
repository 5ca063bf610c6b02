//! The network side: a listener, a task per connection, a ticker.

mod cnxn;
mod cnxns;
mod fail_stop;
mod handshake;
mod inbound;
mod listen;
mod outbox;
mod ports;
mod read_buffer;
mod shell;
pub(crate) mod storage;
mod ticker;
mod write_queue;

pub(crate) use cnxns::Cnxn;
pub(crate) use fail_stop::Vital;
pub(crate) use listen::{Run, Spawner, bind};
pub(crate) use ports::{ClientAddrs, ClientPorts};
pub(crate) use shell::{Serving, Shell};
