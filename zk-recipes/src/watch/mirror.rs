//! What is known of a part of the tree, and what must be read to know it better: pure.
//!
//! One rule drives it: after each input, send what [`poll_request`](Mirror::poll_request) gives
//! and publish what [`poll_change`](Mirror::poll_change) gives. Answers are handed in in
//! the order of the calls.
//!
//! Events change nothing by themselves, they only say what to read again; so the mirror is
//! never ahead of a read, and what one event of a burst has settled the next does not undo.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use zk_client::{EventType, Stat, Zxid};
use zk_proto::path;

use super::pending::{Change, Znode};

/// How far below its path a subscription sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// The znode alone.
    Node,
    /// The znode and its children.
    Children,
    /// The znode and everything below it.
    Subtree,
}

/// How the server is asked to tell of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// One persistent recursive watch, left by the caller; its events name every change.
    Recursive,
    /// Each read leaves a one-shot watch.
    OneShot,
}

/// A read to send. The order is that of sending: parents first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Data,
    Children,
}

/// More znodes than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

#[derive(Debug)]
struct Entry {
    znode: Arc<Znode>,
    /// The pzxid at which its children were listed; none need be if the depth ends here.
    listed: Option<Zxid>,
}

/// The state of one watched part of the tree.
#[derive(Debug)]
pub(crate) struct Mirror {
    root: String,
    depth: Depth,
    way: Way,
    limit: usize,
    entries: BTreeMap<String, Entry>,
    todo: BTreeSet<Request>,
    /// Sent and not answered; true if it must be sent again, because something happened
    /// that the answer may not show.
    in_flight: BTreeMap<Request, bool>,
    changes: VecDeque<Change>,
}

impl Mirror {
    /// Of nothing yet; `limit` znodes at most.
    pub(crate) fn new(root: &str, depth: Depth, limit: usize) -> Self {
        Self {
            root: root.to_owned(),
            depth,
            way: match depth {
                Depth::Node | Depth::Children => Way::OneShot,
                Depth::Subtree => Way::Recursive,
            },
            limit,
            entries: BTreeMap::new(),
            todo: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            changes: VecDeque::new(),
        }
    }

