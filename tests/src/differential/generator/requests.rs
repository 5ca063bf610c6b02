//! Requests of every kind, well formed.

use zk_proto::data::MAX_TTL;
use zk_proto::record::{
    AddWatchRequest, CheckVersionRequest, CheckWatchesRequest, CreateRequest, CreateTtlRequest,
    Credential, DeleteRequest, ExistsRequest, GetAclRequest, GetAllChildrenNumberRequest,
    GetChildren2Request, GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, GetSaslRequest,
    ReconfigRequest, RemoveWatchesRequest, SetAclRequest, SetDataRequest, SyncRequest,
};

use super::super::model::SHORT_TTL_MS;
use super::super::op::{OBSERVER, Ordinal, Request, WatchLists, ZxidArg};
use super::{Generator, View};

/// Above this deletes come more often than creates.
const MANY: usize = 90;

/// An hour: never up within a run.
const LONG_TTL_MS: i64 = 3_600_000;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Create,
    Container,
    Ttl,
    Delete,
    SetData,
    SetAcl,
    Exists,
    GetData,
    GetAcl,
    GetChildren,
    GetChildren2,
    GetAllChildrenNumber,
    GetEphemerals,
    Sync,
    Multi,
    MultiRead,
    Reconfig,
    AddWatch,
    CheckWatches,
    RemoveWatches,
    SetWatches,
    SetWatches2,
    WhoAmI,
    Ping,
}

const KINDS: [(usize, Kind); 24] = [
    (200, Kind::Create),
    (14, Kind::Container),
    (22, Kind::Ttl),
    (130, Kind::Delete),
    (95, Kind::SetData),
    (45, Kind::SetAcl),
    (75, Kind::Exists),
    (75, Kind::GetData),
    (45, Kind::GetAcl),
    (45, Kind::GetChildren),
    (50, Kind::GetChildren2),
    (20, Kind::GetAllChildrenNumber),
    (20, Kind::GetEphemerals),
    (15, Kind::Sync),
    (80, Kind::Multi),
    (30, Kind::MultiRead),
    (4, Kind::Reconfig),
    (40, Kind::AddWatch),
    (30, Kind::CheckWatches),
    (35, Kind::RemoveWatches),
    (15, Kind::SetWatches),
    (20, Kind::SetWatches2),
    (15, Kind::WhoAmI),
    (8, Kind::Ping),
];

impl Generator {
    /// Any request, sometimes with an xid of its own, padded, or with credentials.
    pub(super) fn request(&mut self, session: Ordinal, view: &View<'_>) -> Request {
        match self.dice.below(1_000) {
            0..15 => Request::Auth(self.credentials()),
            15..20 => Request::Sasl(GetSaslRequest {
                token: Credential(Some(b"token".into())),
            }),
            20..50 => self.malformed(view),
            50..60 => Request::Padded(Box::new(self.plain_request(view))),
            60..70 => {
                let xid = *self.dice.pick(&[0, -2, -4, -8, -3, i32::MAX, i32::MIN]);
                Request::Numbered(xid, Box::new(self.plain_request(view)))
            }
            70..73 if session != OBSERVER => self.fatal(view),
            _ => self.plain_request(view),
        }
    }

