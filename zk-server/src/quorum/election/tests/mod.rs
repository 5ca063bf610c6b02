//! Elections without sockets: scripts, and many peers at random.

mod cluster;
mod proposed;
mod random;
mod script;
mod silent;
