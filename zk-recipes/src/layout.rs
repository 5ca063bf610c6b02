//! The names of contenders: what is written, and what is read out of a child's name.

use crate::dialect::Dialect;
use crate::error::Error;

/// Sequences from here on are refused: 10⁶ before the parent's counter turns negative and
/// the libraries that share a path disagree on the order (kazoo#730).
pub const SEQUENCE_LIMIT: i32 = i32::MAX - 1_000_000;

/// What a contender's znode is in line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A mutex, or a leader selector: Curator's `lock-`.
    Lock,
    /// A leader latch: Curator's `latch-`.
    Latch,
    /// The read side of a read-write lock: Curator's `__READ__`.
    Read,
    /// The write side of a read-write lock: Curator's `__WRIT__`.
    Write,
    /// A semaphore's lease: Curator's `lease-`.
    Lease,
}

/// How a name shows that it is a contender's, apart from the sequence at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// The sequence follows this text.
    Ending(&'static str),
    /// It starts with this text, and the sequence follows a dash.
    Dashed(&'static str),
}

/// The marks one dialect has for one role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// What is written between id and sequence.
    pub(crate) name: &'static str,
    /// Contenders that want it for themselves.
    pub(crate) exclusive: &'static [Mark],
    /// Contenders that share it with their like.
    pub(crate) shared: &'static [Mark],
}

/// A dialect's names for a role.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    dialect: Dialect,
    role: Role,
    marks: Marks,
}

/// A contender's place in line, as its name says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'n> {
    /// The parent's counter when it was created: who is lower came earlier.
    pub sequence: i32,
    /// Whether it shares with its like (a reader). After writers, so that a
    /// reader with its writer's number (Curator's downgrade, CURATOR-621) follows it.
    pub is_shared: bool,
    /// The whole name; makes the order total.
    pub name: &'n str,
}

impl Layout {
    /// The names of a dialect for a role.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where the dialect's library has no such recipe.
    pub fn new(dialect: Dialect, role: Role) -> Result<Self, Error> {
        let Some(marks) = dialect.marks(role) else {
            let reason = format!("{dialect:?} has no names for {role:?}");
            return Err(Error::invalid("dialect", reason));
        };
        Ok(Self {
            dialect,
            role,
            marks,
        })
    }

    /// The dialect.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The role.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What the name of a contender's znode has between id and sequence, such as `lock-`.
    pub const fn name(&self) -> &'static str {
        self.marks.name
    }

    /// What a child's name says; `None` if it is no contender's.
    pub fn parse<'n>(&self, name: &'n str) -> Option<Place<'n>> {
        let read = |marks: &[Mark]| marks.iter().find_map(|mark| mark.sequence(name));
        let place = |is_shared| {
            move |sequence| Place {
                sequence,
                is_shared,
                name,
            }
        };
        // Shared first: Java's mark fits any name.
        read(self.marks.shared)
            .map(place(true))
            .or_else(|| read(self.marks.exclusive).map(place(false)))
    }

    /// The contenders among `children`, first come first.
    pub fn contenders<'n>(&self, children: &'n [String]) -> Vec<Place<'n>> {
        let mut contenders: Vec<_> = children
            .iter()
            .filter_map(|name| self.parse(name))
            .collect();
        contenders.sort_unstable();
        contenders
    }

    /// The children that are nobody's contenders: they have no say, and may be worth a
    /// report.
    pub fn foreign<'n>(&self, children: &'n [String]) -> impl Iterator<Item = &'n str> {
        let layout = *self;
        children
            .iter()
            .map(String::as_str)
            .filter(move |name| layout.parse(name).is_none())
    }
}

impl Mark {
    fn sequence(self, name: &str) -> Option<i32> {
        // Eleven characters from −1000000000 down, else ten. Eleven first: before ten
        // digits a second dash is a sign.
        [11, 10].into_iter().find_map(|width| {
            let (head, counter) = name.split_at_checked(name.len().checked_sub(width)?)?;
            let fits = match self {
                Self::Ending(text) => head.ends_with(text),
                Self::Dashed(text) => head.starts_with(text) && head.ends_with('-'),
            };
            fits.then(|| number(counter)).flatten()
        })
    }
}

