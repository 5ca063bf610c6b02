//! The names of a queue's items: what they say, and who comes first.

use std::fmt::Debug;

use zk_proto::path;

use super::layout::QueueLayout;

/// In which order a queue gives its items: one of those below.
pub trait Order: Debug + Send + Sync + 'static {
    /// Which.
    const KIND: Kind;
}

/// What an [`Order`] goes by, and the names of items with it.
#[expect(missing_docs, reason = "the orders of the same names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fifo,
    Priority,
    Delay,
    Id,
}

macro_rules! order {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {}

        impl Order for $name {
            const KIND: Kind = Kind::$name;
        }
    };
}

order! {
    /// First come, first served.
    Fifo
}
order! {
    /// The lowest number first, then first come.
    Priority
}
order! {
    /// Each not before its time, then by time.
    Delay
}
order! {
    /// First come, first served; items have ids, by which they can be removed.
    Id
}

/// What Curator's names begin with.
const CURATOR: &str = "queue-";
/// Between the parts of Curator's names.
const BAR: char = '|';
/// What kazoo's names begin with.
const KAZOO: &str = "entry-";
/// The priority that kazoo gives where none is asked for.
const KAZOO_PRIORITY: i32 = 100;

/// An item's name, taken apart. Compares as items follow one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Priority or time; 0 for all where neither counts.
    rank: i64,
    sequence: i32,
    pub(super) name: String,
    pub(super) id: Option<String>,
}

impl Place {
    /// Milliseconds since the Unix epoch before which the item is not given.
    pub(super) const fn due_ms(&self) -> i64 {
        self.rank
    }
}

/// The name of a new item, its sequence still missing.
pub(super) fn prefix(layout: QueueLayout, rank: Rank<'_>) -> String {
    match (layout, rank) {
        (QueueLayout::Curator, Rank::None) => CURATOR.to_owned(),
        (QueueLayout::Curator, Rank::Priority(priority)) => {
            // Curator compares text: negative priorities come first, as unsigned numbers.
            let sign = u8::from(priority >= 0);
            format!("{CURATOR}{sign}{priority:08X}")
        }
        (QueueLayout::Curator, Rank::Due(ms)) => format!("{CURATOR}{BAR}{ms:08X}{BAR}"),
        (QueueLayout::Curator, Rank::Id(id)) => format!("{CURATOR}{BAR}{}{BAR}", clean(id)),
        (_, Rank::Priority(priority)) => format!("{KAZOO}{priority:03}-"),
        (_, Rank::None | Rank::Due(_) | Rank::Id(_)) => format!("{KAZOO}{KAZOO_PRIORITY:03}-"),
    }
}

/// What a new item's name says of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rank<'i> {
    None,
    Priority(i32),
    Due(i64),
    Id(&'i str),
}

/// An id as it stands in a name; Curator replaces the same two characters.
pub(super) fn clean(id: &str) -> String {
    id.replace(['/', BAR], "_")
}

/// The items among `names`, in order. What is no item of this kind is left alone.
pub(super) fn in_order(layout: QueueLayout, kind: Kind, names: Vec<String>) -> Vec<Place> {
    let parsed = names.into_iter().filter_map(|name| match layout {
        QueueLayout::Curator => curator(kind, name),
        QueueLayout::Kazoo | QueueLayout::KazooLocking => kazoo(name),
    });
    let mut places: Vec<Place> = parsed.collect();
    places.sort_unstable();
    places
}

fn curator(kind: Kind, name: String) -> Option<Place> {
    let rest = name.strip_prefix(CURATOR)?;
    let (rank, sequence, id) = match kind {
        Kind::Fifo => (0, sequence(rest)?, None),
        Kind::Priority => {
            let (sign, rest) = rest.split_at_checked(1)?;
            let (hex, rest) = rest.split_at_checked(8)?;
            let number = u32::from_str_radix(hex, 16).ok()?;
            let above_negative = match sign {
                "0" => 0,
                "1" => 1_i64 << u32::BITS,
                _ => return None,
            };
            (above_negative + i64::from(number), sequence(rest)?, None)
        }
        Kind::Delay => {
            let (hex, rest) = rest.strip_prefix(BAR)?.split_once(BAR)?;
            (i64::from_str_radix(hex, 16).ok()?, sequence(rest)?, None)
        }
        Kind::Id => {
            let (id, rest) = rest.strip_prefix(BAR)?.split_once(BAR)?;
            (0, sequence(rest)?, Some(id.to_owned()))
        }
    };
    Some(Place {
        rank,
        sequence,
        name,
        id,
    })
}

