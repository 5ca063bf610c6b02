//! What the run knows of the tree, learned from the reference's replies: enough
//! to aim the next operation, and to tell when the reaper has work to do.
//!
//! The reaper runs by a clock of its own. So that it acts at the same place of
//! both runs, an operation that gives it work is followed by a wait until the
//! work is done, and no operation may give it work whose order is open.

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::path::{self, parent};
use zk_proto::record::{CreateRequest, MultiOp, MultiResult};

use super::observation::{Observation, Seen};
use super::op::{Op, Ordinal, Request};
use super::reply::Body;

/// A time to live up to this has always run out when the reaper comes; a longer
/// one never runs out.
pub(crate) const SHORT_TTL_MS: i64 = 20;

/// A znode, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    kind: Kind,
    /// Containers are left alone until they have had a child.
    had_child: bool,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lasting,
    Ephemeral(Ordinal),
    Container,
    ShortLived,
}

/// The tree without the built-in znodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    nodes: BTreeMap<String, Known>,
}

impl Model {
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn paths(&self) -> impl ExactSizeIterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Known> {
        self.nodes.get(path)
    }

    /// The containers.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.kind == Kind::Container)
            .map(|(path, _)| path.as_str())
    }

    fn children(&self, of: &str) -> impl Iterator<Item = (&str, &Known)> {
        let prefix = path::join(of, "");
        let end = prefix.len();
        self.nodes
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .filter(move |(path, _)| !path[end..].contains('/'))
            .map(|(path, node)| (path.as_str(), node))
    }

    pub(crate) fn has_children(&self, path: &str) -> bool {
        self.children(path).next().is_some()
    }

    // --- learning ---

    /// Takes in what an operation did on the reference.
    pub(crate) fn learn(&mut self, op: &Op, seen: &[Observation]) {
        if let Some((session, requests)) = op.requests() {
            let replies = seen
                .iter()
                .filter_map(|observation| observation.seen.reply());
            for (request, (reply, code)) in requests.iter().zip(replies) {
                if reply.is_ok() {
                    self.done(session, request.plain(), &reply.body(code));
                }
            }
        } else if let Op::Expire { session, .. } = op
            && !seen.iter().any(|it| matches!(it.seen, Seen::Overdue(_)))
        {
            self.end_session(*session);
        }
    }

    fn done(&mut self, session: Ordinal, request: &Request, body: &Body) {
        match (request, body) {
            (Request::Create(create), Body::Path(path))
            | (Request::Create2(create), Body::PathAndStat(path, _)) => {
                self.created(path, kind_of(create, session));
            }
            (Request::CreateContainer(_), Body::PathAndStat(path, _)) => {
                self.created(path, Kind::Container);
            }
            (Request::CreateTtl(create), Body::PathAndStat(path, _)) => {
                self.created(path, kind_for_ttl(create.ttl_ms));
            }
            (Request::Delete(delete), _) => self.deleted(&delete.path),
            (Request::SetData(set), Body::Stat(stat)) => self.set_to(&set.path, stat.version),
            (Request::SetAcl(set), Body::Stat(stat)) => {
                if let Some(node) = self.nodes.get_mut(&*set.path) {
                    node.aversion = stat.aversion;
                }
            }
            (Request::Multi(multi), Body::Multi(response)) => {
                for (op, result) in multi.ops.iter().zip(&response.results) {
                    self.done_in_multi(session, op, result);
                }
            }
            (Request::CloseSession, _) => self.end_session(session),
            _ => {}
        }
    }

    fn done_in_multi(&mut self, session: Ordinal, op: &MultiOp<'_>, result: &MultiResult) {
        match (op, result) {
            (MultiOp::Create(create), MultiResult::Create(made)) => {
                self.created(&made.path, kind_of(create, session));
            }
            (MultiOp::Create2(create), MultiResult::Create2(made)) => {
                self.created(&made.path, kind_of(create, session));
            }
            (MultiOp::CreateContainer(_), MultiResult::Create2(made)) => {
                self.created(&made.path, Kind::Container);
            }
            (MultiOp::CreateTtl(create), MultiResult::Create2(made)) => {
                self.created(&made.path, kind_for_ttl(create.ttl_ms));
            }
            (MultiOp::Delete(delete), MultiResult::Delete) => self.deleted(&delete.path),
            (MultiOp::SetData(set), MultiResult::SetData(done)) => {
                self.set_to(&set.path, done.stat.version);
            }
            _ => {}
        }
    }

    fn created(&mut self, path: &str, kind: Kind) {
        if let Some(parent) = parent(path).and_then(|parent| self.nodes.get_mut(parent)) {
            parent.had_child = true;
        }
        self.nodes.insert(
            path.to_owned(),
            Known {
                kind,
                had_child: false,
                version: 0,
                aversion: 0,
            },
        );
    }

    fn deleted(&mut self, path: &str) {
        self.nodes.remove(path);
    }

    fn set_to(&mut self, path: &str, version: i32) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.version = version;
        }
    }

    fn end_session(&mut self, session: Ordinal) {
        self.nodes
            .retain(|_, node| node.kind != Kind::Ephemeral(session));
    }

    // --- the reaper ---

    /// Plays the reaper and counts its deletions: of what it may delete now, then
    /// of what that leaves behind.
    pub(crate) fn reap(&mut self) -> usize {
        let mut count = 0;
        while let Some(path) = self.reapable() {
            self.nodes.remove(&path);
            count += 1;
        }
        count
    }

    fn reapable(&self) -> Option<String> {
        self.nodes
            .iter()
            .find(|(path, node)| node.is_due() && !self.has_children(path))
            .map(|(path, _)| path.clone())
    }

    /// Whether the operation may give the reaper work whose order is open: two
    /// places at once, or one that a later request of a pipeline could take away.
    pub(crate) fn is_order_open(&self, op: &Op) -> bool {
        let mut places = Places::default();
        if let Some(session) = op.ends() {
            places.emptied.extend(self.emptied_by_end_of(session));
        }
        if let Some((_, requests)) = op.requests() {
            for request in requests {
                self.add_places(request.plain(), &mut places);
            }
        }
        let limit = match op {
            Op::Pipeline(..) => 0,
            _ => 1,
        };
        places.made + places.emptied.len() > limit
    }

    fn emptied_by_end_of(&self, session: Ordinal) -> impl Iterator<Item = String> {
        let is_own = move |node: &Known| node.kind == Kind::Ephemeral(session);
        self.nodes
            .iter()
            .filter(move |(_, node)| is_own(node))
            .filter_map(|(path, _)| parent(path))
            .filter(|parent| self.is_volatile(parent))
            .filter(move |parent| self.children(parent).all(|(_, child)| is_own(child)))
            .map(str::to_owned)
    }

    fn is_volatile(&self, path: &str) -> bool {
        self.get(path)
            .is_some_and(|node| matches!(node.kind, Kind::Container | Kind::ShortLived))
    }

    fn add_places(&self, request: &Request, places: &mut Places) {
        match request {
            Request::Delete(delete) => self.add_emptied(&delete.path, places),
            Request::CreateContainer(_) => places.made += 1,
            Request::CreateTtl(create) => places.add_ttl(create.ttl_ms),
            Request::Multi(multi) => self.add_places_of_multi(&multi.ops, places),
            _ => {}
        }
    }

    fn add_places_of_multi(&self, ops: &[MultiOp<'_>], places: &mut Places) {
        for op in ops {
            match op {
                MultiOp::Delete(delete) => self.add_emptied(&delete.path, places),
                MultiOp::CreateContainer(_) => places.made += 1,
                MultiOp::CreateTtl(create) => places.add_ttl(create.ttl_ms),
                _ => {}
            }
        }
    }

    fn add_emptied(&self, deleted: &str, places: &mut Places) {
        let volatile = parent(deleted).filter(|parent| self.is_volatile(parent));
        places.emptied.extend(volatile.map(str::to_owned));
    }
}