    /// A request that is answered in line and leaves the connection as it is.
    pub(super) fn plain_request(&mut self, view: &View<'_>) -> Request {
        match *self.dice.weighted(&KINDS) {
            Kind::Create if view.model.len() > MANY && self.dice.percent(70) => {
                Request::Delete(self.delete(view))
            }
            Kind::Create => self.create(view),
            Kind::Container => Request::CreateContainer(self.create_container(view)),
            Kind::Ttl => Request::CreateTtl(self.create_ttl(view)),
            Kind::Delete => Request::Delete(self.delete(view)),
            Kind::SetData => Request::SetData(self.set_data(view)),
            Kind::SetAcl => self.set_acl(view),
            Kind::Exists => Request::Exists(ExistsRequest {
                path: self.target(view).into(),
                watch: self.dice.percent(60),
            }),
            Kind::GetData => Request::GetData(self.get_data(view)),
            Kind::GetAcl => Request::GetAcl(GetAclRequest {
                path: self.target(view).into(),
            }),
            Kind::GetChildren => Request::GetChildren(self.get_children(view)),
            Kind::GetChildren2 => Request::GetChildren2(GetChildren2Request {
                path: self.target(view).into(),
                watch: self.dice.percent(50),
            }),
            Kind::GetAllChildrenNumber => {
                Request::GetAllChildrenNumber(GetAllChildrenNumberRequest {
                    path: self.target(view).into(),
                })
            }
            Kind::GetEphemerals => self.get_ephemerals(view),
            Kind::Sync => Request::Sync(SyncRequest {
                path: self.target(view).into(),
            }),
            Kind::Multi => Request::Multi(self.multi(view)),
            Kind::MultiRead => Request::MultiRead(self.multi_read(view)),
            Kind::Reconfig => self.reconfig(),
            Kind::AddWatch => Request::AddWatch(AddWatchRequest {
                path: self.target(view).into(),
                mode: self.watch_mode(),
            }),
            Kind::CheckWatches => Request::CheckWatches(CheckWatchesRequest {
                path: self.target(view).into(),
                watcher_type: self.watcher_type(),
            }),
            Kind::RemoveWatches => Request::RemoveWatches(RemoveWatchesRequest {
                path: self.target(view).into(),
                watcher_type: self.watcher_type(),
            }),
            Kind::SetWatches => Request::SetWatches(self.relative(view), self.lists(view)),
            Kind::SetWatches2 => Request::SetWatches2(self.relative(view), self.lists(view)),
            Kind::WhoAmI => Request::WhoAmI,
            Kind::Ping => Request::Ping,
        }
    }

    // --- writing ---

    fn create(&mut self, view: &View<'_>) -> Request {
        let create = self.create_plain(view);
        if self.dice.percent(50) {
            Request::Create(create)
        } else {
            Request::Create2(create)
        }
    }

