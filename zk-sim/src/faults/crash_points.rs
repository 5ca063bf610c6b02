//! Where servers of an ensemble are killed: at each step of an election's end, of
//! synchronisation and of broadcast.

/// A place in the code, and what it is called to have died there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPoint {
    /// The place, as the code calls it.
    pub place: &'static str,
    /// What is reported when a host was killed there.
    pub crash: &'static str,
}

impl CrashPoint {
    /// Whether an ensemble comes to it whenever it begins to serve anew, and not only then when
    /// clients write: from the choice of an epoch until a learner serves.
    pub(super) fn is_of_return(&self) -> bool {
        let writes = [
            "zab: leader proposed",
            "zab: leader committed",
            "zab: follower acknowledged",
        ];
        self.place.starts_with("zab: ") && !writes.contains(&self.place)
    }

    /// Whether the disk has just done something on this return, or is about to.
    pub(super) fn is_at_the_disk(&self) -> bool {
        let places = [
            "zab: leader accepted its epoch",
            "zab: leader entered its epoch",
            "zab: learner accepted an epoch",
            "zab: learner replaces its history",
            "zab: learner logs the history",
            "zab: learner wrote its epoch",
            "zab: learner has the history",
        ];
        places.contains(&self.place)
    }
}

/// All of them, in the order in which an epoch comes to them: leaders, then learners.
pub const CRASH_POINTS: &[CrashPoint] = &[
    CrashPoint {
        place: "zab: leader chose an epoch",
        crash: "crash: leader chose an epoch",
    },
    CrashPoint {
        place: "zab: leader accepted its epoch",
        crash: "crash: leader accepted its epoch",
    },
    CrashPoint {
        place: "zab: leader heard an ack of its epoch",
        crash: "crash: leader heard an ack of its epoch",
    },
    CrashPoint {
        place: "zab: leader enters its epoch",
        crash: "crash: leader enters its epoch",
    },
    CrashPoint {
        place: "zab: leader entered its epoch",
        crash: "crash: leader entered its epoch",
    },
    CrashPoint {
        place: "zab: leader sent a DIFF",
        crash: "crash: leader sent a DIFF",
    },
    CrashPoint {
        place: "zab: leader sent a TRUNC",
        crash: "crash: leader sent a TRUNC",
    },
    CrashPoint {
        place: "zab: leader sent a SNAP",
        crash: "crash: leader sent a SNAP",
    },
    CrashPoint {
        place: "zab: leader heard an ack of NEWLEADER",
        crash: "crash: leader heard an ack of NEWLEADER",
    },
    CrashPoint {
        place: "zab: leader established",
        crash: "crash: leader established",
    },
    CrashPoint {
        place: "zab: leader proposed",
        crash: "crash: leader proposed",
    },
    CrashPoint {
        place: "zab: leader committed",
        crash: "crash: leader committed",
    },
    CrashPoint {
        place: "zab: learner accepts an epoch",
        crash: "crash: learner accepts an epoch",
    },
    CrashPoint {
        place: "zab: learner accepted an epoch",
        crash: "crash: learner accepted an epoch",
    },
    CrashPoint {
        place: "zab: learner replaces its history",
        crash: "crash: learner replaces its history",
    },
    CrashPoint {
        place: "zab: learner synchronises",
        crash: "crash: learner synchronises",
    },
    CrashPoint {
        place: "zab: learner logs the history",
        crash: "crash: learner logs the history",
    },
    CrashPoint {
        place: "zab: learner has the history",
        crash: "crash: learner has the history",
    },
    CrashPoint {
        place: "zab: learner wrote its epoch",
        crash: "crash: learner wrote its epoch",
    },
    CrashPoint {
        place: "zab: learner entered the epoch",
        crash: "crash: learner entered the epoch",
    },
    CrashPoint {
        place: "zab: learner serves",
        crash: "crash: learner serves",
    },
    CrashPoint {
        place: "zab: follower acknowledged",
        crash: "crash: follower acknowledged",
    },
    CrashPoint {
        place: "server: snapshot written",
        crash: "crash: snapshot written",
    },
];

/// Those of a change of members, where members may change.
pub const RECONFIG_CRASH_POINTS: &[CrashPoint] = &[
    CrashPoint {
        place: "zab: leader proposed a configuration",
        crash: "crash: leader proposed a configuration",
    },
    CrashPoint {
        place: "zab: leader activates a configuration",
        crash: "crash: leader activates a configuration",
    },
    CrashPoint {
        place: "zab: learner activates a configuration",
        crash: "crash: learner activates a configuration",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_at_the_disk_are_of_a_return() {
        let at_the_disk = || CRASH_POINTS.iter().filter(|point| point.is_at_the_disk());
        assert_eq!(at_the_disk().count(), 7);
        assert!(at_the_disk().all(CrashPoint::is_of_return));
    }
}
