//! Operations that only read. Each answers from the tree as it is, encoding what it
//! finds straight into the connection's output.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::record::{
    ClientInfo, GetAclResponse, GetAllChildrenNumberResponse, GetChildrenResponse, GetDataResponse,
    MultiResponse, MultiResult, WhoAmIResponse,
};
use zk_proto::{Acl, Decode, Encode, ErrorCode, OpCode, Perms, Xid};

use super::multi_request::{MultiOp, decode_multi};
use super::request::{PathWatch, Text};
use crate::auth::Schemes;
use crate::conn::{ConnId, Connection, Request};
use crate::tree::{DataTree, Watches, Znode, masked};

/// What a read sees, and where its answer goes.
pub(crate) struct Reading<'r> {
    pub(crate) conn: ConnId,
    pub(crate) connection: &'r mut Connection,
    pub(crate) schemes: &'r Schemes,
    pub(crate) tree: &'r DataTree,
    pub(crate) watches: &'r mut Watches,
    /// Bytes that a multiRead may answer; it can ask for the same large znode any
    /// number of times.
    pub(crate) multi_read_limit: usize,
}

/// What a null path is answered with, except where said.
pub(super) const NULL: ErrorCode = ErrorCode::MarshallingError;

impl<'r> Reading<'r> {
    /// Answers a read. `op` is one.
    pub(crate) fn answer(&mut self, op: OpCode, request: Request<'_>) {
        let xid = request.xid;
        if let Err(error) = self.read(op, request) {
            let zxid = self.tree.last_processed();
            self.connection.reply(xid, zxid, error, &());
        }
    }

    fn read(&mut self, op: OpCode, request: Request<'_>) -> Result<(), ErrorCode> {
        match op {
            OpCode::Ping => {
                self.ok(Xid::PING, &());
                Ok(())
            }
            OpCode::Exists => self.exists(request),
            OpCode::GetData => self.get_data(request),
            OpCode::GetAcl => self.get_acl(request),
            OpCode::GetChildren => self.get_children(request),
            OpCode::GetChildren2 => self.get_children2(request),
            OpCode::GetAllChildrenNumber => self.get_all_children_number(request),
            OpCode::GetEphemerals => self.get_ephemerals(request),
            OpCode::MultiRead => self.multi_read(request),
            OpCode::Sync => self.sync(request),
            OpCode::WhoAmI => self.who_am_i(request),
            OpCode::SetWatches => self.set_watches(request),
            OpCode::SetWatches2 => self.set_watches2(request),
            OpCode::AddWatch => self.add_watch(request),
            OpCode::CheckWatches => self.check_watches(request),
            OpCode::RemoveWatches => self.remove_watches(request),
            // Every caller asks for a read.
            _ => unreachable!("{op:?} is no read"),
        }
    }

    pub(super) fn ok(&mut self, xid: Xid, body: &impl Encode) {
        let zxid = self.tree.last_processed();
        self.connection.reply(xid, zxid, ErrorCode::Ok, body);
    }

    /// Whether the connection has any of `wanted` on the znode.
    fn permits(&self, node: &Znode, wanted: Perms) -> bool {
        let identities = self.connection.identities();
        self.schemes.permits(&node.acl, wanted, identities)
    }

