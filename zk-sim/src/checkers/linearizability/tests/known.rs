//! Histories with a name, good and bad, of each specification.

use std::fmt::Debug;
use std::time::Duration;

use super::things::Register;
use crate::checkers::linearizability::specs::barrier::{Barrier, BarrierOp, BarrierRet};
use crate::checkers::linearizability::specs::counter::{Add, Counter};
use crate::checkers::linearizability::specs::fifo_queue::{
    BadPattern, FifoQueue, QueueOp, QueueRet, bad_pattern,
};
use crate::checkers::linearizability::specs::leadership::{
    Leadership, LeadershipOp, LeadershipRet,
};
use crate::checkers::linearizability::specs::mutex::{Mutex, MutexOp, MutexRet};
use crate::checkers::linearizability::specs::semaphore::{Semaphore, SemaphoreOp, SemaphoreRet};
use crate::checkers::linearizability::specs::znode::{Znode, ZnodeOp, ZnodeRet};
use crate::checkers::linearizability::{Budget, Operation, Operations, Spec, Verdict, check};

/// Call, operation, and return with the answer, if there is one.
type Line<Op, Ret> = (u64, Op, Option<(u64, Ret)>);

fn history<Op: Clone, Ret: Clone>(lines: &[Line<Op, Ret>]) -> Operations<Op, Ret> {
    let operation = |(process, line): (u32, &Line<Op, Ret>)| Operation {
        process,
        op: line.1.clone(),
        invoked: Duration::from_millis(line.0),
        returned: line
            .2
            .clone()
            .map(|(at, ret)| (Duration::from_millis(at), ret)),
    };
    (0..).zip(lines).map(operation).collect()
}

fn verdict<S>(spec: &S, lines: &[Line<S::Op, S::Ret>]) -> Verdict<S::State>
where
    S: Spec<Op: Clone, Ret: Clone>,
{
    check(spec, &history(lines), &mut Budget::default())
}

#[track_caller]
fn good<S>(spec: &S, name: &str, lines: &[Line<S::Op, S::Ret>])
where
    S: Spec<Op: Clone, Ret: Clone>,
{
    let verdict = verdict(spec, lines);
    assert!(verdict.is_linearizable(), "{name}: {verdict:?}");
}

/// The last line is the one that cannot be.
#[track_caller]
fn bad<S>(spec: &S, name: &str, lines: &[Line<S::Op, S::Ret>])
where
    S: Spec<Op: Clone, Ret: Clone, State: Debug>,
{
    match verdict(spec, lines) {
        Verdict::Violation(violation) => {
            assert_eq!(violation.offender, lines.len() - 1, "{name}: {violation:?}");
        }
        verdict => panic!("{name}: {verdict:?}"),
    }
}

/// The same position, reached with an open write used up and without: what fails with
/// less freedom must not rule out more.
#[test]
fn an_unknown_write_is_kept_for_the_read_that_needs_it() {
    let write = |from, value, to| (from, Some(value), Some((to, value)));
    let read = |from, to, value| (from, None, Some((to, value)));
    good(
        &Register,
        "kept for the second read",
        &[
            (1, Some(1), None),
            write(2, 1, 4),
            write(3, 2, 5),
            read(6, 7, 1),
            write(8, 3, 9),
            read(10, 11, 1),
        ],
    );
    bad(
        &Register,
        "serves once",
        &[
            (1, Some(1), None),
            write(2, 2, 3),
            read(4, 5, 1),
            write(6, 3, 7),
            read(8, 9, 1),
        ],
    );
}

