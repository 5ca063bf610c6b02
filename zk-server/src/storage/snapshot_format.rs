//! The bytes of a snapshot's file, pure: what stands around a body, and a decoder.
//!
//! A header, then the body (see [`snapshot_body`](super::snapshot_body)); then sections
//! that later releases have added, each with a checksum of everything before it. Which
//! of them are there is told by what is left of the file, because a release that does
//! not know a section, or was told not to write it, leaves it out.

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use zk_proto::{Acl, Decode, DecodeError, Encode, Reader, Zxid};

use super::snapshot_body::{BodyLoader, END_PATH, SessionTimeouts};
use crate::tree::{DIGEST_VERSION, DataTree, SeededState, TreeDigest};

/// `ZKSN`, version 2, database −1.
pub(super) const FILE_HEADER: [u8; 16] = *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
const MAGIC: &[u8; 4] = b"ZKSN";

/// Checksum, and the path that ends a section.
const SEAL_LEN: usize = 8 + 4 + 1;
const SEAL_PATH: &str = END_PATH;
/// Zxid, version, digest.
const DIGEST_LEN: usize = 8 + 4 + 8;

/// The checksum of a file that is being written, and what it ends with.
pub(super) struct Seals(adler2::Adler32);

impl Seals {
    /// Of nothing yet.
    pub(super) fn new() -> Self {
        Self(adler2::Adler32::new())
    }

    /// These bytes have been written next.
    pub(super) fn sum(&mut self, bytes: &[u8]) {
        self.0.write_slice(bytes);
    }

    /// What follows the body: `zxid` and `digest` are those of the tree by now.
    pub(super) fn sections(mut self, name_zxid: Zxid, zxid: Zxid, digest: TreeDigest) -> Bytes {
        let mut out = BytesMut::new();
        self.seal(&mut out, 0);
        let begin = out.len();
        zxid.0.encode(&mut out);
        DIGEST_VERSION.encode(&mut out);
        digest.0.encode(&mut out);
        self.seal(&mut out, begin);
        let begin = out.len();
        name_zxid.0.encode(&mut out);
        self.seal(&mut out, begin);
        out.freeze()
    }

    /// Seals the section that begins at `begin` of `out`.
    fn seal(&mut self, out: &mut BytesMut, begin: usize) {
        self.sum(&out[begin..]);
        let end = out.len();
        let checksum: i64 = self.0.checksum().into();
        checksum.encode(out);
        SEAL_PATH.encode(out);
        self.sum(&out[end..]);
    }
}

/// What a snapshot holds.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) tree: DataTree,
    pub(crate) sessions: SessionTimeouts,
    /// The digest that the tree has after this transaction, once it has been replayed.
    pub(crate) digest: Option<(Zxid, TreeDigest)>,
}

/// Why bytes are no snapshot.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    #[error("it does not begin as a snapshot does")]
    NotASnapshot,
    #[error(transparent)]
    Record(#[from] DecodeError),
    #[error("the checksum does not fit what is before byte {0}")]
    Checksum(usize),
    #[error("a negative number of entries")]
    NegativeCount,
    #[error("{0} has no parent, or is there twice")]
    Orphan(String),
    #[error("{path} refers to ACL {id}, which is not there")]
    UnknownAcl { path: String, id: i64 },
    #[error("it ends with {0} bytes that belong to nothing")]
    Trailing(usize),
    #[error("a path, data or an ACL of more than {0} bytes")]
    TooLong(usize),
    #[error("it does not end with the signature of one")]
    Signature,
    #[error("it was over before")]
    Over,
}

/// Reads a snapshot. `zxid` is the one in its name, `hashing` keys the tree.
pub(crate) fn decode_snapshot(
    bytes: &Bytes,
    zxid: Zxid,
    hashing: SeededState,
) -> Result<Snapshot, SnapshotError> {
    if bytes.len() < FILE_HEADER.len() || !bytes.starts_with(MAGIC) {
        return Err(SnapshotError::NotASnapshot);
    }
    let body = bytes.slice(FILE_HEADER.len()..);
    let mut reader = Reader::new(&body);
    let mut loader = BodyLoader::new(hashing);
    for _ in 0..BodyLoader::count(&mut reader)? {
        loader.session(&mut reader)?;
    }
    for _ in 0..BodyLoader::count(&mut reader)? {
        let id = i64::decode(&mut reader)?;
        loader.acl(id, Option::<Vec<Acl>>::decode(&mut reader)?);
    }
    loop {
        let path = String::decode(&mut reader)?;
        if path == END_PATH {
            break;
        }
        loader.node(path, &mut reader)?;
    }
    let digest = trailers(bytes, &mut reader)?;
    let (tree, sessions) = loader.finish(zxid);
    Ok(Snapshot {
        tree,
        sessions,
        digest: digest.filter(|(after, _)| *after >= zxid),
    })
}

/// What follows the last znode, by what is left: nothing, or a seal; then, if there are
/// more, the digest with its seal, and the zxid with its own, or either of them.
fn trailers(
    bytes: &Bytes,
    reader: &mut Reader<'_>,
) -> Result<Option<(Zxid, TreeDigest)>, SnapshotError> {
    const WITH_ZXID: usize = 8 + SEAL_LEN;
    const WITH_DIGEST: usize = DIGEST_LEN + SEAL_LEN;
    if reader.remaining() == 0 {
        // Releases before checksums.
        return Ok(None);
    }
    check_seal(bytes, reader)?;
    let left = reader.remaining();
    let mut digest = None;
    if left == WITH_DIGEST || left == WITH_DIGEST + WITH_ZXID {
        let zxid = Zxid(i64::decode(reader)?);
        let version = i32::decode(reader)?;
        let value = TreeDigest(i64::decode(reader)?);
        digest = (version == DIGEST_VERSION).then_some((zxid, value));
        check_seal(bytes, reader)?;
    }
    if reader.remaining() == WITH_ZXID {
        // The name says the same.
        i64::decode(reader)?;
        check_seal(bytes, reader)?;
    }
    match reader.remaining() {
        0 => Ok(digest),
        left => Err(SnapshotError::Trailing(left)),
    }
}

