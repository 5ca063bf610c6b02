//! A znode that many set: which of them was the last.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::Znode;

use super::ledger::Fate;

/// What was set, without a look at the version. Every value is set once.
#[derive(Debug, Default)]
pub(super) struct Register {
    /// Value by the version that its acknowledgement tells.
    acknowledged: BTreeMap<i32, String>,
    unknown: BTreeSet<String>,
}

impl Register {
    /// A write and, if it was acknowledged, the version. What cannot be is told.
    pub(super) fn set(&mut self, value: String, fate: Fate<i32>) -> Option<String> {
        match fate {
            Fate::Acknowledged(version) => {
                let told = format!("version {version} of the register is {value}");
                let other = self.acknowledged.insert(version, value)?;
                Some(format!("{told}, and {other}, too"))
            }
            Fate::Unknown => {
                self.unknown.insert(value);
                None
            }
            Fate::Refused => None,
        }
    }

    /// Whether this is what is left. A write adds one to the version, whoever learns of it.
    pub(super) fn verify(&self, znode: &Znode) -> Result<(), String> {
        let (version, value) = (znode.stat.version, String::from_utf8_lossy(&znode.data));
        let newest = self.acknowledged.last_key_value();
        let newest = newest.map_or((0, ""), |(version, value)| (*version, value));
        let most = self.acknowledged.len() + self.unknown.len();
        let told = format!("register: version {version} with {value:?}");
        if version < newest.0 {
            return Err(format!("{told}, though {newest:?} was acknowledged"));
        }
        if version == newest.0 && value != newest.1 {
            return Err(format!(
                "{told}, which was acknowledged to be {:?}",
                newest.1
            ));
        }
        if version > newest.0 && !self.unknown.contains(&*value) {
            return Err(format!("{told}, which nobody has set, or not in vain"));
        }
        if usize::try_from(version).is_ok_and(|version| version > most) {
            return Err(format!("{told}: {most} writes can have been made"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_client::Stat;

    fn znode(version: i32, value: &str) -> Znode {
        Znode {
            data: value.into(),
            acl: Vec::new(),
            stat: Stat {
                version,
                ..Stat::default()
            },
        }
    }

    #[test]
    fn the_last_write_is_the_one_that_is_left() {
        let mut register = Register::default();
        assert_eq!(register.set("a".into(), Fate::Acknowledged(1)), None);
        assert_eq!(register.set("b".into(), Fate::Acknowledged(2)), None);
        assert_eq!(register.verify(&znode(2, "b")), Ok(()));
        assert!(register.verify(&znode(1, "a")).is_err(), "b is lost");
        assert!(register.verify(&znode(2, "a")).is_err(), "b is a");
        assert!(register.verify(&znode(3, "b")).is_err(), "nobody wrote it");
    }

    #[test]
    fn a_write_in_doubt_may_be_the_last_and_counts_once() {
        let mut register = Register::default();
        register.set("a".into(), Fate::Acknowledged(1));
        register.set("b".into(), Fate::Unknown);
        register.set("c".into(), Fate::Refused);
        assert_eq!(register.verify(&znode(1, "a")), Ok(()));
        assert_eq!(register.verify(&znode(2, "b")), Ok(()));
        assert!(register.verify(&znode(2, "c")).is_err(), "c was refused");
        assert!(register.verify(&znode(3, "b")).is_err(), "b was made twice");
    }

    #[test]
    fn no_version_is_acknowledged_twice() {
        let mut register = Register::default();
        register.set("a".into(), Fate::Acknowledged(1));
        assert!(register.set("b".into(), Fate::Acknowledged(1)).is_some());
    }
}
