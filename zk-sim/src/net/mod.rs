//! The network between hosts: connections, what flows in them, and what is wrong
//! with the links. Pure, as parts of [`World`](crate::world::World).

pub(crate) mod connection;
mod death;
mod faults;
pub(crate) mod links;
pub(crate) mod ports;
pub(crate) mod schedule;
pub(crate) mod stream;
pub(crate) mod strikes;
#[cfg(test)]
mod tests;
mod traffic;
mod transit;