fn check_seal(bytes: &Bytes, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
    let at = bytes.len() - reader.remaining();
    let checksum = i64::decode(reader)?;
    let path = String::decode(reader)?;
    let fits = checksum == i64::from(adler2::adler32_slice(&bytes[..at])) && path == SEAL_PATH;
    fits.then_some(()).ok_or(SnapshotError::Checksum(at))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::BufMut;
    use zk_proto::{AclId, Perms, SessionId};

    use super::super::snapshot_body::BodyEncoder;
    use super::*;
    use crate::tree::{AclList, EphemeralType, StatPersisted, Znode};

    /// A file with this body, which was made in two pieces.
    fn file(pieces: [Bytes; 2], zxid: Zxid, digest: TreeDigest) -> Bytes {
        let mut bytes = BytesMut::from(&FILE_HEADER[..]);
        let mut seals = Seals::new();
        seals.sum(&FILE_HEADER);
        for piece in pieces {
            seals.sum(&piece);
            bytes.extend_from_slice(&piece);
        }
        bytes.extend_from_slice(&seals.sections(zxid, zxid, digest));
        bytes.freeze()
    }

    #[test]
    fn a_fresh_tree_is_read_as_it_was() {
        let tree = DataTree::new(SeededState(3));
        let mut encoder = BodyEncoder::new(&[], tree.acl_lists());
        for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
            encoder.add(path, tree.node(path).expect("built in"));
        }
        encoder.end();
        let bytes = file([encoder.take(), Bytes::new()], Zxid(0), TreeDigest(0));
        let loaded = decode_snapshot(&bytes, Zxid(0), SeededState(4)).expect("our own");
        assert_eq!(loaded.tree.digest(), tree.digest());
        assert_eq!(loaded.tree.node_count(), tree.node_count());
    }

    fn node(ephemeral: EphemeralType) -> Znode {
        let acl = AclList::from([Acl::new(Perms::READ, AclId::new("ip", "10.0.0.1"))]);
        let stat = StatPersisted::created(Zxid(7), 8, ephemeral);
        Znode::new("/a", Some(Box::from(*b"data")), acl, stat)
    }

    fn sample() -> Bytes {
        let tree = DataTree::new(SeededState(3));
        let node = node(EphemeralType::Container);
        let acls = tree.acl_lists().chain([Arc::clone(&node.acl)]);
        let sessions = [(SessionId(5), 6000)];
        let mut encoder = BodyEncoder::new(&sessions, acls.collect::<Vec<_>>());
        encoder.add("/", tree.node("/").expect("built in"));
        let first = encoder.take();
        encoder.add("/a", &node);
        encoder.end();
        file([first, encoder.take()], Zxid(7), TreeDigest(1))
    }

    #[test]
    fn what_is_written_in_pieces_is_read_as_one() {
        let loaded = decode_snapshot(&sample(), Zxid(7), SeededState(1)).expect("our own");
        assert_eq!(loaded.sessions, [(SessionId(5), 6000)]);
        assert_eq!(loaded.digest, Some((Zxid(7), TreeDigest(1))));
        let (read, written) = (
            loaded.tree.node("/a").expect("it is there"),
            node(EphemeralType::Container),
        );
        assert_eq!(
            (&read.data, &read.acl, read.stat),
            (&written.data, &written.acl, written.stat)
        );
        assert_eq!(loaded.tree.last_processed(), Zxid(7));
    }

    #[test]
    fn sections_that_were_left_out_are_not_missed() {
        let whole = sample();
        let without_zxid = whole.slice(..whole.len() - 21);
        let without_both = whole.slice(..whole.len() - 21 - 33);
        let without_seal = whole.slice(..whole.len() - 21 - 33 - 13);
        for part in [&without_zxid, &without_both, &without_seal] {
            decode_snapshot(part, Zxid(7), SeededState(1)).expect("Apache writes it so");
        }
        // digest.enabled=false: the zxid alone.
        let mut bytes = BytesMut::from(&without_both[..]);
        bytes.put_i64(7);
        let checksum = adler2::adler32_slice(&bytes);
        bytes.put_i64(checksum.into());
        SEAL_PATH.encode(&mut bytes);
        decode_snapshot(&bytes.freeze(), Zxid(7), SeededState(1)).expect("Apache writes it so");
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let whole = sample();
        for at in 4..whole.len() {
            // The version and the database's number are not looked at, as with Apache,
            // but they are in the checksum.
            for bit in [0, 7] {
                let mut bytes = BytesMut::from(&whole[..]);
                bytes[at] ^= 1 << bit;
                let read = decode_snapshot(&bytes.freeze(), Zxid(7), SeededState(1));
                assert!(read.is_err(), "bit {bit} of byte {at}");
            }
        }
        let ends = [21, 21 + 33, 21 + 33 + 13].map(|less| whole.len() - less);
        for len in (0..whole.len()).filter(|len| !ends.contains(len)) {
            let read = decode_snapshot(&whole.slice(..len), Zxid(7), SeededState(1));
            assert!(read.is_err(), "{len} bytes");
        }
    }
}