/// Where an operation may give the reaper work.
#[derive(Default)]
struct Places {
    /// Znodes that may lose their last child.
    emptied: BTreeSet<String>,
    /// Znodes it makes that may be due at once, or be emptied by what follows in
    /// the same request.
    made: usize,
}

impl Places {
    fn add_ttl(&mut self, ttl_ms: i64) {
        if kind_for_ttl(ttl_ms) == Kind::ShortLived {
            self.made += 1;
        }
    }
}

impl Known {
    const fn is_due(&self) -> bool {
        match self.kind {
            Kind::Lasting | Kind::Ephemeral(_) => false,
            Kind::Container => self.had_child,
            Kind::ShortLived => true,
        }
    }
}

const fn kind_of(create: &CreateRequest<'_>, session: Ordinal) -> Kind {
    match create.flags {
        1 | 3 => Kind::Ephemeral(session),
        _ => Kind::Lasting,
    }
}

const fn kind_for_ttl(ttl_ms: i64) -> Kind {
    if ttl_ms <= SHORT_TTL_MS {
        Kind::ShortLived
    } else {
        Kind::Lasting
    }
}

#[cfg(test)]
mod tests {
    use zk_proto::record::{CreateTtlRequest, DeleteRequest, MultiRequest};

    use super::*;

