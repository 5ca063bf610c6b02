//! Pieces of the server by themselves, for fuzz targets and their corpus. Not part of
//! the public interface: no promise of stability.

mod log;
mod machine;
mod packets;
mod pieces;
mod snapshot;

pub use log::log_bytes;
pub use machine::{Action, Machine, Usage};
pub use packets::packet_bytes;
pub use snapshot::{snapshot_bytes, wire_bytes};
