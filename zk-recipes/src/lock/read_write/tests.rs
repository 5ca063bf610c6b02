//! Who owns, whatever the order in which readers and writers come, go and downgrade.

use proptest::prelude::*;

use crate::decide::{Turn, decide};
use crate::dialect::Dialect;
use crate::layout::{Layout, Role};

/// What can happen to the contenders.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read,
    Write,
    /// The n-th goes, whether it owns or waits.
    Leave(usize),
    /// The n-th becomes a reader, if it is a writer that owns.
    Downgrade(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Read),
        Just(Step::Write),
        (0..8_usize).prop_map(Step::Leave),
        (0..8_usize).prop_map(Step::Downgrade),
    ]
}

/// The contenders' names, and the next sequence.
struct Line {
    dialect: Dialect,
    names: Vec<String>,
    sequence: i32,
}

impl Line {
    fn layout(&self, role: Role) -> Layout {
        Layout::new(self.dialect, role).unwrap()
    }

    fn is_reader(&self, name: &str) -> bool {
        self.layout(Role::Read).parse(name).unwrap().is_shared
    }

    fn owns(&self, name: &str) -> bool {
        let is_reader = self.is_reader(name);
        let role = if is_reader { Role::Read } else { Role::Write };
        decide(&self.names, name, &self.layout(role)) == Turn::Mine
    }

    fn enter(&mut self, role: Role) {
        let layout = self.layout(role);
        let name = format!("{:032x}{}", self.sequence, layout.name());
        self.names.push(format!("{name}{:010}", self.sequence));
        self.sequence += 1;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read => self.enter(Role::Read),
            Step::Write => self.enter(Role::Write),
            Step::Leave(n) if n < self.names.len() => drop(self.names.remove(n)),
            Step::Downgrade(n) if n < self.names.len() => {
                let name = self.names[n].clone();
                if self.owns(&name) && !self.is_reader(&name) {
                    let (write, read) = (self.layout(Role::Write), self.layout(Role::Read));
                    // A new id, the same sequence.
                    self.names[n] = format!("f{}", name.replace(write.name(), read.name()));
                }
            }
            Step::Leave(_) | Step::Downgrade(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn a_writer_owns_alone_and_somebody_always_owns(
        steps in prop::collection::vec(step(), 1..30),
        dialect in prop_oneof![Just(Dialect::Curator), Just(Dialect::Kazoo), Just(Dialect::Any)],
    ) {
        let mut line = Line { dialect, names: Vec::new(), sequence: 0 };
        for step in steps {
            let before: Vec<String> = line.names.iter().filter(|name| line.owns(name)).cloned().collect();
            line.step(step);
            let owners: Vec<&String> = line.names.iter().filter(|name| line.owns(name)).collect();
            prop_assert_eq!(owners.is_empty(), line.names.is_empty());
            let writers = owners.iter().filter(|name| !line.is_reader(name)).count();
            prop_assert!(writers == 0 || owners.len() == 1, "{:?}", owners);
            // Nobody who owns and stays is deprived by somebody who comes.
            for name in before.iter().filter(|name| line.names.contains(name)) {
                prop_assert!(line.owns(name), "{}", name);
            }
        }
    }
}
