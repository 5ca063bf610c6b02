//! Members of an ensemble beyond the usual: what changes while they serve, and what they
//! do without a leader.

mod leader_serves;
mod local_sessions;
mod read_only;
mod reconfig;
mod sites;
mod trio;
mod zoo_cfg;
