//! What a simulator sees and disturbs inside production code.

use std::fmt;
use std::sync::Arc;

/// A simulator's side of a [`Probe`].
pub trait Probed: fmt::Debug + Send + Sync + 'static {
    /// Code has come to the place called `place`.
    fn reached(&self, place: &'static str);

    /// Whether the failpoint called `point` acts this time.
    fn fires(&self, point: &'static str) -> bool;

    /// The bug that is planted, if any.
    fn planted(&self) -> Option<&'static str>;
}

/// Handed to code whose rare branches a simulator wants to see or to force. In
/// production it is empty and every question costs one branch.
///
/// Names are `component: what`, such as `client: write in two pieces`; they are
/// listed in the simulator's report.
#[derive(Clone, Debug, Default)]
pub struct Probe(Option<Arc<dyn Probed>>);

impl Probe {
    /// A probe that answers to `probed`.
    pub fn new(probed: Arc<dyn Probed>) -> Self {
        Self(Some(probed))
    }

    /// Notes that this rare place was reached.
    #[inline]
    pub fn reached(&self, place: &'static str) {
        if let Some(probed) = &self.0 {
            probed.reached(place);
        }
    }

    /// A failpoint: whether to do the legal but unlikely thing here. Never outside
    /// a simulation, and there with a chance below one: some make the code try again,
    /// which at a chance of one would not end.
    #[inline]
    pub fn buggify(&self, point: &'static str) -> bool {
        self.0.as_ref().is_some_and(|probed| probed.fires(point))
    }

    /// Whether the bug called `bug` is planted here, to see whether the checks find
    /// it. Without the feature `planted-bugs` the question is not compiled.
    #[inline]
    pub fn has_planted(&self, bug: &'static str) -> bool {
        cfg!(feature = "planted-bugs")
            && self
                .0
                .as_ref()
                .is_some_and(|probed| probed.planted() == Some(bug))
    }
}