#[test]
fn znode() {
    use ZnodeOp::{Create, Delete, Read, Write, WriteIf};
    use ZnodeRet::{BadVersion, Data, Done, NoNode, Version};
    let znode = Znode::holding(0, 'a');
    let write = (1, Write('b'), Some((2, Version(1))));
    let unknown = (1, Write('b'), None);
    let read = |from, to, version, data| (from, Read, Some((to, Data(version, data))));
    let cas = |from, to, ret| (from, WriteIf(0, 'c'), Some((to, ret)));

    good(&znode, "nothing", &[]);
    good(
        &znode,
        "read what was written",
        &[write.clone(), read(3, 4, 1, 'b')],
    );
    good(
        &znode,
        "concurrent reads see old and new",
        &[
            (1, Write('b'), Some((9, Version(1)))),
            read(2, 3, 0, 'a'),
            read(4, 5, 1, 'b'),
        ],
    );
    good(
        &znode,
        "unknown, never seen",
        &[unknown.clone(), read(3, 4, 0, 'a')],
    );
    good(
        &znode,
        "unknown, seen late",
        &[unknown.clone(), read(3, 4, 0, 'a'), read(5, 6, 1, 'b')],
    );
    good(
        &znode,
        "unknown compare and set fails behind another",
        &[
            (1, WriteIf(0, 'c'), None),
            (2, Write('b'), Some((3, Version(1)))),
            read(4, 5, 1, 'b'),
        ],
    );
    good(
        &znode,
        "deleted and created, the version begins anew",
        &[
            (1, Delete, Some((2, Done))),
            (3, Read, Some((4, NoNode))),
            (5, Create('d'), Some((6, Done))),
            read(7, 8, 0, 'd'),
        ],
    );

    bad(&znode, "stale read", &[write.clone(), read(3, 4, 0, 'a')]);
    bad(
        &znode,
        "torn read: new data, old version",
        &[write.clone(), read(3, 4, 0, 'b')],
    );
    bad(
        &znode,
        "reads go back",
        &[
            (1, Write('b'), Some((3, Version(1)))),
            read(2, 4, 1, 'b'),
            read(5, 6, 0, 'a'),
        ],
    );
    bad(
        &znode,
        "unknown seen, then unseen",
        &[unknown.clone(), read(3, 4, 1, 'b'), read(5, 6, 0, 'a')],
    );
    bad(
        &znode,
        "value from nowhere",
        &[write.clone(), read(3, 4, 1, 'z')],
    );
    bad(
        &znode,
        "lost update: two compare-and-sets of one version",
        &[cas(1, 3, Version(1)), cas(2, 4, Version(1))],
    );
    bad(&znode, "refused for no reason", &[cas(1, 2, BadVersion)]);
    bad(
        &znode,
        "an unknown write took effect twice",
        &[unknown, read(3, 4, 2, 'b')],
    );
    bad(
        &znode,
        "gone without a delete",
        &[write, (3, Read, Some((4, NoNode)))],
    );

    let future = [read(1, 2, 1, 'b'), (3, Write('b'), Some((4, Version(1))))];
    let verdict = verdict(&znode, &future);
    assert!(
        matches!(verdict, Verdict::Violation(v) if v.offender == 0),
        "read from the future"
    );
}

#[test]
fn mutex() {
    use MutexOp::{Acquire, Release};
    use MutexRet::{Done, Refused};
    let acquire = |from, owner, to| (from, Acquire(owner), Some((to, Done)));
    let release = |from, owner, to| (from, Release(owner), Some((to, Done)));
    let refused = |from, owner, to| (from, Acquire(owner), Some((to, Refused)));

    good(
        &Mutex,
        "handed over",
        &[acquire(1, 1, 2), release(3, 1, 6), acquire(4, 2, 5)],
    );
    good(
        &Mutex,
        "one waits",
        &[acquire(1, 1, 3), acquire(2, 2, 7), release(4, 1, 8)],
    );
    good(&Mutex, "busy", &[acquire(1, 1, 2), refused(3, 2, 4)]);
    good(
        &Mutex,
        "lost with the session",
        &[acquire(1, 1, 2), (3, Release(1), None), acquire(4, 2, 5)],
    );
    good(
        &Mutex,
        "busy because of an unknown holder",
        &[(1, Acquire(1), None), refused(3, 2, 4)],
    );

    bad(
        &Mutex,
        "double grant",
        &[acquire(1, 1, 2), acquire(3, 2, 4)],
    );
    bad(
        &Mutex,
        "double grant, concurrent",
        &[acquire(1, 1, 3), acquire(2, 2, 4)],
    );
    bad(
        &Mutex,
        "granted before the release was called",
        &[
            acquire(1, 1, 2),
            (5, Release(1), Some((6, Done))),
            acquire(3, 2, 4),
        ],
    );
    bad(
        &Mutex,
        "released by a stranger",
        &[acquire(1, 1, 2), release(3, 2, 4)],
    );
    bad(
        &Mutex,
        "released twice",
        &[acquire(1, 1, 2), release(3, 1, 4), release(5, 1, 6)],
    );
    bad(
        &Mutex,
        "busy though free",
        &[acquire(1, 1, 2), release(3, 1, 4), refused(5, 2, 6)],
    );
    bad(
        &Mutex,
        "an unknown holder is seen, then nobody",
        &[(1, Acquire(1), None), refused(2, 2, 3), acquire(4, 3, 5)],
    );
}

