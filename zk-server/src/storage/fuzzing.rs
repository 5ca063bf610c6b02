//! What a fuzz target needs of the storage's inside.

use bytes::{Bytes, BytesMut};
use zk_proto::SessionId;

pub(crate) use super::names::log_name;
pub(crate) use super::record::{FILE_HEADER as LOG_HEADER, encode_record};
use super::snapshot_format::{FILE_HEADER, Seals};
pub(crate) use super::snapshot_format::{Snapshot, decode_snapshot};
use super::snapshot_walk::{SnapshotSource, SnapshotWalk, Still};
use crate::tree::DataTree;

/// What a snapshot's file begins with.
pub(crate) fn file_header() -> &'static [u8] {
    &FILE_HEADER
}

/// The file of a tree that nobody changes.
pub(crate) fn file_bytes(tree: &DataTree, sessions: &[(SessionId, i32)]) -> Bytes {
    let source: &mut dyn SnapshotSource = &mut Still(tree, sessions.to_vec());
    let mut walk = SnapshotWalk::begin(source);
    let (mut seals, mut file) = (Seals::new(), BytesMut::from(&FILE_HEADER[..]));
    while let Some(chunk) = walk.next_chunk(source) {
        file.extend_from_slice(&chunk);
    }
    seals.sum(&file);
    let zxid = tree.last_processed();
    file.extend_from_slice(&seals.sections(zxid, zxid, tree.digest()));
    file.freeze()
}