/// A counter exactly as Java's `%010d` writes it.
fn number(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i32 = text.parse().ok()?;
    (format!("{number:010}") == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "6f5902ac-237e-4b0b-8ac6-1fb0d5f6a1e8";
    const HEX: &str = "6f5902ac237e4b0b8ac61fb0d5f6a1e8";

    fn layout(dialect: Dialect, role: Role) -> Layout {
        Layout::new(dialect, role).unwrap()
    }

    fn sequence(dialect: Dialect, role: Role, name: &str) -> Option<i32> {
        let layout = layout(dialect, role);
        layout.parse(name).map(|contender| contender.sequence)
    }

    #[test]
    fn every_library_reads_its_own_names() {
        for (dialect, role, name) in [
            (Dialect::Curator, Role::Lock, format!("_c_{UUID}-lock-")),
            (Dialect::Curator, Role::Lock, "lock-".into()),
            (Dialect::Curator, Role::Latch, format!("_c_{UUID}-latch-")),
            (Dialect::Curator, Role::Read, format!("_c_{UUID}-__READ__")),
            (Dialect::Curator, Role::Write, format!("_c_{UUID}-__WRIT__")),
            (Dialect::Curator, Role::Lease, format!("_c_{UUID}-lease-")),
            (Dialect::Kazoo, Role::Lock, format!("{HEX}__lock__")),
            (Dialect::Kazoo, Role::Read, format!("{HEX}__rlock__")),
            (Dialect::GoZk, Role::Lock, format!("_c_{HEX}-lock-")),
            (Dialect::GoZk, Role::Lock, format!("{HEX}__rlock__")),
            (Dialect::ZkJava, Role::Lock, "x-72057594037927936-".into()),
            (
                Dialect::ZkJava,
                Role::Lock,
                "x--4611686018427387904-".into(),
            ),
            (Dialect::ZkJava, Role::Lock, format!("x-1-{HEX}-")),
            (Dialect::Any, Role::Lock, "x-72057594037927936-".into()),
            (Dialect::Any, Role::Lock, format!("{HEX}__lock__")),
            (Dialect::Any, Role::Lock, format!("_c_{UUID}-lock-")),
        ] {
            for number in [0, 7, i32::MAX, -1, -999_999_999, -1_000_000_000, i32::MIN] {
                let name = format!("{name}{number:010}");
                assert_eq!(sequence(dialect, role, &name), Some(number), "{name}");
            }
        }
    }

    #[test]
    fn the_counter_that_has_wrapped_has_eleven_characters() {
        let name = format!("{UUID}-lock--2147483648");
        assert_eq!(
            sequence(Dialect::Curator, Role::Lock, &name),
            Some(i32::MIN)
        );
        // Ten digits after the mark's own dash are positive.
        let name = format!("{UUID}-lock-2147483647");
        assert_eq!(
            sequence(Dialect::Curator, Role::Lock, &name),
            Some(i32::MAX)
        );
    }

    #[test]
    fn malformed_and_foreign_children_are_no_contenders() {
        for name in [
            "",
            "lock-",
            "lock-1",
            "lock-000000001",
            "lock-00000000001",
            "lock-+000000001",
            "lock-9999999999",
            "lock--000000000",
            "lock--2147483649",
            "lock--0000000005",
            "lock-000000000x",
            "lück-0000000001",
            "00000000é1",
            "latch-0000000001",
            "0000000001",
            "leases",
            "6f5902ac237e4b0b8ac61fb0d5f6a1e8__lock__0000000001",
        ] {
            assert_eq!(sequence(Dialect::Curator, Role::Lock, name), None, "{name}");
        }
        let children = ["leases".to_owned(), "lock-0000000001".to_owned()];
        let lock = layout(Dialect::Curator, Role::Lock);
        assert_eq!(lock.foreign(&children).collect::<Vec<_>>(), ["leases"]);
    }

    #[test]
    fn a_dialect_without_the_recipe_is_refused() {
        let refused = Layout::new(Dialect::GoZk, Role::Latch).unwrap_err();
        assert!(matches!(
            refused,
            Error::InvalidArgument {
                argument: "dialect",
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(name in ".{0,40}") {
            for dialect in [Dialect::Curator, Dialect::Kazoo, Dialect::GoZk, Dialect::ZkJava, Dialect::Any] {
                let _ = sequence(dialect, Role::Lock, &name);
            }
        }

        #[test]
        fn any_counter_is_read_as_it_was_written(number: i32, head in "[a-z-]{0,10}") {
            let name = format!("{head}lock-{number:010}");
            prop_assert_eq!(sequence(Dialect::Curator, Role::Lock, &name), Some(number));
        }
    }
}