    const SESSION: Ordinal = Ordinal(1);

    fn model(nodes: &[(&str, Kind)]) -> Model {
        let mut model = Model::default();
        for (path, kind) in nodes {
            model.created(path, *kind);
        }
        model
    }

    fn delete(path: &'static str) -> Request {
        Request::Delete(DeleteRequest {
            path: path.into(),
            version: -1,
        })
    }

    #[test]
    fn an_empty_container_goes_once_it_has_had_a_child_and_so_does_its_parent() {
        let mut model = model(&[
            ("/a", Kind::Container),
            ("/a/b", Kind::Container),
            ("/a/b/x", Kind::Lasting),
            ("/unused", Kind::Container),
        ]);
        assert_eq!(model.reap(), 0);
        model.deleted("/a/b/x");
        assert_eq!(model.reap(), 2);
        assert_eq!(model.paths().collect::<Vec<_>>(), ["/unused"]);
    }

    #[test]
    fn a_neighbour_whose_name_starts_alike_is_no_child() {
        let model = model(&[("/a", Kind::Lasting), ("/a-b", Kind::Lasting)]);
        assert!(!model.has_children("/a"));
        assert!(model.has_children("/"));
    }

    #[test]
    fn the_end_of_a_session_that_empties_two_containers_is_not_drawn() {
        let mut model = model(&[
            ("/a", Kind::Container),
            ("/a/x", Kind::Ephemeral(SESSION)),
            ("/b", Kind::Container),
            ("/b/x", Kind::Ephemeral(SESSION)),
            ("/b/y", Kind::Lasting),
        ]);
        let close = Op::Request(SESSION, Request::CloseSession);
        assert!(!model.is_order_open(&close));
        model.deleted("/b/y");
        assert!(model.is_order_open(&close));
    }

    #[test]
    fn a_pipeline_gives_the_reaper_no_work() {
        let model = model(&[("/a", Kind::Container), ("/a/x", Kind::Lasting)]);
        let alone = Op::Request(SESSION, delete("/a/x"));
        assert!(!model.is_order_open(&alone));
        let pipeline = Op::Pipeline(SESSION, vec![delete("/a/x"), Request::Ping]);
        assert!(model.is_order_open(&pipeline));
    }

    #[test]
    fn two_short_lived_znodes_of_one_multi_are_too_many() {
        let short = MultiOp::CreateTtl(CreateTtlRequest {
            path: "/s-".into(),
            data: None,
            acl: None,
            flags: 6,
            ttl_ms: 1,
        });
        let multi = |count| {
            let ops = vec![short.clone(); count];
            Op::Request(SESSION, Request::Multi(MultiRequest { ops }))
        };
        assert!(!Model::default().is_order_open(&multi(1)));
        assert!(Model::default().is_order_open(&multi(2)));
    }
}