    pub(crate) const fn way(&self) -> Way {
        self.way
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The server has no persistent watches. What was read without leaving a watch is read
    /// again.
    pub(crate) fn use_one_shots(&mut self) {
        self.way = Way::OneShot;
        self.handle_gap();
    }

    /// Something may have happened unseen: everything known is read again. What is in
    /// flight may have been answered before it.
    pub(crate) fn handle_gap(&mut self) {
        self.ask(self.root.clone(), What::Data);
        let known: Vec<_> = self.entries.keys().cloned().collect();
        for path in known {
            if self.way == Way::OneShot && self.sees_children_of(&path) {
                self.ask(path.clone(), What::Children);
            }
            self.ask(path, What::Data);
        }
    }

    /// What was in flight will not be answered.
    pub(crate) fn handle_disconnected(&mut self) {
        let unanswered = std::mem::take(&mut self.in_flight);
        self.todo.extend(unanswered.into_keys());
    }

    /// Something happened to a znode.
    pub(crate) fn handle_event(&mut self, event_type: EventType, path: &str) {
        match event_type {
            EventType::NodeCreated | EventType::NodeDeleted | EventType::NodeDataChanged => {
                if self.sees(path) {
                    self.ask(path.to_owned(), What::Data);
                }
            }
            EventType::NodeChildrenChanged => {
                if self.sees_children_of(path) {
                    self.ask(path.to_owned(), What::Children);
                }
            }
            // What this says of the session, the session says too; but not what was missed.
            EventType::None
            | EventType::DataWatchRemoved
            | EventType::ChildWatchRemoved
            | EventType::PersistentWatchRemoved => self.handle_gap(),
        }
    }

    /// The next read to send.
    pub(crate) fn poll_request(&mut self) -> Option<Request> {
        let request = self.todo.pop_first()?;
        self.in_flight.insert(request.clone(), false);
        Some(request)
    }

    /// The next change, in the order in which they were found out: parents appear before
    /// their children and disappear after them.
    pub(crate) fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Whether everything that is known to have happened has been read.
    pub(crate) fn is_settled(&self) -> bool {
        self.todo.is_empty() && self.in_flight.is_empty()
    }

    /// The read has no answer: it is to be sent again.
    pub(crate) fn handle_failed(&mut self, request: Request) {
        self.in_flight.remove(&request);
        self.todo.insert(request);
    }

    /// It is there and may not be read: it is left out, and what is below it too.
    pub(crate) fn handle_unreadable(&mut self, request: &Request) {
        self.answered(&request.path, request.what);
        self.remove(&request.path);
    }

    /// What a znode is, or that it is not.
    pub(crate) fn handle_data(&mut self, path: &str, read: Option<Znode>) -> Result<(), TooMany> {
        self.answered(path, What::Data);
        let Some(znode) = read else {
            self.remove(path);
            return Ok(());
        };
        if path != self.root
            && let Some(above) = path::parent(path)
            && !self.entries.contains_key(above)
        {
            // The parent comes first; it will be seen to have children.
            self.ask(above.to_owned(), What::Data);
            return Ok(());
        }
        let is_recreated = self
            .entries
            .get(path)
            .is_some_and(|known| known.znode.stat.czxid != znode.stat.czxid);
        if is_recreated {
            // What was below it went with it.
            self.remove_below(path);
        }
        self.put(path, znode)
    }

    /// The children of a znode, or that it is not there.
    pub(crate) fn handle_children(
        &mut self,
        path: &str,
        read: Option<(Vec<String>, Stat)>,
    ) -> Result<(), TooMany> {
        self.answered(path, What::Children);
        let Some(entry) = self.entries.get_mut(path) else {
            return Ok(());
        };
        let known = entry.znode.stat.czxid;
        let Some((names, stat)) = read.filter(|(_, stat)| stat.czxid == known) else {
            self.ask(path.to_owned(), What::Data);
            return Ok(());
        };
        entry.listed = Some(stat.pzxid);
        if entry.znode.stat.pzxid != stat.pzxid && entry.znode.stat.mzxid == stat.mzxid {
            // What it says of its children, kept true; no change of the znode itself.
            let data = entry.znode.data.clone();
            entry.znode = Arc::new(Znode { data, stat });
        }
        let listed: BTreeSet<String> = names.iter().map(|name| path::join(path, name)).collect();
        let gone: Vec<String> = self
            .children_of(path)
            .filter(|child| !listed.contains(*child))
            .map(str::to_owned)
            .collect();
        for child in gone {
            self.remove(&child);
        }
        for child in listed {
            if !self.entries.contains_key(&child) {
                if self.entries.len() + self.todo.len() > 2 * self.limit {
                    return Err(TooMany);
                }
                self.ask(child, What::Data);
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &str, znode: Znode) -> Result<(), TooMany> {
        let stat = znode.stat;
        let known = self.entries.get_mut(path);
        let before = known.as_ref().map(|known| Arc::clone(&known.znode));
        let is_same_node = before
            .as_ref()
            .is_some_and(|before| before.stat.czxid == stat.czxid);
        let is_news = before
            .as_ref()
            .is_none_or(|before| before.identity() != znode.identity());
        let after = Arc::new(znode);
        let mut listed = None;
        match known {
            Some(known) => {
                known.znode = Arc::clone(&after);
                if !is_same_node {
                    known.listed = None;
                }
                listed = known.listed;
            }
            None => {
                if self.entries.len() >= self.limit {
                    return Err(TooMany);
                }
                let entry = Entry {
                    znode: Arc::clone(&after),
                    listed: None,
                };
                self.entries.insert(path.to_owned(), entry);
            }
        }
        if is_news {
            self.changes.push_back(Change {
                path: path.to_owned(),
                before,
                after: Some(after),
            });
        }
        if self.sees_children_of(path) && self.needs_list(&stat, listed) {
            self.ask(path.to_owned(), What::Children);
        }
        Ok(())
    }

    /// Under a recursive watch a znode without children needs no list: those to come have events.
    fn needs_list(&self, stat: &Stat, listed: Option<Zxid>) -> bool {
        match (self.way, listed) {
            (_, Some(pzxid)) => pzxid != stat.pzxid,
            (Way::OneShot, None) => true,
            (Way::Recursive, None) => stat.num_children > 0,
        }
    }

    /// The path and what is below it, the deepest first.
    fn remove(&mut self, path: &str) {
        self.remove_below(path);
        self.forget(path);
    }

    fn remove_below(&mut self, path: &str) {
        let below = below(path);
        let gone: Vec<String> = self
            .entries
            .range(below.clone()..)
            .map(|(known, _)| known.clone())
            .take_while(|known| known.starts_with(&below))
            .filter(|known| known != path)
            .collect();
        for known in gone.iter().rev() {
            self.forget(known);
        }
    }

    fn forget(&mut self, path: &str) {
        if let Some(entry) = self.entries.remove(path) {
            self.changes.push_back(Change {
                path: path.to_owned(),
                before: Some(entry.znode),
                after: None,
            });
        }
    }

    fn ask(&mut self, path: String, what: What) {
        let request = Request { path, what };
        match self.in_flight.get_mut(&request) {
            Some(again) => *again = true,
            None => drop(self.todo.insert(request)),
        }
    }

    fn answered(&mut self, path: &str, what: What) {
        let request = Request {
            path: path.to_owned(),
            what,
        };
        if self.in_flight.remove(&request) == Some(true) {
            self.todo.insert(request);
        }
    }

    fn children_of<'m>(&'m self, path: &str) -> impl Iterator<Item = &'m str> {
        let below = below(path);
        let length = below.len();
        self.entries
            .range(below.clone()..)
            .map(|(known, _)| known.as_str())
            .take_while(move |known| known.starts_with(&below))
            .filter(move |known| known.len() > length && !known[length..].contains('/'))
    }

    fn sees(&self, path: &str) -> bool {
        match self.depth {
            Depth::Node => path == self.root,
            Depth::Children => path == self.root || path::parent(path) == Some(&*self.root),
            Depth::Subtree => path::is_within(path, &self.root),
        }
    }

    fn sees_children_of(&self, path: &str) -> bool {
        match self.depth {
            Depth::Node => false,
            Depth::Children => path == self.root,
            Depth::Subtree => path::is_within(path, &self.root),
        }
    }
}

/// What the paths below one start with.
fn below(path: &str) -> String {
    if path == "/" {
        path.to_owned()
    } else {
        format!("{path}/")
    }
}

#[cfg(test)]
mod tests;
