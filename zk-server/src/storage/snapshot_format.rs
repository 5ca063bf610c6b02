//! The bytes of a snapshot, pure: an encoder that is fed znode by znode, and a decoder.
//!
//! Header, sessions, ACLs by number, znodes with parents before children; then sections
//! that later releases have added, each with a checksum of everything before it. Which
//! of them are there is told by what is left of the file, because a release that does
//! not know a section, or was told not to write it, leaves it out.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use zk_proto::{Acl, Decode, DecodeError, Encode, Reader, SessionId, Zxid};

use crate::tree::{
    AclList, DIGEST_VERSION, DataTree, EphemeralType, SeededState, StatPersisted, TreeDigest,
    Znode, open_acl,
};

/// `ZKSN`, version 2, database −1.
const FILE_HEADER: [u8; 16] = *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
const MAGIC: &[u8; 4] = b"ZKSN";

/// The number of `world:anyone` with all permissions, which is in no list.
const OPEN_ACL_ID: i64 = -1;
/// Checksum, and the path that ends a section.
const SEAL_LEN: usize = 8 + 4 + 1;
const SEAL_PATH: &str = "/";
/// Zxid, version, digest.
const DIGEST_LEN: usize = 8 + 4 + 8;

/// Sessions with their timeouts in milliseconds.
pub(crate) type SessionTimeouts = Vec<(SessionId, i32)>;

/// Writes a snapshot. What it has made is taken away by [`take`](Self::take), whenever.
#[derive(Debug)]
pub(crate) struct SnapshotEncoder {
    out: BytesMut,
    /// Bytes of `out` that are in the checksum.
    summed: usize,
    adler: Adler,
    acl_ids: HashMap<AclList, i64>,
}

/// A checksum in progress.
struct Adler(adler2::Adler32);

impl std::fmt::Debug for Adler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adler({:x})", self.0.checksum())
    }
}

impl SnapshotEncoder {
    /// Begins with what is not in the tree. Znodes with an ACL that is not in `acls` get the
    /// open one: they have changed since, and the log says how.
    pub(crate) fn new(
        sessions: &[(SessionId, i32)],
        acls: impl IntoIterator<Item = AclList>,
    ) -> Self {
        let open = open_acl();
        let acls = acls.into_iter().filter(|acl| *acl != open);
        let acl_ids: HashMap<AclList, i64> = acls.zip(1..).collect();
        let mut out = BytesMut::from(&FILE_HEADER[..]);
        out.put_i32(count(sessions.len()));
        for (session, timeout_ms) in sessions {
            (session.0, *timeout_ms).encode(&mut out);
        }
        let mut lists: Vec<_> = acl_ids.iter().map(|(acl, id)| (*id, acl)).collect();
        lists.sort_unstable_by_key(|(id, _)| *id);
        out.put_i32(count(lists.len()));
        for (id, acl) in lists {
            id.encode(&mut out);
            out.put_i32(count(acl.len()));
            acl.iter().for_each(|entry| entry.encode(&mut out));
        }
        Self {
            out,
            summed: 0,
            adler: Adler(adler2::Adler32::new()),
            acl_ids,
        }
    }

    /// Adds a znode; its parent must have been added before.
    pub(crate) fn add(&mut self, path: &str, node: &Znode) {
        let path = if path == "/" { "" } else { path };
        let out = &mut self.out;
        path.encode(out);
        node.data.as_deref().encode(out);
        self.acl_ids
            .get(&node.acl)
            .copied()
            .unwrap_or(OPEN_ACL_ID)
            .encode(out);
        let stat = &node.stat;
        (stat.czxid.0, stat.mzxid.0).encode(out);
        (stat.ctime, stat.mtime).encode(out);
        (stat.version, (stat.cversion, stat.aversion)).encode(out);
        stat.ephemeral.persisted_owner().encode(out);
        stat.pzxid.0.encode(out);
    }

    /// Ends the snapshot: `zxid` and `digest` are those of the tree by now.
    pub(crate) fn finish(&mut self, name_zxid: Zxid, zxid: Zxid, digest: TreeDigest) {
        SEAL_PATH.encode(&mut self.out);
        self.seal();
        zxid.0.encode(&mut self.out);
        DIGEST_VERSION.encode(&mut self.out);
        digest.0.encode(&mut self.out);
        self.seal();
        name_zxid.0.encode(&mut self.out);
        self.seal();
    }

