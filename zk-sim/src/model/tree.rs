//! All znodes by path, and how to take back what was done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use zk_proto::data::open_acl;
use zk_proto::path::{name, parent};
use zk_proto::{Acl, SessionId, Zxid};

use super::quota;
use super::stat::{Fate, Meta, Znode};

/// The znodes that nobody may delete.
pub(super) const RESERVED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Znode>,
    ephemerals: BTreeMap<SessionId, BTreeSet<String>>,
    /// The subtrees whose usage is counted.
    pub(super) limited: BTreeSet<String>,
    /// What was done since [`Tree::begin`], each with what it takes to undo it.
    undo: Option<Vec<Undo>>,
}

#[derive(Clone, Debug)]
enum Undo {
    Inserted(String),
    Removed(String, Box<Znode>),
    Changed(String, Box<Meta>),
}

/// Reads take the empty path for the root's.
pub(super) fn canonical(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

impl Tree {
    /// The built-in znodes, made at time 0.
    pub(super) fn fresh() -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            limited: BTreeSet::new(),
            undo: None,
        };
        for path in RESERVED {
            tree.insert(path, built_in(path));
        }
        tree
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn get(&self, path: &str) -> Option<&Znode> {
        self.nodes.get(path)
    }

    /// The descendants of `path`, itself not among them.
    pub(super) fn below(&self, path: &str) -> impl Iterator<Item = (&str, &Znode)> {
        let prefix = if path == "/" {
            "/".to_owned()
        } else {
            format!("{path}/")
        };
        self.nodes
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .filter(|(path, _)| path.len() > 1)
            .map(|(path, node)| (path.as_str(), node))
    }

    pub(super) fn ephemerals_of(&self, session: SessionId) -> Vec<String> {
        let paths = self.ephemerals.get(&session);
        paths.into_iter().flatten().cloned().collect()
    }

    /// Adds a znode below a parent that is there.
    pub(super) fn insert(&mut self, path: &str, node: Znode) {
        self.log(|_| Undo::Inserted(path.to_owned()));
        self.put(path, node);
    }

    /// Takes away a znode that is there.
    pub(super) fn remove(&mut self, path: &str) -> Znode {
        let node = self.take(path);
        self.log(|_| Undo::Removed(path.to_owned(), Box::new(node.clone())));
        node
    }

    /// What can be changed of a znode; none if it is not there.
    pub(super) fn change(&mut self, path: &str) -> Option<&mut Meta> {
        let before = self.nodes.get(path)?.meta.clone();
        self.log(|_| Undo::Changed(path.to_owned(), Box::new(before)));
        self.nodes.get_mut(path).map(|node| &mut node.meta)
    }

    /// From now on, what is done can be undone.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// What was done since `begin` stays.
    pub(super) fn commit(&mut self) {
        self.undo = None;
    }

    /// What was done since `begin` is undone.
    pub(super) fn roll_back(&mut self) {
        for undo in self.undo.take().into_iter().flatten().rev() {
            match undo {
                Undo::Inserted(path) => drop(self.take(&path)),
                Undo::Removed(path, node) => self.put(&path, *node),
                Undo::Changed(path, before) => {
                    if let Some(node) = self.nodes.get_mut(&path) {
                        node.meta = *before;
                    }
                }
            }
        }
    }

    fn log(&mut self, undo: impl FnOnce(&Self) -> Undo) {
        if self.undo.is_some() {
            let entry = undo(self);
            self.undo.get_or_insert_default().push(entry);
        }
    }

    fn put(&mut self, path: &str, node: Znode) {
        if let Some(parent) = parent(path).and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.insert(name(path).to_owned());
        }
        if let Fate::Ephemeral(session) = node.meta.fate {
            let of_session = self.ephemerals.entry(session).or_default();
            of_session.insert(path.to_owned());
        }
        if let Some(limited) = quota::limited_by(path) {
            self.limited.insert(limited.to_owned());
        }
        self.nodes.insert(path.to_owned(), node);
    }

    fn take(&mut self, path: &str) -> Znode {
        let node = self
            .nodes
            .remove(path)
            .expect("only what is there is removed");
        if let Some(parent) = parent(path).and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.remove(name(path));
        }
        if let Fate::Ephemeral(session) = node.meta.fate
            && let Some(of_session) = self.ephemerals.get_mut(&session)
        {
            of_session.remove(path);
        }
        if let Some(limited) = quota::limited_by(path) {
            self.limited.remove(limited);
        }
        node
    }
}

fn built_in(path: &str) -> Znode {
    let is_config = path == "/zookeeper/config";
    let acl = if is_config {
        vec![Acl::read_only()]
    } else {
        open_acl()
    };
    Znode::new(Meta {
        data: Some(Bytes::new()),
        acl: Arc::from(acl),
        fate: Fate::Lasting,
        czxid: Zxid::ZERO,
        mzxid: Zxid::ZERO,
        pzxid: Zxid::ZERO,
        ctime: 0,
        mtime: 0,
        version: 0,
        aversion: if is_config { -1 } else { 0 },
        created: 0,
    })
}
