//! A mirror beside a tree that changes at random, with answers that are late, lost watches and
//! gaps: it ends equal to the tree.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// A server with one client, as far as a mirror sees it.
#[derive(Debug, Default)]
struct Server {
    zxid: i64,
    znodes: BTreeMap<String, Stat>,
    /// One-shot watches.
    data_watches: BTreeSet<String>,
    child_watches: BTreeSet<String>,
    is_recursive: bool,
}

enum Answer {
    Data(Option<Znode>),
    Children(Option<(Vec<String>, Stat)>),
}

impl Server {
    fn names(&self, path: &str) -> Vec<String> {
        let below = below(path);
        let is_child = |known: &&String| {
            known.len() > below.len()
                && known.starts_with(&below)
                && !known[below.len()..].contains('/')
        };
        let children = self.znodes.keys().filter(is_child);
        children.map(|child| path::name(child).to_owned()).collect()
    }

    fn write(&mut self, path: &str, kind: u8) -> Vec<Event> {
        let zxid = Zxid(self.zxid + 1);
        let parent = path::parent(path).unwrap().to_owned();
        let has_parent = parent == "/" || self.znodes.contains_key(&parent);
        let is_leaf = self.names(path).is_empty();
        let event = match (kind, self.znodes.get_mut(path)) {
            (0, None) if has_parent => {
                let (czxid, mzxid, pzxid) = (zxid, zxid, zxid);
                let stat = Stat {
                    czxid,
                    mzxid,
                    pzxid,
                    ..Stat::default()
                };
                self.znodes.insert(path.into(), stat);
                EventType::NodeCreated
            }
            (1, Some(stat)) => {
                stat.mzxid = zxid;
                EventType::NodeDataChanged
            }
            (2, Some(_)) if is_leaf => {
                self.znodes.remove(path);
                EventType::NodeDeleted
            }
            _ => return Vec::new(),
        };
        self.zxid = zxid.0;
        let mut events = Vec::new();
        if self.is_recursive || self.data_watches.remove(path) {
            events.push(occurred(event, path));
        }
        if event != EventType::NodeDataChanged {
            if event == EventType::NodeDeleted && self.child_watches.remove(path) {
                events.push(occurred(event, path));
            }
            let names = self.names(&parent).len();
            if let Some(stat) = self.znodes.get_mut(&parent) {
                stat.pzxid = zxid;
                stat.num_children = i32::try_from(names).unwrap();
            }
            if self.child_watches.remove(&parent) {
                events.push(occurred(EventType::NodeChildrenChanged, &parent));
            }
        }
        events
    }

    fn read(&mut self, request: &Request, is_root: bool) -> Answer {
        let stat = self.znodes.get(&request.path).copied();
        let leaves_watch = !self.is_recursive && (is_root || stat.is_some());
        match request.what {
            What::Data => {
                if leaves_watch {
                    self.data_watches.insert(request.path.clone());
                }
                let data = Bytes::new();
                Answer::Data(stat.map(|stat| Znode { data, stat }))
            }
            What::Children => {
                if leaves_watch && stat.is_some() {
                    self.child_watches.insert(request.path.clone());
                }
                let names = self.names(&request.path);
                Answer::Children(stat.map(|stat| (names, stat)))
            }
        }
    }
}

type Event = (EventType, String);

fn occurred(event_type: EventType, path: &str) -> Event {
    (event_type, path.to_owned())
}

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Which path, and what.
    Write(usize, u8),
    /// The mirror sends a read; the server has it at once.
    Send,
    /// The oldest answer arrives.
    Answer,
    /// The oldest event arrives.
    Event,
    /// The connection is lost and found again: answers, and events of a recursive watch, are gone.
    Reconnect,
    /// The same, with one-shot watches too.
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..PATHS.len(), 0_u8..3).prop_map(|(path, kind)| Step::Write(path, kind)),
        6 => Just(Step::Send),
        6 => Just(Step::Answer),
        4 => Just(Step::Event),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Expire),
    ]
}

const PATHS: [&str; 8] = [
    "/r", "/r/a", "/r/b", "/r/a/x", "/r/a/y", "/r/b/x", "/r/a/x/z", "/q",
];

struct Run {
    server: Server,
    mirror: Mirror,
    answers: VecDeque<(Request, Answer)>,
    events: VecDeque<Event>,
    told: BTreeMap<String, Arc<Znode>>,
}

