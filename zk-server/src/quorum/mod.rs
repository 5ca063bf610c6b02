//! What servers of an ensemble say to one another.

mod election;
mod packet;
mod quorum_server;
mod server_id;
mod verifier;
mod zab;

pub(crate) use packet::SNAP_SIGNATURE;
pub(crate) use quorum_server::{HostPort, LearnerType, PeerAddr, QuorumServer};
pub(crate) use server_id::ServerId;
pub(crate) use verifier::{QuorumVerifier, VerifierDraft};