    fn seal(&mut self) {
        self.sum();
        let checksum: i64 = self.adler.0.checksum().into();
        checksum.encode(&mut self.out);
        SEAL_PATH.encode(&mut self.out);
    }

    fn sum(&mut self) {
        self.adler.0.write_slice(&self.out[self.summed..]);
        self.summed = self.out.len();
    }

    /// Bytes that wait to be taken.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// What has been made since the last time.
    pub(crate) fn take(&mut self) -> Bytes {
        self.sum();
        self.summed = 0;
        self.out.split().freeze()
    }
}

/// Lengths are those of what is in memory.
fn count(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
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
    let mut sessions = Vec::new();
    for _ in 0..entries(&mut reader)? {
        let session = SessionId(i64::decode(&mut reader)?);
        sessions.push((session, i32::decode(&mut reader)?));
    }
    let mut acls = HashMap::from([(OPEN_ACL_ID, open_acl())]);
    for _ in 0..entries(&mut reader)? {
        let id = i64::decode(&mut reader)?;
        let acl = Option::<Vec<Acl>>::decode(&mut reader)?;
        acls.insert(id, acl.map_or_else(open_acl, AclList::from));
    }
    let mut tree = DataTree::unloaded(hashing);
    loop {
        let path = String::decode(&mut reader)?;
        if path == SEAL_PATH {
            break;
        }
        load_node(&mut tree, path, &mut reader, &acls)?;
    }
    let digest = trailers(bytes, &mut reader)?;
    tree.loaded(zxid);
    Ok(Snapshot {
        tree,
        sessions,
        digest: digest.filter(|(after, _)| *after >= zxid),
    })
}

fn entries(reader: &mut Reader<'_>) -> Result<i32, SnapshotError> {
    let count = i32::decode(reader)?;
    (count >= 0)
        .then_some(count)
        .ok_or(SnapshotError::NegativeCount)
}

fn load_node(
    tree: &mut DataTree,
    path: String,
    reader: &mut Reader<'_>,
    acls: &HashMap<i64, AclList>,
) -> Result<(), SnapshotError> {
    let data = Option::<std::borrow::Cow<'_, [u8]>>::decode(reader)?;
    let id = i64::decode(reader)?;
    let Some(acl) = acls.get(&id) else {
        return Err(SnapshotError::UnknownAcl { path, id });
    };
    let (czxid, mzxid) = (i64::decode(reader)?, i64::decode(reader)?);
    let (ctime, mtime) = (i64::decode(reader)?, i64::decode(reader)?);
    let version = i32::decode(reader)?;
    let cversion = i32::decode(reader)?;
    let aversion = i32::decode(reader)?;
    let owner = i64::decode(reader)?;
    let stat = StatPersisted {
        czxid: Zxid(czxid),
        mzxid: Zxid(mzxid),
        pzxid: Zxid(i64::decode(reader)?),
        ctime,
        mtime,
        version,
        cversion,
        aversion,
        ephemeral: EphemeralType::from_persisted(owner),
    };
    let data = data.map(|data| Box::from(&*data));
    if tree.load(&path, data, Arc::clone(acl), stat) {
        Ok(())
    } else {
        Err(SnapshotError::Orphan(path))
    }
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
    use zk_proto::{AclId, Perms};

    use super::*;

    #[test]
    fn a_fresh_tree_is_read_as_it_was() {
        let tree = DataTree::new(SeededState(3));
        let mut encoder = SnapshotEncoder::new(&[], tree.acl_lists());
        for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
            encoder.add(path, tree.node(path).expect("built in"));
        }
        encoder.finish(Zxid(0), Zxid(0), TreeDigest(0));
        let bytes = encoder.take();
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
        let mut encoder = SnapshotEncoder::new(&sessions, acls.collect::<Vec<_>>());
        encoder.add("/", tree.node("/").expect("built in"));
        let mut bytes = BytesMut::from(&encoder.take()[..]);
        encoder.add("/a", &node);
        encoder.finish(Zxid(7), Zxid(7), TreeDigest(1));
        bytes.extend_from_slice(&encoder.take());
        bytes.freeze()
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
