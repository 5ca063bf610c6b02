//! The servers of an ensemble, each on a host of its own: started, stopped, killed and
//! started again as faults want.

mod peer;
mod peers;
mod records;
mod shape;

pub(super) use peers::{Keeper, Peers};
pub use shape::Ensemble;
pub(crate) use shape::{CLIENT_PORT, OBSERVER, PEER, SPARE, id_of, server_line};
