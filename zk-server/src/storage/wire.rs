//! A snapshot on the wire, as a leader sends it to a learner that needs everything anew.
//!
//! The body of a snapshot's file without anything around it, and a signature as a jute
//! string. Nothing says beforehand how long it is, so that a reader has to read it to know
//! where packets go on; and there is no checksum, so that it is worth as much as the
//! connection.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use zk_proto::{Acl, Decode, Encode, Reader, Zxid};

use super::snapshot_body::{BodyLoader, END_PATH, SessionTimeouts};
use super::snapshot_format::SnapshotError;
use super::snapshot_walk::{SnapshotSource, SnapshotWalk};
use crate::quorum::SNAP_SIGNATURE;
use crate::tree::{DataTree, SeededState};

/// Sends a snapshot and its signature, chunk by chunk: 256 KiB each, and what a znode has
/// beyond them. The tree may change meanwhile, and is lent for one chunk at a time. Returns
/// the last transaction that is certainly in it; whoever reads it has to be told of all that
/// came later.
///
/// # Errors
///
/// Those of the stream, which is not flushed.
///
/// # Cancel safety
///
/// None: what has been sent is no snapshot, and the connection of no more use.
pub(crate) async fn send_snapshot(
    source: &mut dyn SnapshotSource,
    stream: &mut (impl AsyncWrite + Unpin),
    mut progressed: impl FnMut(),
) -> io::Result<Zxid> {
    let mut walk = SnapshotWalk::begin(source);
    while let Some(chunk) = walk.next_chunk(source) {
        stream.write_all(&chunk).await?;
        progressed();
    }
    let mut signature = BytesMut::new();
    SNAP_SIGNATURE.encode(&mut signature);
    stream.write_all(&signature).await?;
    Ok(walk.zxid())
}

/// A snapshot that has come over the wire.
#[derive(Debug)]
pub(crate) struct WireSnapshot {
    /// The znodes. Effects of transactions behind the one that the snapshot began with may
    /// be among them.
    pub(crate) tree: DataTree,
    /// Sessions with their timeouts in milliseconds.
    pub(crate) sessions: SessionTimeouts,
}

/// Reads a snapshot and its signature from a stream, however it was chunked.
///
/// The tree grows as the bytes come: what waits in the input is never more than one item,
/// and no item has more than three fields of the limit's length. How many there are, only
/// the sender knows, as with its own tree.
#[derive(Debug)]
pub(crate) struct WireSnapshotReader {
    loader: BodyLoader,
    zxid: Zxid,
    limit: usize,
    next: Expected,
}

/// What comes next.
#[derive(Debug)]
enum Expected {
    SessionCount,
    Session {
        left: i32,
    },
    AclCount,
    /// The number of a list, and how many entries it has.
    AclHeader {
        left: i32,
    },
    AclEntry {
        id: i64,
        acl: Vec<Acl>,
        entries_left: i32,
        /// Bytes that the rest of the list may take.
        room: usize,
        /// Lists behind this one.
        left: i32,
    },
    Node,
    Signature,
    /// Nothing: it has been handed out, or cannot be read.
    Over,
}

impl WireSnapshotReader {
    /// Reads a snapshot that has everything up to `zxid` for sure, into a tree keyed by
    /// `hashing`. Paths, data and ACLs of more than `limit` bytes are refused.
    pub(crate) fn new(zxid: Zxid, hashing: SeededState, limit: usize) -> Self {
        Self {
            loader: BodyLoader::new(hashing),
            zxid,
            // The path that ends it has to fit.
            limit: limit.max(END_PATH.len()),
            next: Expected::SessionCount,
        }
    }

