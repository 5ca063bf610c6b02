//! Ensembles inside a process.

mod gate;
mod links;
mod peer_env;
