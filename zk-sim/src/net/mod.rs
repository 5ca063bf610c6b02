//! The network between hosts: connections, what flows in them, and what is wrong
//! with the links. Pure, as parts of [`World`](crate::world::World).

pub(crate) mod connection;
pub(crate) mod links;
pub(crate) mod ports;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
mod traffic;
