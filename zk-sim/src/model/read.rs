//! Reads, which may leave watches.

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::record::{
    ClientInfo, ExistsResponse, GetAclResponse, GetAllChildrenNumberResponse, GetChildren2Response,
    GetChildrenResponse, GetDataResponse, GetEphemeralsResponse, SyncResponse, WhoAmIResponse,
};
use zk_proto::{AclId, Decode, ErrorCode, OpCode, Perms, Reader, SessionId};

use super::acl::{allows, masked, user_of};
use super::error::{Refusal, ensure};
use super::request::{Text, present};
use super::stat::Znode;
use super::tree::canonical;
use super::watches::{Mode, Table};
use super::{Answer, Conn, Event, Model, Mutation};

impl Model {
    pub(super) fn answer_read(
        &mut self,
        (session, conn): (SessionId, Conn),
        op: OpCode,
        body: &Bytes,
        events: &mut Vec<Event>,
    ) -> Answer {
        let mut body = Reader::new(body);
        match op {
            OpCode::Ping => Answer::empty(),
            OpCode::WhoAmI => self.who_am_i(conn),
            OpCode::Exists => self.exists(conn, &mut body).into(),
            OpCode::GetData => self.get_data(conn, &mut body).into(),
            OpCode::GetAcl => self.get_acl(conn, &mut body).into(),
            OpCode::GetChildren => self.get_children(conn, &mut body, false).into(),
            OpCode::GetChildren2 => self.get_children(conn, &mut body, true).into(),
            OpCode::GetAllChildrenNumber => self.count_below(conn, &mut body).into(),
            OpCode::GetEphemerals => self.get_ephemerals(session, &mut body).into(),
            OpCode::MultiRead => self.multi_read(&mut body, self.identities(conn)).into(),
            OpCode::Sync => sync(&mut body).into(),
            OpCode::AddWatch => self.add_watch(conn, &mut body).into(),
            OpCode::CheckWatches => self.check_watches(conn, &mut body).into(),
            OpCode::RemoveWatches => self.remove_watches(conn, &mut body).into(),
            OpCode::SetWatches | OpCode::SetWatches2 => {
                self.set_watches(conn, op, &mut body, events).into()
            }
            // Here only because its body cannot be read.
            OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig => Refusal(ErrorCode::MarshallingError).into(),
            OpCode::Notification
            | OpCode::Check
            | OpCode::DeleteContainer
            | OpCode::CreateSession
            | OpCode::CloseSession
            | OpCode::Auth
            | OpCode::Sasl
            | OpCode::Error => Refusal(ErrorCode::Unimplemented).into(),
        }
    }

    /// A znode that `identities` may read.
    pub(super) fn readable(&self, path: &str, identities: &[AclId]) -> Result<&Znode, Refusal> {
        let node = self.tree.get(canonical(path)).ok_or(ErrorCode::NoNode)?;
        let may = allows(&node.meta.acl, Perms::READ, identities);
        ensure(may, ErrorCode::NoAuth)?;
        Ok(node)
    }

    fn stat_of(&self, path: &str) -> zk_proto::Stat {
        self.stat(canonical(path))
    }

    fn exists(&mut self, conn: Conn, body: &mut Reader<'_>) -> Result<Answer, Refusal> {
        let (path, watch) = path_and_watch(body)?;
        let path = present(&path)?;
        ensure(!path.contains('\0'), ErrorCode::BadArguments)?;
        let found = self.readable(path, self.identities(conn)).map(drop);
        let is_missing = found == Err(Refusal(ErrorCode::NoNode));
        let is_blind = is_missing && self.has(Mutation::ExistsLeavesNoWatch);
        if watch && !is_blind && found != Err(Refusal(ErrorCode::NoAuth)) {
            self.watches.add(conn, path, Table::Data, Mode::OneShot);
        }
        found?;
        let stat = self.stat_of(path);
        Ok(Answer::of(&ExistsResponse { stat }))
    }