#[test]
fn leadership() {
    use LeadershipOp::{Lead, Observe, Resign};
    use LeadershipRet::{Elected, Leader, Nobody, Resigned};
    let lead = |from, who, to, term| (from, Lead(who), Some((to, Elected { term })));
    let resign = |from, who, to| (from, Resign(who), Some((to, Resigned)));
    let see = |from, who, to, term| (from, Observe, Some((to, Leader { who, term })));

    good(
        &Leadership,
        "one after the other",
        &[lead(1, 1, 2, 3), resign(3, 1, 4), lead(5, 2, 6, 9)],
    );
    good(
        &Leadership,
        "deposed",
        &[lead(1, 1, 2, 3), (3, Resign(1), None), lead(4, 2, 5, 4)],
    );
    good(
        &Leadership,
        "elected without knowing",
        &[(1, Lead(1), None), see(2, 1, 3, 8)],
    );
    good(
        &Leadership,
        "nobody in between",
        &[
            lead(1, 1, 2, 3),
            resign(3, 1, 8),
            (4, Observe, Some((5, Nobody))),
        ],
    );

    bad(
        &Leadership,
        "two leaders",
        &[lead(1, 1, 2, 3), lead(3, 2, 4, 4)],
    );
    bad(
        &Leadership,
        "the term does not rise",
        &[lead(1, 1, 2, 3), resign(3, 1, 4), lead(5, 2, 6, 3)],
    );
    bad(
        &Leadership,
        "an old leader is seen",
        &[
            lead(1, 1, 2, 3),
            resign(3, 1, 4),
            lead(5, 2, 6, 4),
            see(7, 1, 8, 3),
        ],
    );
    bad(
        &Leadership,
        "an unknown term changes",
        &[(1, Lead(1), None), see(2, 1, 3, 8), see(4, 1, 5, 9)],
    );
    bad(
        &Leadership,
        "a later term is not above an unknown one that was seen",
        &[
            (1, Lead(1), None),
            see(2, 1, 3, 8),
            (4, Resign(1), None),
            lead(5, 2, 6, 8),
        ],
    );
}

#[test]
fn queue() {
    use QueueOp::{Put, Take};
    use QueueRet::{Empty, Put as Done, Took};
    let queue = FifoQueue::new();
    let put = |from, value, to| (from, Put(value), Some((to, Done)));
    let take = |from, value, to| (from, Take, Some((to, Took(value))));
    let empty = |from, to| (from, Take, Some((to, Empty)));
    let two = [put(1, 'a', 2), put(3, 'b', 4)];
    let with = |more: &[_]| [&two[..], more].concat();

    good(
        &queue,
        "in order",
        &with(&[take(5, 'a', 6), take(7, 'b', 8), empty(9, 10)]),
    );
    good(
        &queue,
        "concurrent puts",
        &[
            put(1, 'a', 4),
            put(2, 'b', 3),
            take(5, 'b', 6),
            take(7, 'a', 8),
        ],
    );
    good(
        &queue,
        "concurrent takes",
        &with(&[take(5, 'b', 7), take(6, 'a', 8)]),
    );
    good(
        &queue,
        "empty while a put is under way",
        &[put(1, 'a', 9), empty(2, 3), take(4, 'a', 5)],
    );
    good(
        &queue,
        "an unknown put shows up late",
        &[(1, Put('a'), None), empty(2, 3), take(4, 'a', 5)],
    );
    good(
        &queue,
        "an unknown take got one",
        &with(&[(5, Take, None), take(6, 'b', 7), empty(8, 9)]),
    );

    bad(&queue, "reordered", &with(&[take(5, 'b', 6)]));
    bad(
        &queue,
        "duplicate take",
        &with(&[take(5, 'a', 6), take(7, 'a', 8)]),
    );
    bad(
        &queue,
        "lost element",
        &with(&[take(5, 'a', 6), empty(7, 8)]),
    );
    bad(
        &queue,
        "from nowhere",
        &with(&[take(5, 'a', 6), take(7, 'z', 8)]),
    );
    bad(
        &queue,
        "an unknown take gets one at most",
        &with(&[(5, Take, None), empty(8, 9)]),
    );
    bad(
        &queue,
        "an unknown put does so once",
        &[(1, Put('a'), None), take(2, 'a', 3), take(4, 'a', 5)],
    );

    let pattern = |more: &[_]| bad_pattern(&history(&with(more)));
    assert_eq!(
        pattern(&[take(5, 'a', 6), take(7, 'b', 8), empty(9, 10)]),
        None
    );
    assert_eq!(
        pattern(&[take(5, 'z', 6)]),
        Some(BadPattern::FromNowhere { take: 2 })
    );
    let twice = BadPattern::Twice {
        first: 2,
        second: 3,
    };
    assert_eq!(pattern(&[take(5, 'a', 6), take(5, 'a', 6)]), Some(twice));
    let overtaken = BadPattern::Overtaken { put: 0, take: 2 };
    assert_eq!(
        pattern(&[take(5, 'b', 6), take(7, 'a', 8)]),
        Some(overtaken)
    );
    let lost = BadPattern::Lost { put: 0, take: 2 };
    assert_eq!(pattern(&[take(5, 'b', 6)]), Some(lost));
    assert_eq!(pattern(&[take(5, 'b', 7), (6, Take, None)]), None);
    let not_empty = BadPattern::NotEmpty { put: 0, take: 2 };
    assert_eq!(pattern(&[empty(5, 6), take(7, 'a', 8)]), Some(not_empty));
}

