//! Planned handover: the leader has a named participant next in line, then leaves.
//!
//! The leader writes the request into its own znode, below its id:
//!
//! ```text
//! <id>␊__HANDOVER__␊<name of the target's znode>
//! ```
//!
//! Whoever is next in line watches that znode anyway, and reads it as often as it
//! changes. A contender of ours that finds itself ahead of the target stands at the end of the
//! line anew, by a new znode, and deletes the old one; that wakes the one behind it, which
//! reads the request in its turn; and so on up to the target. Contenders of other
//! libraries wake and go on to wait: where one is ahead of the target, the request
//! is taken back.

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Client, ErrorCode, OpResult, Watcher};
use zk_proto::path;

use super::election::{Election, Participant};
use crate::contender::pause;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::layout::Layout;
use crate::ownership::{Ownership, OwnershipState, Why};

/// Between the id and the target's name.
const MARK: &[u8] = b"\n__HANDOVER__\n";

/// Events the leader keeps: it looks at the first and reads again.
const EVENTS: usize = 4;

/// How the line stands for a handover.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// The target is next.
    Clear,
    /// This contender, right behind the leader, is to move.
    Blocked(String),
    /// The target is in line no more.
    TargetGone,
    /// The leader is in line no more.
    LeaderGone,
}

/// How the line stands, by its children.
fn decide(children: &[String], leader: &str, target: &str, layout: &Layout) -> Way {
    let mut line = layout.contenders(children).into_iter().map(|it| it.name);
    if !line.any(|name| name == leader) {
        return Way::LeaderGone;
    }
    // From here on: those behind the leader.
    let Some(next) = line.next() else {
        return Way::TargetGone;
    };
    if next == target {
        Way::Clear
    } else if line.any(|name| name == target) {
        Way::Blocked(next.to_owned())
    } else {
        Way::TargetGone
    }
}

/// What a leader's znode says while it hands over to the child `target`.
fn request(id: &[u8], target: &str) -> Bytes {
    [id, MARK, target.as_bytes()].concat().into()
}

fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.windows(MARK.len()).rposition(|part| part == MARK)?;
    Some((&data[..at], &data[at + MARK.len()..]))
}

/// A participant's id, by its znode's data.
pub(super) fn id_of(data: &[u8]) -> &[u8] {
    split(data).map_or(data, |(id, _)| id)
}

/// Whether the leader, by its znode's data, asks the contender `own` to make way.
pub(crate) fn asks_to_yield(data: &[u8], own: &str, layout: &Layout) -> bool {
    let target = split(data).and_then(|(_, target)| std::str::from_utf8(target).ok());
    let target = target.and_then(|target| layout.parse(target));
    target
        .zip(layout.parse(own))
        .is_some_and(|(target, own)| own < target)
}

