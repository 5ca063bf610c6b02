//! Whose turn it is: a pure function of the children's names and the own name.

use crate::layout::{Layout, Place, SEQUENCE_LIMIT};

/// What a contender is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is its turn.
    Mine,
    /// It waits for this child to go: the nearest of those ahead that block it. Everybody
    /// watches another one, so that one contender wakes per release (readers behind one
    /// writer wake together, as they should).
    Behind(String),
    /// Its own znode is not among the children.
    Missing,
    /// Its sequence, or that of another contender, is so high that the parent's counter has
    /// turned negative or soon will, and that those who share the path disagree on the order.
    /// The parent has to be made anew.
    Exhausted,
}

/// What the contender with the name `own` is to do, given all children of its parent.
///
/// Whether it wants exclusive or shared ownership is in its name: a reader waits for
/// those ahead that want it for themselves, everybody else for all ahead. Children that
/// `layout` does not know have no say.
pub fn decide(children: &[String], own: &str, layout: &Layout) -> Turn {
    if !children.iter().any(|name| name == own) {
        return Turn::Missing;
    }
    let Some(me) = layout.parse(own) else {
        // Created with a name of this layout: the counter's digits alone can be at fault.
        return Turn::Exhausted;
    };
    let others = || children.iter().filter_map(|name| layout.parse(name));
    if me.sequence >= SEQUENCE_LIMIT || others().any(|other| other.sequence < 0) {
        return Turn::Exhausted;
    }
    match others().filter(|other| blocks(other, &me)).max() {
        Some(nearest) => Turn::Behind(nearest.name.to_owned()),
        None => Turn::Mine,
    }
}

fn blocks(other: &Place<'_>, me: &Place<'_>) -> bool {
    other < me && !(other.is_shared && me.is_shared)
}

#[cfg(test)]
mod tests;