#[test]
fn counter() {
    let add = |from, add, to, ret| (from, Add(add), Some((to, ret)));
    good(
        &Counter,
        "concurrent",
        &[add(1, 1, 4, 2), add(2, 1, 3, 1), add(5, 0, 6, 2)],
    );
    good(
        &Counter,
        "unknown, and not",
        &[(1, Add(5), None), (1, Add(5), None), add(2, 0, 3, 5)],
    );

    bad(&Counter, "lost update", &[add(1, 1, 2, 1), add(3, 1, 4, 1)]);
    bad(
        &Counter,
        "lost update, concurrent",
        &[add(1, 1, 3, 1), add(2, 1, 4, 1)],
    );
    bad(
        &Counter,
        "counted twice",
        &[add(1, 1, 2, 1), add(3, 0, 4, 2)],
    );
    bad(
        &Counter,
        "unknown seen, then unseen",
        &[(1, Add(5), None), add(2, 0, 3, 5), add(4, 0, 5, 0)],
    );
    bad(
        &Counter,
        "counted before it was called",
        &[(5, Add(1), Some((6, 1))), add(1, 0, 2, 1)],
    );
}

#[test]
fn semaphore() {
    use SemaphoreOp::{Acquire, Return};
    use SemaphoreRet::{Done, Refused};
    let two = Semaphore { leases: 2 };
    let acquire = |from, lease, to| (from, Acquire(lease), Some((to, Done)));
    let give = |from, lease, to| (from, Return(lease), Some((to, Done)));
    let full = |from, lease, to| (from, Acquire(lease), Some((to, Refused)));

    good(
        &two,
        "two and no more",
        &[acquire(1, 1, 2), acquire(3, 2, 4), full(5, 3, 6)],
    );
    good(
        &two,
        "returned",
        &[
            acquire(1, 1, 2),
            acquire(1, 2, 2),
            give(3, 1, 6),
            acquire(4, 3, 5),
        ],
    );
    good(
        &two,
        "lost",
        &[
            acquire(1, 1, 2),
            acquire(1, 2, 2),
            (3, Return(1), None),
            acquire(4, 3, 5),
        ],
    );

    bad(
        &two,
        "one too many",
        &[acquire(1, 1, 2), acquire(1, 2, 2), acquire(3, 3, 4)],
    );
    bad(&two, "full though not", &[acquire(1, 1, 2), full(3, 2, 4)]);
    bad(
        &two,
        "a lease given twice",
        &[acquire(1, 1, 2), acquire(3, 1, 4)],
    );
    bad(
        &two,
        "returned twice",
        &[acquire(1, 1, 2), give(3, 1, 4), give(5, 1, 6)],
    );
    bad(
        &two,
        "one lost lease lets in one",
        &[
            acquire(1, 1, 2),
            acquire(1, 2, 2),
            (3, Return(1), None),
            acquire(4, 3, 5),
            acquire(6, 4, 7),
        ],
    );
}

#[test]
fn barrier() {
    use BarrierOp::{Lower, Pass, Raise};
    use BarrierRet::{Done, Refused};
    let does = |from, op, to| (from, op, Some((to, Done)));
    good(
        &Barrier,
        "waits",
        &[does(1, Raise, 2), does(3, Pass, 6), does(4, Lower, 7)],
    );
    good(
        &Barrier,
        "up already",
        &[does(1, Raise, 2), (3, Raise, Some((4, Refused)))],
    );
    good(
        &Barrier,
        "lowered by someone unknown",
        &[does(1, Raise, 2), (3, Lower, None), does(4, Pass, 5)],
    );

    bad(
        &Barrier,
        "passed while it was up",
        &[does(1, Raise, 2), does(3, Pass, 4)],
    );
    bad(
        &Barrier,
        "raised twice",
        &[does(1, Raise, 2), does(3, Raise, 4)],
    );
    bad(
        &Barrier,
        "an unknown raise is seen, then not",
        &[
            (1, Raise, None),
            (2, Raise, Some((3, Refused))),
            does(4, Pass, 5),
        ],
    );
}
