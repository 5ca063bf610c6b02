//! What learner and leader send one another over the quorum port.

mod decoder;
mod payload;

pub(crate) use decoder::{PacketDecoder, PacketError};
pub(crate) use payload::{
    ForwardedRequest, LEARNER_PROTOCOL_VERSION, LearnerInfo, PayloadError, Revalidate, Revalidated,
    SNAP_SIGNATURE, Touch, decode_current_epoch, decode_informed, decode_server_id,
    decode_touch_table, encode_epoch, encode_informed, encode_server_id, encode_touch_table,
};

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::data::AclId;
use zk_proto::{Encode, Zxid};

/// What a packet is about. Numbers as in Apache's `Leader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketType {
    /// A learner hands on a request of one of its clients.
    Request,
    /// The leader proposes a transaction.
    Proposal,
    /// A transaction is in the learner's log, or a learner agrees with the leader.
    Ack,
    /// A proposal is decided.
    Commit,
    /// Are you there? From the leader; the answer carries the touched sessions.
    Ping,
    /// Does this session exist, and who owns it?
    Revalidate,
    /// Everything that a client's `sync` waited for has been sent.
    Sync,
    /// A decided transaction, for an observer.
    Inform,
    /// A reconfiguration is decided and takes effect.
    CommitAndActivate,
    /// What was sent is the history of the new epoch.
    NewLeader,
    /// A follower introduces itself.
    FollowerInfo,
    /// The learner may serve clients.
    UpToDate,
    /// The learner's history is a prefix; what is missing follows.
    Diff,
    /// The learner is to forget what comes after this zxid.
    Trunc,
    /// A snapshot follows, as raw bytes.
    Snap,
    /// An observer introduces itself.
    ObserverInfo,
    /// The leader tells its epoch.
    LeaderInfo,
    /// A learner has accepted an epoch.
    AckEpoch,
    /// A decided reconfiguration, for an observer.
    InformAndActivate,
    /// One that we do not know. Apache warns and reads on.
    Unknown(i32),
}

impl PacketType {
    const KNOWN: [Self; 19] = [
        Self::Request,
        Self::Proposal,
        Self::Ack,
        Self::Commit,
        Self::Ping,
        Self::Revalidate,
        Self::Sync,
        Self::Inform,
        Self::CommitAndActivate,
        Self::NewLeader,
        Self::FollowerInfo,
        Self::UpToDate,
        Self::Diff,
        Self::Trunc,
        Self::Snap,
        Self::ObserverInfo,
        Self::LeaderInfo,
        Self::AckEpoch,
        Self::InformAndActivate,
    ];

    /// The number on the wire.
    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Request => 1,
            Self::Proposal => 2,
            Self::Ack => 3,
            Self::Commit => 4,
            Self::Ping => 5,
            Self::Revalidate => 6,
            Self::Sync => 7,
            Self::Inform => 8,
            Self::CommitAndActivate => 9,
            Self::NewLeader => 10,
            Self::FollowerInfo => 11,
            Self::UpToDate => 12,
            Self::Diff => 13,
            Self::Trunc => 14,
            Self::Snap => 15,
            Self::ObserverInfo => 16,
            Self::LeaderInfo => 17,
            Self::AckEpoch => 18,
            Self::InformAndActivate => 19,
            Self::Unknown(number) => number,
        }
    }

    /// What a number on the wire means.
    pub(crate) fn from_number(number: i32) -> Self {
        let known = Self::KNOWN.into_iter().find(|t| t.number() == number);
        known.unwrap_or(Self::Unknown(number))
    }
}

/// One packet, Apache's `QuorumPacket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuorumPacket {
    /// What it is about.
    pub(crate) packet_type: PacketType,
    /// Which transaction, epoch or nothing, depending on the type.
    pub(crate) zxid: Zxid,
    /// What else there is to say; `None` is not the same as empty on the wire.
    pub(crate) data: Option<Bytes>,
    /// The identities of the client whose request it is.
    pub(crate) authinfo: Option<Vec<AclId>>,
}

impl QuorumPacket {
    /// A packet that is its type and zxid alone.
    pub(crate) fn bare(packet_type: PacketType, zxid: Zxid) -> Self {
        Self {
            packet_type,
            zxid,
            data: None,
            authinfo: None,
        }
    }

    /// A packet with data, which may be empty.
    pub(crate) fn with_data(packet_type: PacketType, zxid: Zxid, data: impl Into<Bytes>) -> Self {
        Self {
            data: Some(data.into()),
            ..Self::bare(packet_type, zxid)
        }
    }

    /// The data, empty where there is none.
    pub(crate) fn bytes(&self) -> Bytes {
        self.data.clone().unwrap_or_default()
    }
}

impl Encode for QuorumPacket {
    fn encode(&self, out: &mut BytesMut) {
        out.put_i32(self.packet_type.number());
        self.zxid.encode(out);
        self.data.encode(out);
        self.authinfo.encode(out);
    }
}
