//! Paths: few, so that operations meet; and some that nobody should send.

use zk_proto::path::join;

use super::{Generator, View};

const TOP: [&str; 4] = ["/a", "/b", "/c", "/d"];
const NAMES: [&str; 5] = ["x", "y", "z", "é", "n 1"];

const BUILT_IN: [&str; 5] = [
    "/",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "",
];

const INVALID: [&str; 21] = [
    "",
    "a",
    "/a/",
    "//a",
    "/a//x",
    "/a/.",
    "/a/..",
    "/./a",
    "/a/../b",
    "/missing/x/",
    "/a/\0",
    "/\u{1}",
    "/a\u{1f}b",
    "/\u{7f}",
    "/\u{9f}",
    "/\u{e000}",
    "/\u{f8ff}",
    "/\u{fff0}",
    "/\u{ffff}",
    "/zookeeper/",
    "/a\u{d7ff}\0",
];

/// Valid, next to the limits of what is.
const EDGE: [&str; 7] = [
    "/...",
    "/a../x",
    "/.a",
    "/\u{ffef}",
    "/\u{a0}",
    "/\u{d7ff}",
    "/a%2f b:c",
];

/// Only where it is refused: what Apache sends back of it is not UTF-8.
const BEYOND_THE_BASIC_PLANE: &str = "/a😀";

/// Deeper znodes are seldom met again.
const DEEPEST: usize = 4;

/// Where a path is looked for.
#[derive(Clone, Copy, Debug)]
enum Source {
    Existing,
    Pool,
    BuiltIn,
    Edge,
    Invalid,
    Beyond,
}

const TARGETS: [(usize, Source); 5] = [
    (62, Source::Existing),
    (27, Source::Pool),
    (5, Source::BuiltIn),
    (2, Source::Edge),
    (4, Source::Invalid),
];

const BIRTHPLACES: [(usize, Source); 6] = [
    (58, Source::Existing),
    (33, Source::Pool),
    (2, Source::BuiltIn),
    (3, Source::Edge),
    (4, Source::Invalid),
    (1, Source::Beyond),
];

impl Generator {
    /// A path to read, change or delete.
    pub(super) fn target(&mut self, view: &View<'_>) -> String {
        match *self.dice.weighted(&TARGETS) {
            Source::Existing => self.existing(view),
            source => self.from(source),
        }
    }

    /// A path to create.
    pub(super) fn birthplace(&mut self, view: &View<'_>) -> String {
        match *self.dice.weighted(&BIRTHPLACES) {
            Source::Existing => self.below_existing(view),
            Source::BuiltIn => join("/zookeeper", self.name()),
            source => self.from(source),
        }
    }

    fn from(&mut self, source: Source) -> String {
        match source {
            Source::Existing | Source::Pool => self.pooled(),
            Source::BuiltIn => (*self.dice.pick(&BUILT_IN)).into(),
            Source::Edge => (*self.dice.pick(&EDGE)).into(),
            Source::Invalid => (*self.dice.pick(&INVALID)).into(),
            Source::Beyond => BEYOND_THE_BASIC_PLANE.into(),
        }
    }

    /// A znode that is there, if any is.
    pub(super) fn existing(&mut self, view: &View<'_>) -> String {
        match view.model.len() {
            0 => self.pooled(),
            len => {
                let at = self.dice.below(len);
                let path = view.model.paths().nth(at);
                path.map_or_else(|| self.pooled(), str::to_owned)
            }
        }
    }

    fn below_existing(&mut self, view: &View<'_>) -> String {
        let parent = self.existing(view);
        if parent.matches('/').count() >= DEEPEST {
            return self.pooled();
        }
        join(&parent, self.name())
    }

    /// A path of one to three names, there or not.
    pub(super) fn pooled(&mut self) -> String {
        let mut path = self.top().to_owned();
        for _ in 0..self.dice.below(3) {
            path = join(&path, self.name());
        }
        path
    }

    pub(super) fn top(&mut self) -> &'static str {
        self.dice.pick::<&str>(&TOP)
    }

    pub(super) fn name(&mut self) -> &'static str {
        self.dice.pick::<&str>(&NAMES)
    }

    pub(super) fn invalid(&mut self) -> &'static str {
        self.dice.pick::<&str>(&INVALID)
    }
}