    fn get_data(&mut self, conn: Conn, body: &mut Reader<'_>) -> Result<Answer, Refusal> {
        let (path, watch) = path_and_watch(body)?;
        let path = present(&path)?;
        if watch && self.has(Mutation::GetDataLeavesWatch) {
            self.watches.add(conn, path, Table::Data, Mode::OneShot);
        }
        let node = self.readable(path, self.identities(conn))?;
        let data = node.meta.data.clone();
        if watch {
            self.watches.add(conn, path, Table::Data, Mode::OneShot);
        }
        let stat = self.stat_of(path);
        Ok(Answer::of(&GetDataResponse { data, stat }))
    }

    fn get_children(
        &mut self,
        conn: Conn,
        body: &mut Reader<'_>,
        with_stat: bool,
    ) -> Result<Answer, Refusal> {
        let (path, watch) = path_and_watch(body)?;
        let path = present(&path)?;
        let node = self.readable(path, self.identities(conn))?;
        let children: Vec<String> = node.children.iter().cloned().collect();
        if watch {
            self.watches.add(conn, path, Table::Child, Mode::OneShot);
        }
        let stat = self.stat_of(path);
        Ok(if with_stat {
            Answer::of(&GetChildren2Response { children, stat })
        } else {
            Answer::of(&GetChildrenResponse { children })
        })
    }

    /// To read the list or to administer it is enough; digests are for the latter.
    fn get_acl(&self, conn: Conn, body: &mut Reader<'_>) -> Result<Answer, Refusal> {
        let path = Text::decode(body)?;
        let path = present(&path)?;
        let node = self.tree.get(canonical(path)).ok_or(ErrorCode::NoNode)?;
        let (list, identities) = (&node.meta.acl, self.identities(conn));
        let administers = allows(list, Perms::ADMIN, identities);
        let may = administers || allows(list, Perms::READ, identities);
        ensure(may, ErrorCode::NoAuth)?;
        let acl = if administers || self.has(Mutation::DigestsShown) {
            list.to_vec()
        } else {
            masked(list)
        };
        let stat = self.stat_of(path);
        Ok(Answer::of(&GetAclResponse { acl, stat }))
    }

    fn count_below(&self, conn: Conn, body: &mut Reader<'_>) -> Result<Answer, Refusal> {
        let path = Text::decode(body)?;
        let path = present(&path)?;
        self.readable(path, self.identities(conn))?;
        // Asked as "", the root is among what is below it.
        let itself = usize::from(self.has(Mutation::CountsItself) || path.is_empty());
        let count = self.tree.below(canonical(path)).count() + itself;
        let total_number = i32::try_from(count).expect("there are fewer than 2^31 znodes");
        Ok(Answer::of(&GetAllChildrenNumberResponse { total_number }))
    }

    fn get_ephemerals(&self, session: SessionId, body: &mut Reader<'_>) -> Result<Answer, Refusal> {
        let prefix = Text::decode(body)?.unwrap_or_default();
        // Java trims control characters as well.
        let is_all = matches!(prefix.trim_matches(|c| c <= ' '), "" | "/");
        let mut ephemerals = self.tree.ephemerals_of(session);
        ephemerals.retain(|path| is_all || path.starts_with(&*prefix));
        Ok(Answer::of(&GetEphemeralsResponse { ephemerals }))
    }

    fn who_am_i(&self, conn: Conn) -> Answer {
        let info = |id: &AclId| ClientInfo {
            auth_scheme: id.scheme.clone(),
            user: user_of(id),
        };
        let client_info = self.identities(conn).iter().map(info).collect();
        Answer::of(&WhoAmIResponse { client_info })
    }
}

/// Any path comes back, even none.
fn sync(body: &mut Reader<'_>) -> Result<Answer, Refusal> {
    Ok(match Text::decode(body)? {
        Some(path) => Answer::of(&SyncResponse { path }),
        None => {
            let mut null = BytesMut::new();
            null.put_i32(-1);
            Answer {
                err: ErrorCode::Ok,
                body: null.freeze(),
            }
        }
    })
}

fn path_and_watch<'a>(body: &mut Reader<'a>) -> Result<(Text<'a>, bool), Refusal> {
    Ok((Decode::decode(body)?, Decode::decode(body)?))
}