    /// The znode at `path`, if there is one that grants any of `wanted`.
    fn node(&self, path: &Text<'_>, wanted: Perms) -> Result<&'r Znode, ErrorCode> {
        let path = path.as_deref().ok_or(NULL)?;
        let node = self.tree.node(path).ok_or(ErrorCode::NoNode)?;
        if !self.permits(node, wanted) {
            return Err(ErrorCode::NoAuth);
        }
        Ok(node)
    }

    /// Leaves its watch also where there is nothing.
    fn exists(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let PathWatch { path, watch } = body(&mut request)?;
        let path = path.as_deref().ok_or(NULL)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let node = self.tree.node(path);
        if node.is_some_and(|node| !self.permits(node, Perms::READ)) {
            return Err(ErrorCode::NoAuth);
        }
        if watch {
            self.watches.add_data(path, self.conn);
        }
        let stat = node.ok_or(ErrorCode::NoNode)?.client_stat();
        self.ok(request.xid, &stat);
        Ok(())
    }

    fn get_data(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let PathWatch { path, watch } = body(&mut request)?;
        let node = self.node(&path, Perms::READ)?;
        if watch && let Some(path) = &path {
            self.watches.add_data(path, self.conn);
        }
        self.ok(request.xid, &(node.data.as_deref(), node.client_stat()));
        Ok(())
    }

    /// Without ADMIN one sees who, but not the proof.
    fn get_acl(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let path: Text<'_> = body(&mut request)?;
        let node = self.node(&path, Perms::READ | Perms::ADMIN)?;
        let acl: Vec<Acl> = if self.permits(node, Perms::ADMIN) {
            node.acl.to_vec()
        } else {
            masked(&node.acl)
        };
        let stat = node.client_stat();
        self.ok(request.xid, &GetAclResponse { acl, stat });
        Ok(())
    }

    fn get_children(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let node = self.children_of(&mut request)?;
        self.ok(request.xid, &Names(&node.children));
        Ok(())
    }

    fn get_children2(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let node = self.children_of(&mut request)?;
        self.ok(request.xid, &(Names(&node.children), node.client_stat()));
        Ok(())
    }

    fn children_of(&mut self, request: &mut Request<'_>) -> Result<&'r Znode, ErrorCode> {
        let PathWatch { path, watch } = body(request)?;
        let node = self.node(&path, Perms::READ)?;
        if watch && let Some(path) = &path {
            self.watches.add_child(path, self.conn);
        }
        Ok(node)
    }

    fn get_all_children_number(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let path: Text<'_> = body(&mut request)?;
        self.node(&path, Perms::READ)?;
        let total = self.tree.all_children_number(path.as_deref().ok_or(NULL)?);
        let total_number = i32::try_from(total).unwrap_or(i32::MAX);
        self.ok(request.xid, &GetAllChildrenNumberResponse { total_number });
        Ok(())
    }

    /// The prefix is one of text, not of path components.
    fn get_ephemerals(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let prefix: Text<'_> = body(&mut request)?;
        let prefix = prefix.as_deref().unwrap_or_default();
        // Java's idea of blank: everything up to the space.
        let trimmed = prefix.trim_matches(|c| c <= ' ');
        let wants_all = matches!(trimmed, "" | "/");
        let paths: Vec<&str> = self
            .tree
            .ephemerals()
            .of_session(request.session)
            .map(|path| &**path)
            .filter(|path| wants_all || path.starts_with(prefix))
            .collect();
        self.ok(request.xid, &paths);
        Ok(())
    }

    /// Each operation succeeds or fails on its own. Watch flags do not count. Of a
    /// request that makes no sense Apache sends what it had read by then, in spite
    /// of the error.
    fn multi_read(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let ops = decode_multi(&mut request.body).map_err(|_| NULL)?;
        let mut results = Vec::with_capacity(ops.len());
        let (mut bytes, mut verdict) = (0, ErrorCode::Ok);
        for op in &ops {
            let (result, len) = match self.read_one(op) {
                Ok(read) => read,
                Err(NULL) => {
                    verdict = NULL;
                    break;
                }
                Err(error) => (MultiResult::Error(error), 0),
            };
            results.push(result);
            bytes += len;
            if bytes > self.multi_read_limit {
                return Err(ErrorCode::MarshallingError);
            }
        }
        let zxid = self.tree.last_processed();
        let body = MultiResponse { results };
        self.connection.reply(request.xid, zxid, verdict, &body);
        Ok(())
    }

    /// A result, and about how many bytes it takes.
    fn read_one(&self, op: &MultiOp<'_>) -> Result<(MultiResult, usize), ErrorCode> {
        match op {
            MultiOp::GetData(path) => {
                let node = self.node(path, Perms::READ)?;
                let response = GetDataResponse {
                    data: node.data.as_deref().map(Bytes::copy_from_slice),
                    stat: node.client_stat(),
                };
                Ok((MultiResult::GetData(response), node.data_len()))
            }
            MultiOp::GetChildren(path) => {
                let node = self.node(path, Perms::READ)?;
                let children: Vec<_> = node.children.iter().map(|name| name.to_string()).collect();
                let len = children.iter().map(String::len).sum();
                Ok((
                    MultiResult::GetChildren(GetChildrenResponse { children }),
                    len,
                ))
            }
            // Not a read: the request as a whole makes no sense.
            MultiOp::Write(_) => Err(NULL),
        }
    }

    /// Without peers there is nothing to catch up with: whatever was asked before is
    /// done. The path is not looked at.
    fn sync(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let path: Text<'_> = body(&mut request)?;
        self.ok(request.xid, &path);
        Ok(())
    }

    fn who_am_i(&mut self, request: Request<'_>) -> Result<(), ErrorCode> {
        let identities = self.connection.identities().iter();
        let client_info = identities
            .map(|identity| ClientInfo {
                auth_scheme: identity.scheme.clone(),
                user: self.schemes.user_name(identity).to_owned(),
            })
            .collect();
        self.ok(request.xid, &WhoAmIResponse { client_info });
        Ok(())
    }
}

/// The body of a request.
pub(super) fn body<'f, T: Decode<'f>>(request: &mut Request<'f>) -> Result<T, ErrorCode> {
    T::decode(&mut request.body).map_err(|_| ErrorCode::MarshallingError)
}

/// Names of children, as they are encoded.
struct Names<'a>(&'a BTreeSet<Box<str>>);

impl Encode for Names<'_> {
    fn encode(&self, out: &mut BytesMut) {
        // More than 2³¹ names do not fit into memory.
        out.put_i32(i32::try_from(self.0.len()).unwrap_or(i32::MAX));
        for name in self.0 {
            (**name).encode(out);
        }
    }
}
