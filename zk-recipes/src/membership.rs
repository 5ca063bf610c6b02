//! Who is there: persistent nodes and group membership.

mod desired;
mod group;
mod persistent_node;
mod reconcile;
mod ttl;

pub use group::{
    GroupLayout, GroupMembership, GroupMembershipBuilder, Member, MemberEvent, MemberEvents,
    Members,
};
pub use persistent_node::{NodeMode, NodeState, PersistentNode, PersistentNodeBuilder};
pub use ttl::PersistentTtlNode;