impl Run {
    fn new(depth: Depth, is_recursive: bool) -> Self {
        let mut mirror = Mirror::new("/r", depth, 100);
        if !is_recursive && mirror.way() == Way::Recursive {
            mirror.use_one_shots();
        }
        mirror.handle_gap();
        let server = Server {
            is_recursive: mirror.way() == Way::Recursive,
            ..Server::default()
        };
        Self {
            server,
            mirror,
            answers: VecDeque::new(),
            events: VecDeque::new(),
            told: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write(path, kind) => {
                let events = self.server.write(PATHS[path], kind);
                self.events.extend(events);
            }
            Step::Send => {
                if let Some(request) = self.mirror.poll_request() {
                    let answer = self.server.read(&request, request.path == "/r");
                    self.answers.push_back((request, answer));
                }
            }
            Step::Answer => match self.answers.pop_front() {
                Some((request, Answer::Data(data))) => {
                    self.mirror.handle_data(&request.path, data).unwrap();
                }
                Some((request, Answer::Children(children))) => {
                    self.mirror
                        .handle_children(&request.path, children)
                        .unwrap();
                }
                None => {}
            },
            Step::Event => {
                if let Some((event_type, path)) = self.events.pop_front() {
                    self.mirror.handle_event(event_type, &path);
                }
            }
            Step::Reconnect => {
                for (request, _) in std::mem::take(&mut self.answers) {
                    self.mirror.handle_failed(request);
                }
                self.events.clear();
                self.mirror.handle_gap();
            }
            Step::Expire => {
                self.answers.clear();
                self.events.clear();
                self.server.data_watches.clear();
                self.server.child_watches.clear();
                self.mirror.handle_disconnected();
                self.mirror.handle_gap();
            }
        }
        self.listen();
    }

    /// Whoever applies the changes, in their order, has a tree at each moment.
    fn listen(&mut self) {
        while let Some(change) = self.mirror.poll_change() {
            // What a stat says of children may have been read again without a change.
            let told = self.told.get(&change.path).map(|znode| znode.identity());
            assert_eq!(told, change.before.as_ref().map(|znode| znode.identity()));
            match change.after {
                Some(after) => {
                    let parent = path::parent(&change.path).unwrap();
                    assert!(change.path == "/r" || self.told.contains_key(parent));
                    self.told.insert(change.path, after);
                }
                None => {
                    let below = below(&change.path);
                    assert!(!self.told.keys().any(|known| known.starts_with(&below)));
                    self.told.remove(&change.path);
                }
            }
        }
    }

    fn come_to_rest(&mut self) {
        let mut steps = 0;
        while !(self.mirror.is_settled() && self.events.is_empty()) {
            self.step(Step::Event);
            self.step(Step::Send);
            self.step(Step::Answer);
            steps += 1;
            assert!(steps < 10_000, "it never comes to rest");
        }
    }

    fn check(&self) {
        let identity = |stat: &Stat| (stat.czxid, stat.mzxid);
        let seen = self.server.znodes.iter();
        let there: BTreeMap<_, _> = seen
            .filter(|(path, _)| self.mirror.sees(path))
            .map(|(path, stat)| (path.clone(), identity(stat)))
            .collect();
        let told = self.told.iter();
        let told: BTreeMap<_, _> = told
            .map(|(path, znode)| (path.clone(), identity(&znode.stat)))
            .collect();
        assert_eq!(told, there);
    }
}

fn depths() -> impl Strategy<Value = (Depth, bool)> {
    prop_oneof![
        Just((Depth::Node, false)),
        Just((Depth::Children, false)),
        Just((Depth::Subtree, false)),
        Just((Depth::Subtree, true)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn it_ends_equal_to_the_tree((depth, is_recursive) in depths(), steps in proptest::collection::vec(step(), 0..120)) {
        let mut run = Run::new(depth, is_recursive);
        for step in steps {
            run.step(step);
        }
        run.come_to_rest();
        run.check();
    }
}

#[test]
fn a_znode_recreated_with_the_same_versions_is_seen_with_its_children() {
    // CURATOR-391: the children of the new one are found although no version differs.
    let mut run = Run::new(Depth::Subtree, true);
    for (path, kind) in [(0, 0), (1, 0)] {
        run.step(Step::Write(path, kind));
    }
    run.come_to_rest();
    for (path, kind) in [(1, 2), (1, 0), (3, 0)] {
        run.step(Step::Write(path, kind));
    }
    run.step(Step::Reconnect);
    run.come_to_rest();
    run.check();
    assert!(run.told.contains_key("/r/a/x"));
}

#[test]
fn too_many_znodes_are_refused() {
    let mut mirror = Mirror::new("/r", Depth::Children, 1);
    mirror.handle_gap();
    let znode = || Znode {
        data: Bytes::new(),
        stat: Stat::default(),
    };
    assert_eq!(mirror.handle_data("/r", Some(znode())), Ok(()));
    assert_eq!(mirror.handle_data("/r/a", Some(znode())), Err(TooMany));
}