    /// Flags that op 1 and 15 take, and some that every server refuses: 4 is not
    /// among them, see the module's head.
    pub(super) fn create_plain(&mut self, view: &View<'_>) -> CreateRequest<'static> {
        let flags = match self.dice.below(100) {
            0..50 => 0,
            50..72 => 1,
            72..84 => 2,
            84..96 => 3,
            _ => *self.dice.pick(&[5, 6, 7, 8, -1, i32::MAX]),
        };
        CreateRequest {
            path: self.place(view, matches!(flags, 2 | 3)).into(),
            data: self.data(),
            acl: self.acl(),
            flags,
        }
    }

    pub(super) fn create_container(&mut self, view: &View<'_>) -> CreateRequest<'static> {
        CreateRequest {
            path: self.place(view, false).into(),
            data: self.data(),
            acl: self.acl(),
            flags: *self.dice.weighted(&[(38, 4), (1, 5), (1, 7)]),
        }
    }

    /// A TTL that is up at once, one that never is, or one that is refused.
    pub(super) fn create_ttl(&mut self, view: &View<'_>) -> CreateTtlRequest<'static> {
        let flags = *self.dice.pick(&[5, 5, 5, 6, 6, 7]);
        let ttl_ms = match self.dice.below(20) {
            0..2 => self.dice.between(1, SHORT_TTL_MS as usize) as i64,
            2..15 => LONG_TTL_MS,
            15 => MAX_TTL.as_millis() as i64,
            16 => MAX_TTL.as_millis() as i64 + 1,
            17 => 0,
            18 => -1,
            _ => i64::MIN,
        };
        CreateTtlRequest {
            path: self.place(view, flags == 6).into(),
            data: self.data(),
            acl: self.acl(),
            flags,
            ttl_ms,
        }
    }

    /// A sequential one may end in a slash, or in a name that sorts together.
    fn place(&mut self, view: &View<'_>, is_sequential: bool) -> String {
        let place = self.birthplace(view);
        if !is_sequential || self.dice.percent(30) {
            return place;
        }
        match place.rfind('/') {
            Some(at) if self.dice.percent(70) => format!("{}s-", &place[..=at]),
            Some(at) => place[..=at].to_owned(),
            None => place,
        }
    }

    pub(super) fn delete(&mut self, view: &View<'_>) -> DeleteRequest<'static> {
        let mut path = self.target(view);
        // A leaf, if a second look finds one: most others cannot go.
        if view.model.has_children(&path) {
            path = self.target(view);
        }
        let version = self.version(&path, view);
        DeleteRequest {
            path: path.into(),
            version,
        }
    }

    pub(super) fn set_data(&mut self, view: &View<'_>) -> SetDataRequest<'static> {
        let path = self.target(view);
        let version = self.version(&path, view);
        SetDataRequest {
            path: path.into(),
            data: self.data(),
            version,
        }
    }

    /// The root keeps its ACL most of the time: without it little is possible.
    fn set_acl(&mut self, view: &View<'_>) -> Request {
        let mut path = self.target(view);
        if path.len() <= 1 && self.dice.percent(90) {
            path = self.existing(view);
        }
        let version = self.acl_version(&path, view);
        Request::SetAcl(SetAclRequest {
            path: path.into(),
            acl: self.acl(),
            version,
        })
    }

    pub(super) fn check(&mut self, view: &View<'_>) -> CheckVersionRequest<'static> {
        let path = self.target(view);
        let version = self.version(&path, view);
        CheckVersionRequest {
            path: path.into(),
            version,
        }
    }

    fn reconfig(&mut self) -> Request {
        let joining = "server.2=127.0.0.1:2:3;4";
        let with_new = self.dice.percent(30);
        Request::Reconfig(ReconfigRequest {
            joining_servers: (!with_new).then(|| joining.into()),
            leaving_servers: None,
            new_members: with_new.then(|| joining.into()),
            config_id: *self.dice.pick(&[-1, 0, 7]),
        })
    }

    // --- reading ---

    pub(super) fn get_data(&mut self, view: &View<'_>) -> GetDataRequest<'static> {
        GetDataRequest {
            path: self.target(view).into(),
            watch: self.dice.percent(50),
        }
    }

    pub(super) fn get_children(&mut self, view: &View<'_>) -> GetChildrenRequest<'static> {
        GetChildrenRequest {
            path: self.target(view).into(),
            watch: self.dice.percent(50),
        }
    }

    fn get_ephemerals(&mut self, view: &View<'_>) -> Request {
        let prefix_path = match self.dice.below(6) {
            0 => None,
            1 => Some("/".into()),
            2 => Some(" ".into()),
            3 => Some(self.top().into()),
            4 => Some([self.top(), "/"].concat().into()),
            _ => Some(self.target(view).into()),
        };
        Request::GetEphemerals(GetEphemeralsRequest { prefix_path })
    }

    // --- watching ---

    fn watch_mode(&mut self) -> i32 {
        *self
            .dice
            .weighted(&[(10, 0), (10, 1), (1, 2), (1, -1), (1, i32::MAX)])
    }

    fn watcher_type(&mut self) -> i32 {
        let types = [(6, 1), (6, 2), (6, 3), (6, 4), (6, 5), (1, 0), (1, 6)];
        *self.dice.weighted(&types)
    }

    /// Some way back, or ahead, or nonsense.
    fn relative(&mut self, view: &View<'_>) -> ZxidArg {
        match self.dice.below(10) {
            0 => ZxidArg::Literal(0),
            1 => ZxidArg::Literal(-1),
            2 => ZxidArg::Offset(view.last + 10),
            3 => ZxidArg::Offset(view.last),
            _ => ZxidArg::Offset((view.last - self.dice.below(300) as i64).max(0)),
        }
    }

    pub(super) fn lists(&mut self, view: &View<'_>) -> WatchLists {
        WatchLists {
            data: self.some_paths(view),
            exist: self.some_paths(view),
            child: self.some_paths(view),
            persistent: self.some_paths(view),
            recursive: self.some_paths(view),
        }
    }

    fn some_paths(&mut self, view: &View<'_>) -> Vec<String> {
        let count = self.dice.below(4);
        (0..count).map(|_| self.target(view)).collect()
    }
}
