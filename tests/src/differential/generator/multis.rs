//! multi and multiRead: some that commit, some that break at each place, some
//! that use what they have just made, some that no server takes.

use bytes::BytesMut;
use zk_proto::path::join;
use zk_proto::record::{
    CheckVersionRequest, CreateRequest, DeleteRequest, MultiOp, MultiRequest, SetDataRequest,
};
use zk_proto::{Acl, CreateMode, Encode};

use super::{Generator, View};

const LONGEST: usize = 6;

/// Bytes, well below the frame limit.
const LARGEST: usize = 500_000;

impl Generator {
    pub(super) fn multi(&mut self, view: &View<'_>) -> MultiRequest<'static> {
        let mut ops = match self.dice.below(20) {
            0 => vec![],
            1 => self.reads(view),
            2 => {
                let mut ops = self.writes(view);
                let at = self.dice.below(ops.len() + 1);
                ops.insert(at, MultiOp::GetData(self.get_data(view)));
                ops
            }
            3..8 => self.nested(view),
            8..12 => self.likely(view),
            _ => self.writes(view),
        };
        // The observer sends these too: none may be over the frame limit.
        if encoded_len(&ops) > LARGEST {
            ops.truncate(1);
        }
        MultiRequest { ops }
    }

    pub(super) fn multi_read(&mut self, view: &View<'_>) -> MultiRequest<'static> {
        let ops = match self.dice.below(20) {
            0 => vec![],
            1 => self.writes(view),
            2 => {
                let mut ops = self.reads(view);
                ops.push(MultiOp::Check(self.check(view)));
                ops
            }
            _ => self.reads(view),
        };
        MultiRequest { ops }
    }

    fn writes(&mut self, view: &View<'_>) -> Vec<MultiOp<'static>> {
        let count = self.dice.between(1, LONGEST);
        (0..count).map(|_| self.write(view)).collect()
    }

    fn write(&mut self, view: &View<'_>) -> MultiOp<'static> {
        match self.dice.below(20) {
            0..4 => MultiOp::Create(self.create_plain(view)),
            4..8 => MultiOp::Create2(self.create_plain(view)),
            8 => MultiOp::CreateContainer(self.create_container(view)),
            9 => MultiOp::CreateTtl(self.create_ttl(view)),
            10..13 => MultiOp::Delete(self.delete(view)),
            13..17 => MultiOp::SetData(self.set_data(view)),
            _ => MultiOp::Check(self.check(view)),
        }
    }

    fn reads(&mut self, view: &View<'_>) -> Vec<MultiOp<'static>> {
        let count = self.dice.between(1, LONGEST);
        let mut ops = Vec::with_capacity(count);
        for _ in 0..count {
            ops.push(if self.dice.percent(50) {
                MultiOp::GetData(self.get_data(view))
            } else {
                MultiOp::GetChildren(self.get_children(view))
            });
        }
        ops
    }

    /// Each operation stands on the one before.
    fn nested(&mut self, view: &View<'_>) -> Vec<MultiOp<'static>> {
        let parent = self.birthplace(view);
        let child = join(&parent, self.name());
        let mode = *self.dice.pick(&[
            CreateMode::Persistent,
            CreateMode::EphemeralSequential,
            CreateMode::PersistentSequential,
        ]);
        let mut ops = vec![
            MultiOp::Create2(open(&parent, CreateMode::Persistent)),
            MultiOp::Create(open(&join(&parent, "s-"), mode)),
            MultiOp::Create(open(&child, CreateMode::Ephemeral)),
            MultiOp::SetData(SetDataRequest {
                path: parent.clone().into(),
                data: self.data(),
                version: 0,
            }),
            MultiOp::Check(CheckVersionRequest {
                path: parent.into(),
                version: 1,
            }),
            MultiOp::Delete(DeleteRequest {
                path: child.into(),
                version: -1,
            }),
        ];
        ops.truncate(self.dice.between(2, ops.len()));
        if self.dice.percent(25) {
            // The counters that were used have to go back.
            ops.push(MultiOp::Check(CheckVersionRequest {
                path: "/missing".into(),
                version: -1,
            }));
        }
        ops
    }

    /// Most of these commit.
    fn likely(&mut self, view: &View<'_>) -> Vec<MultiOp<'static>> {
        let count = self.dice.between(1, LONGEST);
        let mut ops = Vec::with_capacity(count);
        for _ in 0..count {
            let path = self.existing(view);
            ops.push(match self.dice.below(3) {
                0 => MultiOp::Create2(open(&join(&path, "s-"), CreateMode::PersistentSequential)),
                1 => MultiOp::SetData(SetDataRequest {
                    path: path.into(),
                    data: self.data(),
                    version: -1,
                }),
                _ => MultiOp::Check(CheckVersionRequest {
                    path: path.into(),
                    version: -1,
                }),
            });
        }
        ops
    }
}

fn encoded_len(ops: &[MultiOp<'_>]) -> usize {
    let mut body = BytesMut::new();
    for op in ops {
        op.encode(&mut body);
    }
    body.len()
}

/// A create that asks for nothing special.
pub(super) fn open(path: &str, mode: CreateMode) -> CreateRequest<'static> {
    CreateRequest {
        path: path.to_owned().into(),
        data: Some(b"multi".into()),
        acl: Some(vec![Acl::open()]),
        flags: mode.flags(),
    }
}
