//! What has to hold at every step, an invariant per file. Names as in Apache's TLA+
//! specification of the protocol, where it has them.

mod acknowledged_is_kept;
mod acks_are_durable;
mod epochs_are_monotone;
mod global_primary_order;
mod history_before_epoch;
mod integrity;
mod leadership;
mod local_primary_order;
mod one_configuration;
mod prefix_consistency;
mod primary_integrity;
mod total_order;

use std::collections::BTreeMap;

use super::disk::Image;
use crate::quorum::packet::QuorumPacket;
use crate::quorum::zab::Proposal;
use crate::quorum::{QuorumVerifier, ServerId};

/// What has just happened.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// A leader has an epoch of its own, and maybe has established it.
    Leads {
        epoch: i64,
        run: u64,
        is_established: bool,
        history: &'a [Proposal],
    },
    /// A primary has proposed a transaction.
    Broadcast(&'a Proposal),
    /// Clients see these transactions, of which those from `new` on have just been added.
    Visible { txns: &'a [Proposal], new: usize },
    /// A leader has established its epoch with this history.
    Established { epoch: i64, history: &'a [Proposal] },
    /// The leader has committed a transaction: its client is told.
    Acknowledged(&'a Proposal),
    /// A leader has proposed the next configuration.
    Proposed { config: &'a QuorumVerifier },
    /// A configuration is in force on this server.
    InForce { config: &'a QuorumVerifier },
    /// A learner has sent a packet.
    Sent(&'a QuorumPacket),
    /// The disk has changed, by a crash perhaps.
    Disk,
}

/// Where everything is, after it.
#[derive(Debug)]
pub(super) struct World<'a> {
    /// The newest configuration that is in force anywhere.
    pub(super) config: &'a QuorumVerifier,
    pub(super) disks: BTreeMap<ServerId, &'a Image>,
}

/// One of them.
pub(super) trait Invariant: std::fmt::Debug {
    fn name(&self) -> &'static str;

    /// Looks at an event on a server; the error says what is wrong.
    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        world: &World<'_>,
    ) -> Result<(), String>;
}

/// All of them, anew.
pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<leadership::Leadership1>::default(),
        Box::<leadership::Leadership2>::default(),
        Box::<prefix_consistency::PrefixConsistency>::default(),
        Box::<integrity::Integrity>::default(),
        Box::<total_order::TotalOrder>::default(),
        Box::new(local_primary_order::LocalPrimaryOrder),
        Box::new(global_primary_order::GlobalPrimaryOrder),
        Box::<primary_integrity::PrimaryIntegrity>::default(),
        Box::<epochs_are_monotone::EpochsAreMonotone>::default(),
        Box::<acknowledged_is_kept::AcknowledgedIsKept>::default(),
        Box::new(acks_are_durable::AcksAreDurable),
        Box::<history_before_epoch::HistoryBeforeEpoch>::default(),
        Box::<one_configuration::OneConfiguration>::default(),
    ]
}
