//! Short stories: operations that chance alone would seldom put in a row.

use zk_proto::path::join;
use zk_proto::record::{
    AddWatchRequest, CheckWatchesRequest, CreateRequest, DeleteRequest, ExistsRequest,
    GetChildrenRequest, GetDataRequest, RemoveWatchesRequest, SetDataRequest,
};
use zk_proto::{Acl, CreateMode};

use super::super::op::{Op, Ordinal, Request, ZxidArg};
use super::multis::open;
use super::{Generator, View};

#[derive(Clone, Copy, Debug)]
enum Story {
    Reconnect,
    Container,
    Quota,
    Watched,
    Ephemerals,
}

const STORIES: [(usize, Story); 5] = [
    (5, Story::Reconnect),
    (1, Story::Container),
    (4, Story::Quota),
    (6, Story::Watched),
    (4, Story::Ephemerals),
];

const QUOTAS: [&str; 12] = [
    "count=3,bytes=100",
    "count=-1,bytes=-1=;byteHardLimit=60;countHardLimit=4",
    "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=3",
    "count=-1,bytes=30=;byteHardLimit=200;countHardLimit=-1",
    "count=-1,bytes=-1",
    "count=2",
    "countHardLimit=2",
    "byteHardLimit=10;countHardLimit=6",
    "count=1,bytes=1=;byteHardLimit=1000000;countHardLimit=1000",
    "count=0,bytes=0",
    "count=,bytes=",
    "",
];

impl Generator {
    /// Plans a story and begins it.
    pub(super) fn scenario(&mut self, view: &View<'_>) -> Op {
        let story = match *self.dice.weighted(&STORIES) {
            Story::Reconnect => self.reconnect(view),
            Story::Container => self.container(view),
            Story::Quota => self.quota(view),
            Story::Watched => self.watched(view),
            Story::Ephemerals => self.ephemerals(view),
        };
        self.planned.extend(story);
        self.planned
            .pop_front()
            .unwrap_or_else(|| self.disconnect(view))
    }

    /// Gone while something happens, then back with its watches.
    fn reconnect(&mut self, view: &View<'_>) -> Vec<Op> {
        let (Some(session), other) = (self.expendable(view), self.sender(view)) else {
            return vec![];
        };
        let away_since = ZxidArg::Offset(view.last);
        let mut story = vec![Op::Disconnect(session)];
        for _ in 0..self.dice.between(1, 6) {
            story.push(Op::Request(other, self.plain_request(view)));
        }
        story.push(self.resume_properly(session, view));
        let lists = self.lists(view);
        story.push(Op::Request(
            session,
            if self.dice.percent(60) {
                Request::SetWatches2(away_since, lists)
            } else {
                Request::SetWatches(away_since, lists)
            },
        ));
        story
    }

    /// Made, used, left empty: the reaper's case.
    fn container(&mut self, view: &View<'_>) -> Vec<Op> {
        let session = self.sender(view);
        let existing = view.model.containers().map(str::to_owned);
        let container = match self.dice.choose(existing) {
            Some(path) => path,
            None => self.birthplace(view),
        };
        let child = join(&container, self.name());
        let mode = *self
            .dice
            .pick(&[CreateMode::Persistent, CreateMode::Ephemeral]);
        vec![
            Op::Request(
                session,
                Request::CreateContainer(open(&container, CreateMode::Container)),
            ),
            Op::Request(session, Request::Create(open(&child, mode))),
            Op::Request(session, watch_children(&container)),
            Op::Request(session, watch_data(&container)),
            Op::Request(session, delete(&child)),
        ]
    }

    /// Limits as `setquota` writes them, then traffic below.
    fn quota(&mut self, view: &View<'_>) -> Vec<Op> {
        let session = self.sender(view);
        let top = self.top();
        let quota = ["/zookeeper/quota", top].concat();
        let limits = join(&quota, "zookeeper_limits");
        let stats = join(&quota, "zookeeper_stats");
        let limit = *self.dice.pick(&QUOTAS);
        let mut story = vec![create(&quota, b""), create(&limits, limit.as_bytes())];
        if self.dice.percent(90) {
            story.push(create(&stats, b"count=0,bytes=0"));
        }
        story.push(set_data(&limits, limit.as_bytes()));
        for _ in 0..self.dice.between(1, 4) {
            story.push(create(&join(top, self.name()), b"0123456789"));
            story.push(set_data(top, &self.dice.bytes(30)));
            story.push(watch_data(&stats));
        }
        if self.dice.percent(60) {
            story.extend([delete(&limits), delete(&stats), delete(&quota)]);
        }
        let ops = story.into_iter();
        ops.map(|request| Op::Request(session, request)).collect()
    }