    /// Takes as much of the snapshot off the front of `input` as is there. Returns it when
    /// the signature has come; what stands behind that is left in `input`. `None` when more
    /// bytes are needed.
    ///
    /// # Errors
    ///
    /// What is no snapshot. The stream cannot be read on then, nor by this reader.
    pub(crate) fn feed(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<WireSnapshot>, SnapshotError> {
        loop {
            let Some(len) = self.item_len(input)? else {
                return Ok(None);
            };
            let item = input.split_to(len).freeze();
            let expected = std::mem::replace(&mut self.next, Expected::Over);
            match self.load(expected, &item)? {
                Expected::Over => return Ok(Some(self.hand_out())),
                next => self.next = next,
            }
        }
    }

    fn hand_out(&mut self) -> WireSnapshot {
        let loader = std::mem::replace(&mut self.loader, BodyLoader::new(SeededState(0)));
        let (tree, sessions) = loader.finish(self.zxid);
        WireSnapshot { tree, sessions }
    }

    /// How many bytes the next item has, if all of them are there.
    fn item_len(&self, input: &[u8]) -> Result<Option<usize>, SnapshotError> {
        let mut extent = Extent {
            rest: input,
            limit: self.limit,
        };
        let is_there = match &self.next {
            Expected::SessionCount | Expected::AclCount => extent.skip(4),
            // Without any, there is nothing to wait for.
            Expected::Session { left: 0 } | Expected::AclHeader { left: 0 } => true,
            Expected::AclEntry {
                entries_left: 0, ..
            } => true,
            Expected::Session { .. } | Expected::AclHeader { .. } => extent.skip(8 + 4),
            Expected::AclEntry { .. } => {
                extent.skip(4) && extent.skip_counted()? && extent.skip_counted()?
            }
            Expected::Node if input.starts_with(&[0, 0, 0, 1, b'/']) => extent.skip(5),
            Expected::Node => {
                extent.skip_counted()? && extent.skip_counted()? && extent.skip(NODE_NUMBERS)
            }
            Expected::Signature => {
                extent.limit = SNAP_SIGNATURE.len();
                let skipped = extent.skip_counted();
                skipped.map_err(|_| SnapshotError::Signature)?
            }
            Expected::Over => return Err(SnapshotError::Over),
        };
        Ok(is_there.then(|| input.len() - extent.rest.len()))
    }

    /// Loads an item, and says what follows it.
    fn load(&mut self, expected: Expected, item: &Bytes) -> Result<Expected, SnapshotError> {
        let reader = &mut Reader::new(item);
        Ok(match expected {
            Expected::SessionCount => Expected::Session {
                left: BodyLoader::count(reader)?,
            },
            Expected::Session { left: 0 } => Expected::AclCount,
            Expected::Session { left } => {
                self.loader.session(reader)?;
                Expected::Session { left: left - 1 }
            }
            Expected::AclCount => Expected::AclHeader {
                left: BodyLoader::count(reader)?,
            },
            Expected::AclHeader { left: 0 } => Expected::Node,
            Expected::AclHeader { left } => self.load_acl_header(left - 1, reader)?,
            Expected::AclEntry {
                id,
                acl,
                entries_left: 0,
                left,
                ..
            } => {
                self.loader.acl(id, Some(acl));
                Expected::AclHeader { left }
            }
            Expected::AclEntry {
                id,
                mut acl,
                entries_left,
                room,
                left,
            } => {
                acl.push(Acl::decode(reader)?);
                Expected::AclEntry {
                    id,
                    acl,
                    entries_left: entries_left - 1,
                    room: room
                        .checked_sub(item.len())
                        .ok_or(SnapshotError::TooLong(self.limit))?,
                    left,
                }
            }
            Expected::Node => {
                let path = String::decode(reader)?;
                if path == END_PATH {
                    return Ok(Expected::Signature);
                }
                self.loader.node(path, reader)?;
                Expected::Node
            }
            Expected::Signature => {
                let signature = String::decode(reader)?;
                if signature != SNAP_SIGNATURE {
                    return Err(SnapshotError::Signature);
                }
                Expected::Over
            }
            Expected::Over => return Err(SnapshotError::Over),
        })
    }

    /// As a vector is read from a file: −1 is null, and less is empty.
    fn load_acl_header(
        &mut self,
        left: i32,
        reader: &mut Reader<'_>,
    ) -> Result<Expected, SnapshotError> {
        let id = i64::decode(reader)?;
        let entries = i32::decode(reader)?;
        if entries == -1 {
            self.loader.acl(id, None);
            return Ok(Expected::AclHeader { left });
        }
        Ok(Expected::AclEntry {
            id,
            acl: Vec::new(),
            entries_left: entries.max(0),
            room: self.limit,
            left,
        })
    }
}

/// What follows path and data of a znode: its ACL's number and its `Stat`.
const NODE_NUMBERS: usize = 8 + 60;

/// How far an item reaches, as far as its bytes are there.
struct Extent<'a> {
    rest: &'a [u8],
    limit: usize,
}

impl Extent<'_> {
    /// Moves on; false if not so much is there yet.
    fn skip(&mut self, len: usize) -> bool {
        match self.rest.get(len..) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Moves behind a buffer or string; null has no bytes.
    fn skip_counted(&mut self) -> Result<bool, SnapshotError> {
        let Some(word) = self.rest.first_chunk() else {
            return Ok(false);
        };
        let length = i32::from_be_bytes(*word);
        match usize::try_from(length) {
            _ if length == -1 => Ok(self.skip(4)),
            Ok(len) if len <= self.limit => Ok(self.skip(4 + len)),
            Ok(_) => Err(SnapshotError::TooLong(self.limit)),
            Err(_) => Err(SnapshotError::NegativeCount),
        }
    }
}
