//! What servers of an ensemble say to one another.

mod election;
pub(crate) mod packet;
pub(crate) mod peer;
mod quorum_server;
mod reconfig;
mod server_id;
mod verifier;
mod view;
mod zab;

pub use election::PeerState;
pub(crate) use election::{ElectionPort, ElectionPortOptions};
pub(crate) use packet::SNAP_SIGNATURE;
pub(crate) use packet::{ForwardedRequest, Touch};
pub(crate) use quorum_server::{HostPort, LearnerType, QuorumServer};
pub(crate) use reconfig::{Membership, ReconfigRequest};
pub(crate) use server_id::ServerId;
pub(crate) use verifier::{QuorumVerifier, VerifierDraft};
pub(crate) use view::{Leading, LearnerView, QuorumView, ZabState};
pub(crate) use zab::LearnerId;