/// What the server has put behind a name, and nothing in front of it.
fn sequence(text: &str) -> Option<i32> {
    const WIDTH: usize = 10;
    path::sequence(text).filter(|_| text.len() == WIDTH)
}

fn kazoo(name: String) -> Option<Place> {
    let (priority, rest) = name.strip_prefix(KAZOO)?.split_once('-')?;
    Some(Place {
        rank: priority.parse::<i32>().ok()?.into(),
        sequence: sequence(rest)?,
        id: None,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(kind: Kind, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let places = in_order(QueueLayout::Curator, kind, names);
        places.into_iter().map(|place| place.name).collect()
    }

    #[test]
    fn names_begin_as_those_of_the_other_libraries() {
        let curator = |rank| prefix(QueueLayout::Curator, rank);
        assert_eq!(curator(Rank::None), "queue-");
        assert_eq!(curator(Rank::Priority(5)), "queue-100000005");
        assert_eq!(curator(Rank::Priority(-1)), "queue-0FFFFFFFF");
        assert_eq!(curator(Rank::Due(1_700_000_000_000)), "queue-|18BCFE56800|");
        assert_eq!(curator(Rank::Id("a/b|c")), "queue-|a_b_c|");
        let kazoo = |rank| prefix(QueueLayout::Kazoo, rank);
        assert_eq!(kazoo(Rank::None), "entry-100-");
        assert_eq!(kazoo(Rank::Priority(7)), "entry-007-");
    }

    #[test]
    fn each_kind_has_its_order_and_leaves_strangers_alone() {
        let fifo = [
            "queue-0000000010",
            "queue-0000000009",
            "queue-x",
            "q",
            "queue-|a|0000000001",
        ];
        assert_eq!(
            ordered(Kind::Fifo, &fifo),
            ["queue-0000000009", "queue-0000000010"]
        );
        let priority = [
            "queue-1000000050000000001",
            "queue-0FFFFFFFE0000000002",
            "queue-0FFFFFFFF0000000003",
            "queue-1000000050000000000",
            "queue-2000000050000000000",
            "queue-0000000000",
        ];
        assert_eq!(
            ordered(Kind::Priority, &priority),
            [
                "queue-0FFFFFFFE0000000002",
                "queue-0FFFFFFFF0000000003",
                "queue-1000000050000000000",
                "queue-1000000050000000001",
            ]
        );
        let delay = [
            "queue-|18BCFE56801|0000000000",
            "queue-|FFFFFFFF|0000000001",
            "queue-|18BCFE56800|0000000002",
            "queue-|x|0000000003",
        ];
        assert_eq!(
            ordered(Kind::Delay, &delay),
            [
                "queue-|FFFFFFFF|0000000001",
                "queue-|18BCFE56800|0000000002",
                "queue-|18BCFE56801|0000000000",
            ]
        );
        let names = [
            "queue-|b|0000000001".to_owned(),
            "queue-|a|0000000002".to_owned(),
        ];
        let ids = in_order(QueueLayout::Curator, Kind::Id, names.to_vec());
        let ids: Vec<_> = ids.iter().filter_map(|place| place.id.as_deref()).collect();
        assert_eq!(ids, ["b", "a"]);
    }

    #[test]
    fn kazoos_lowest_priority_number_comes_first() {
        let names = [
            "entry-100-0000000000",
            "entry-005-0000000002",
            "entry-100-0000000001",
        ];
        let names = names.map(str::to_owned).to_vec();
        let places = in_order(QueueLayout::KazooLocking, Kind::Fifo, names);
        let names: Vec<_> = places.iter().map(|place| &*place.name).collect();
        assert_eq!(
            names,
            [
                "entry-005-0000000002",
                "entry-100-0000000000",
                "entry-100-0000000001"
            ]
        );
    }
}