    /// Many watches on one path, of one session or several, then a change.
    fn watched(&mut self, view: &View<'_>) -> Vec<Op> {
        let path = self.target(view);
        let child = join(&path, self.name());
        let mut story = Vec::new();
        for _ in 0..self.dice.between(2, 6) {
            let session = self.sender(view);
            story.push(Op::Request(session, self.some_watch(&path, &child)));
            if self.dice.percent(40) {
                story.push(Op::Request(session, self.check_of_watch(&path)));
            }
        }
        let actor = self.sender(view);
        for _ in 0..self.dice.between(2, 5) {
            story.push(Op::Request(actor, self.some_change(&path, &child)));
        }
        story
    }

    fn some_watch(&mut self, path: &str, child: &str) -> Request {
        match self.dice.below(6) {
            0 => watch_data(path),
            1 => watch_children(path),
            2 => exists(path),
            3 => exists(child),
            4 => add_watch(path, 0),
            _ => add_watch(if self.dice.percent(30) { "/" } else { path }, 1),
        }
    }

    fn check_of_watch(&mut self, path: &str) -> Request {
        let watcher_type = self.dice.between(1, 5) as i32;
        let path = path.to_owned().into();
        if self.dice.percent(60) {
            Request::CheckWatches(CheckWatchesRequest { path, watcher_type })
        } else {
            Request::RemoveWatches(RemoveWatchesRequest { path, watcher_type })
        }
    }

    fn some_change(&mut self, path: &str, child: &str) -> Request {
        match self.dice.below(6) {
            0 => create(path, b""),
            1 => create(child, b""),
            2 => set_data(path, b"changed"),
            3 => set_data(child, b"changed"),
            4 => delete(child),
            _ => delete(path),
        }
    }

    /// Several, watched, and the end of their session.
    fn ephemerals(&mut self, view: &View<'_>) -> Vec<Op> {
        let Some(session) = self.expendable(view) else {
            return vec![];
        };
        let mut story = Vec::new();
        for _ in 0..self.dice.between(1, 4) {
            let path = self.birthplace(view);
            let watcher = self.sender(view);
            story.extend([
                Op::Request(
                    session,
                    Request::Create2(open(&path, CreateMode::Ephemeral)),
                ),
                Op::Request(watcher, exists(&path)),
            ]);
        }
        story.push(self.last_of(session));
        story
    }

    fn last_of(&mut self, session: Ordinal) -> Op {
        if self.dice.percent(60) {
            Op::Request(session, Request::CloseSession)
        } else {
            Op::Disconnect(session)
        }
    }
}

fn create(path: &str, data: &[u8]) -> Request {
    Request::Create2(CreateRequest {
        path: path.to_owned().into(),
        data: Some(data.to_owned().into()),
        acl: Some(vec![Acl::open()]),
        flags: CreateMode::Persistent.flags(),
    })
}

fn set_data(path: &str, data: &[u8]) -> Request {
    Request::SetData(SetDataRequest {
        path: path.to_owned().into(),
        data: Some(data.to_owned().into()),
        version: -1,
    })
}

fn delete(path: &str) -> Request {
    Request::Delete(DeleteRequest {
        path: path.to_owned().into(),
        version: -1,
    })
}

fn watch_data(path: &str) -> Request {
    Request::GetData(GetDataRequest {
        path: path.to_owned().into(),
        watch: true,
    })
}

fn watch_children(path: &str) -> Request {
    Request::GetChildren(GetChildrenRequest {
        path: path.to_owned().into(),
        watch: true,
    })
}

fn exists(path: &str) -> Request {
    Request::Exists(ExistsRequest {
        path: path.to_owned().into(),
        watch: true,
    })
}

fn add_watch(path: &str, mode: i32) -> Request {
    Request::AddWatch(AddWatchRequest {
        path: path.to_owned().into(),
        mode,
    })
}
