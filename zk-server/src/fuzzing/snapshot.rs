//! Snapshots, from a file and from the wire.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use zk_proto::{Acl, Zxid};

use super::pieces::Pieces;
use crate::storage::fuzzing::{Snapshot, decode_snapshot, file_bytes, file_header};
use crate::storage::{SessionTimeouts, WireSnapshotReader};
use crate::tree::{DataTree, SeededState, StatPersisted};

const ZXID: Zxid = Zxid(7);
const HASHING: SeededState = SeededState(3);

/// The first byte of the input times this is the limit for each field.
const LIMIT_UNIT: usize = 16;

/// All that a snapshot says.
#[derive(Debug, PartialEq)]
struct Said {
    sessions: SessionTimeouts,
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, PartialEq)]
struct Node {
    data: Option<Box<[u8]>>,
    acl: Vec<Acl>,
    stat: StatPersisted,
    children: Vec<Box<str>>,
}

impl Said {
    fn by(tree: &DataTree, sessions: &SessionTimeouts) -> Self {
        let nodes = tree.paths().map(|path| {
            let node = tree.node(path).expect("it is listed");
            let node = Node {
                data: node.data.clone(),
                acl: node.acl.to_vec(),
                stat: node.stat,
                children: node.children.iter().cloned().collect(),
            };
            (path.to_string(), node)
        });
        Self {
            sessions: sessions.clone(),
            nodes: nodes.collect(),
        }
    }
}

/// Reads the input as a snapshot's file. If it is one, every znode has its parent, and writing
/// it and reading that gives the same tree with the same digest.
pub fn snapshot_bytes(input: &[u8]) {
    let Ok(snapshot) = decode_snapshot(&Bytes::copy_from_slice(input), ZXID, HASHING) else {
        return;
    };
    let Snapshot { tree, sessions, .. } = snapshot;
    let said = Said::by(&tree, &sessions);
    for path in said.nodes.keys().filter(|path| *path != "/") {
        let (parent, name) = path.rsplit_once('/').expect("no other is loaded");
        let parent = if parent.is_empty() { "/" } else { parent };
        let parent = said.nodes.get(parent).expect("it has a parent");
        assert!(
            parent.children.iter().any(|child| &**child == name),
            "{path}"
        );
    }
    let again = decode_snapshot(&file_bytes(&tree, &sessions), ZXID, HASHING);
    let again = again.expect("what we write we read");
    assert_eq!(Said::by(&again.tree, &again.sessions), said);
    assert_eq!(again.tree.digest(), tree.digest());
    assert_eq!(again.digest, Some((ZXID, tree.digest())));
}

/// The first byte gives the limit, the second the sizes of the pieces, the rest is what comes
/// on a connection behind a SNAP. However it is cut, it is the same snapshot with the same
/// bytes behind it, or refused for the same reason; and a file with these bytes in it holds
/// the same.
pub fn wire_bytes(input: &[u8]) {
    let &[limit, seed, ref stream @ ..] = input else {
        return;
    };
    let limit = usize::from(limit) * LIMIT_UNIT;
    let [whole, others @ ..] = Pieces::every(seed).map(|pieces| read(stream, limit, pieces));
    for other in others {
        assert_eq!(other, whole, "limit {limit}");
    }
    if let Ok(Some((said, behind))) = whole {
        const SIGNATURE: usize = 4 + 10;
        let body = &stream[..stream.len() - behind.len() - SIGNATURE];
        let file = Bytes::from([file_header(), body].concat());
        let snapshot = decode_snapshot(&file, ZXID, HASHING).expect("the same bytes");
        assert_eq!(Said::by(&snapshot.tree, &snapshot.sessions), said);
    }
}

/// A snapshot and what stood behind it.
type Read = Result<Option<(Said, Vec<u8>)>, String>;

fn read(mut stream: &[u8], limit: usize, mut pieces: Pieces) -> Read {
    let mut reader = WireSnapshotReader::new(ZXID, HASHING, limit);
    let mut input = BytesMut::new();
    loop {
        match reader.feed(&mut input) {
            Ok(Some(snapshot)) => {
                let said = Said::by(&snapshot.tree, &snapshot.sessions);
                return Ok(Some((said, [&input[..], stream].concat())));
            }
            Ok(None) if stream.is_empty() => return Ok(None),
            Ok(None) => input.extend_from_slice(pieces.next(&mut stream)),
            Err(error) => {
                reader.feed(&mut input).expect_err("a refusal stands");
                return Err(error.to_string());
            }
        }
    }
}
