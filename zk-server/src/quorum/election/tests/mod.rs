//! Elections without sockets: scripts, and many peers at random.

mod cluster;
mod random;
mod script;