/// Writes to the leader's own znode, whatever it takes, and gives its version.
async fn write(
    leadership: &Ownership,
    data: &Bytes,
    version: Option<i32>,
) -> Result<Option<i32>, Error> {
    let client = leadership.client();
    loop {
        if let OwnershipState::Lost(why) = leadership.current() {
            return Err(Error::Lost(why));
        }
        client.ready().await?;
        let write = leadership.transaction();
        let write = write.set_data(leadership.path(), data, version);
        match write.commit().await {
            Ok(results) => {
                return Ok(results.iter().find_map(|result| match result {
                    OpResult::SetData(stat) => Some(stat.version),
                    OpResult::Check
                    | OpResult::Create(_)
                    | OpResult::Create2(..)
                    | OpResult::Delete => None,
                }));
            }
            // Written twice, it says the same.
            Err(Error::Client(error)) if error.is_retryable() || error.is_outcome_unknown() => {
                pause(client).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A request that is taken back when it is dropped.
struct Asking<'l> {
    leadership: &'l Ownership,
    id: &'l Bytes,
    /// As the request left it: a later request is not this one's to take back.
    version: Option<i32>,
    is_settled: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            let (leadership, id) = (self.leadership.clone(), self.id.clone());
            let version = self.version;
            let take_back = async move {
                if let Err(error) = write(&leadership, &id, version).await {
                    tracing::debug!(path = leadership.path(), %error, "handover not taken back");
                }
            };
            let env = self.leadership.client().env();
            drop(env.spawn("zk-recipes-handover", Box::pin(take_back)));
        }
    }
}

impl Election {
    /// Makes the first participant in line that calls itself `to` the next after this
    /// leadership, `within` a time.
    pub(super) async fn make_way(
        &self,
        leadership: &Ownership,
        to: &str,
        within: Duration,
    ) -> Result<Participant, Error> {
        let client = leadership.client();
        let deadline = Deadline::within(client, within);
        let ask = async {
            let target = self.find(leadership, to).await?;
            let name = path::name(&target.path);
            let id = &self.entry.data;
            let mut asking = Asking {
                leadership,
                id,
                version: None,
                is_settled: false,
            };
            asking.version = write(leadership, &request(id, name), None).await?;
            self.until_clear(leadership, name, to).await?;
            // It stands until the leader leaves: whoever still reads it makes way.
            asking.is_settled = true;
            Ok(target)
        };
        match deadline.bound(client, ask).await {
            Some(made) => made,
            None => Err(refused(to, "a participant ahead of it does not make way")),
        }
    }

    async fn find(&self, leadership: &Ownership, to: &str) -> Result<Participant, Error> {
        let mut participants = self.participants().await?.into_iter();
        if !participants.any(|it| it.path == leadership.path()) {
            return Err(Error::Lost(Why::Deleted));
        }
        let target = participants.find(|it| it.id == to);
        target.ok_or_else(|| refused(to, "it is not in line"))
    }

    async fn until_clear(
        &self,
        leadership: &Ownership,
        target: &str,
        to: &str,
    ) -> Result<(), Error> {
        let leader = path::name(leadership.path());
        loop {
            let watcher = Watcher::with_capacity(EVENTS);
            let children = self.line(leadership, &watcher).await?;
            match decide(&children, leader, target, &self.entry.layout) {
                Way::Clear => return Ok(()),
                Way::TargetGone => return Err(refused(to, "it has left the line")),
                Way::LeaderGone => return Err(Error::Lost(Why::Deleted)),
                Way::Blocked(by) => tracing::debug!(path = leadership.path(), by, "in the way"),
            }
            tokio::select! {
                biased;
                why = leadership.lost() => return Err(Error::Lost(why)),
                _ = watcher.next() => {}
            }
        }
    }

    async fn line(&self, leadership: &Ownership, watcher: &Watcher) -> Result<Vec<String>, Error> {
        let client: &Client = leadership.client();
        loop {
            if let OwnershipState::Lost(why) = leadership.current() {
                return Err(Error::Lost(why));
            }
            client.ready().await?;
            match client.get_children(&self.path, watcher).await {
                Err(error) if error.is_retryable() => {
                    pause(client).await;
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    return Err(Error::Lost(Why::Deleted));
                }
                children => return Ok(children?),
            }
        }
    }
}

fn refused(to: &str, reason: &'static str) -> Error {
    Error::HandoverRefused {
        to: to.into(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Dialect;
    use crate::layout::Role;

    fn layout() -> Layout {
        Layout::new(Dialect::Curator, Role::Latch).unwrap()
    }

    fn name(sequence: usize) -> String {
        format!("_c_{sequence:08x}-0000-4000-8000-000000000000-latch-{sequence:010}")
    }

    #[test]
    fn the_way_is_clear_when_the_target_is_next() {
        let line =
            |sequences: &[usize]| -> Vec<String> { sequences.iter().copied().map(name).collect() };
        let way = |sequences: &[usize]| decide(&line(sequences), &name(3), &name(5), &layout());
        assert_eq!(way(&[5, 3]), Way::Clear);
        assert_eq!(way(&[9, 5, 3]), Way::Clear);
        assert_eq!(way(&[4, 5, 3]), Way::Blocked(name(4)));
        assert_eq!(way(&[3]), Way::TargetGone);
        assert_eq!(way(&[3, 4]), Way::TargetGone);
        assert_eq!(way(&[4, 5]), Way::LeaderGone);
        // What is no participant's is in nobody's way.
        let with_foreign = [line(&[3, 5]), vec!["config".into()]].concat();
        assert_eq!(
            decide(&with_foreign, &name(3), &name(5), &layout()),
            Way::Clear
        );
    }

    #[test]
    fn only_those_ahead_of_the_target_are_asked() {
        let data = request(b"host-1", &name(5));
        let is_asked = |own| asks_to_yield(&data, &name(own), &layout());
        assert!(is_asked(4) && !is_asked(5) && !is_asked(6));
        assert!(!asks_to_yield(b"host-1", &name(4), &layout()));
        assert!(!asks_to_yield(
            &request(b"", "rubbish"),
            &name(4),
            &layout()
        ));
    }

    proptest! {
        /// Everybody who is asked makes way, and then the target is next, whoever takes
        /// part in whatever order of names.
        #[test]
        fn the_chain_of_requests_clears_the_way(target in 1_usize..12, behind in 0_usize..5) {
            let mut line: Vec<usize> = (0..=target + behind).collect();
            let data = request(b"", &name(target));
            let mut next = line.len();
            let names = |line: &[usize]| line.iter().copied().map(name).collect::<Vec<_>>();
            while let Way::Blocked(by) = decide(&names(&line), &name(0), &name(target), &layout()) {
                prop_assert!(asks_to_yield(&data, &by, &layout()));
                line.retain(|sequence| name(*sequence) != by);
                line.push(next);
                next += 1;
            }
            prop_assert_eq!(
                decide(&names(&line), &name(0), &name(target), &layout()),
                Way::Clear
            );
            prop_assert_eq!(line.len(), target + behind + 1);
        }

        #[test]
        fn an_id_survives_a_request(id in proptest::collection::vec(any::<u8>(), 0..40)) {
            let data = request(&id, &name(1));
            prop_assert_eq!(id_of(&data), &id[..]);
        }
    }
}
