//! The normal form in which both servers' behaviour is compared: lines of text,
//! free of what two correct servers may do differently. All of that is here:
//!
//! | what | compared as | why |
//! |---|---|---|
//! | zxids | offset from the run's first; 0 and −1 as they are, with `=` | servers may have a past |
//! | times | whether they belong to their zxid: one time per transaction, near the clock, 0 for the built-in znodes | two transactions may share a millisecond by chance |
//! | session ids | the session's ordinal in the run | they are drawn from the clock |
//! | passwords | their length, and whether a resumed session keeps its own | they follow from the id |
//! | children, ephemerals, identities | sorted | their order is that of a hash table |
//! | digest entries of an ACL, side by side and with the same permissions | sorted | an entry for `auth` stands for a connection's identities, in the order of another hash table |
//! | events of one closeSession or expiry | sorted | so is the order in which its ephemerals go |
//! | events to the expiring session itself | not at all (`Side::collect_expiry`) | Apache closes the socket whether or not they were written |
//! | FIN and RST | both as "closed" | which it is depends on what the system had read |
//!
//! Events and replies of one connection are compared in their order; between two
//! connections there is none.

use std::collections::BTreeMap;
use std::fmt::Write;

use zk_proto::record::{ConnectResponse, MultiResult, WatcherEvent};
use zk_proto::{Acl, ErrorCode, SessionId, Stat, Zxid};

use super::clock::wall_ms;
use super::observation::{Line, Observation, Seen};
use super::op::Op;
use super::reply::{Body, Incoming, Reply};

/// How far a transaction's time may lie outside of the run: the servers and the
/// run share a clock.
const CLOCK_SLACK_MS: i64 = 2_000;

/// Longest data shown whole.
const SHOWN: usize = 64;

/// Rewrites one server's behaviour. Knows the times it has told so far.
pub(crate) struct Normal {
    began_ms: i64,
    times: BTreeMap<Zxid, i64>,
}

/// What a server's own numbers mean.
pub(crate) struct Names<'a> {
    pub(crate) base: Option<Zxid>,
    pub(crate) sessions: &'a [SessionId],
}

impl Normal {
    pub(crate) fn new() -> Self {
        Self {
            began_ms: wall_ms(),
            times: BTreeMap::new(),
        }
    }

    /// The normal form of what an operation showed.
    pub(crate) fn lines(
        &mut self,
        op: &Op,
        mut seen: Vec<Observation>,
        names: &Names<'_>,
    ) -> Vec<String> {
        seen.sort_by_key(|observation| observation.on);
        if op.ends().is_some() {
            sort_events(&mut seen);
        }
        seen.iter()
            .map(|observation| {
                let on = match observation.on {
                    Line::New => "new connection".to_owned(),
                    Line::Former(session) => format!("s{}'s former connection", session.0),
                    Line::Of(session) => format!("s{}", session.0),
                };
                format!("{on}: {}", self.seen(&observation.seen, names))
            })
            .collect()
    }

    fn seen(&mut self, seen: &Seen, names: &Names<'_>) -> String {
        match seen {
            Seen::Connected(response, is_own) => connected(response, *is_own, names),
            Seen::Frame(Incoming::Event { zxid, event }, _) => format!(
                "event {} state {} {:?} zxid {}",
                event.event_type,
                event.state,
                event.path,
                names.zxid(*zxid)
            ),
            Seen::Frame(Incoming::Reply(reply), op) => self.reply(reply, *op, names),
            Seen::Frame(Incoming::Unreadable(frame), _) => format!("unreadable frame {frame:?}"),
            Seen::Closed => "closed".into(),
            Seen::Refused => "refused".into(),
            Seen::Silence => "no answer".into(),
            Seen::Calm(zxid) => format!("calm at {}", names.zxid(*zxid)),
            Seen::Overdue(what) => (*what).into(),
        }
    }

    fn reply(&mut self, reply: &Reply, op: Option<i32>, names: &Names<'_>) -> String {
        let header = &reply.header;
        let verdict = match header.err {
            ErrorCode::Ok => "ok".to_owned(),
            err => format!("{err:?} ({})", err.code()),
        };
        let kind = if op.is_some() { "reply" } else { "stray reply" };
        let body = self.body(&reply.body(op.unwrap_or(0)), names);
        let zxid = names.zxid(header.zxid);
        format!("{kind} xid {} zxid {zxid} {verdict}{body}", header.xid)
    }

    /// With a space in front, if there is something.
    fn body(&mut self, body: &Body, names: &Names<'_>) -> String {
        match body {
            Body::Empty => String::new(),
            Body::Path(path) => format!(" {path:?}"),
            Body::PathAndStat(path, stat) => format!(" {path:?} {}", self.stat(stat, names)),
            Body::Stat(stat) => format!(" {}", self.stat(stat, names)),
            Body::Data(found) => {
                let stat = self.stat(&found.stat, names);
                format!(" {} {stat}", data(found.data.as_deref()))
            }
            Body::Acl(found) => {
                let stat = self.stat(&found.stat, names);
                format!(" {} {stat}", acl(&found.acl))
            }
            Body::Children(children) => format!(" children {:?}", sorted(children)),
            Body::ChildrenAndStat(found) => {
                let stat = self.stat(&found.stat, names);
                format!(" children {:?} {stat}", sorted(&found.children))
            }
            Body::Number(number) => format!(" {number}"),
            Body::Ephemerals(paths) => format!(" ephemerals {:?}", sorted(paths)),
            Body::Multi(response) => {
                let mut text = String::from(" results");
                for result in &response.results {
                    text += &format!(" [{}]", self.result(result, names));
                }
                text
            }
            Body::Identities(identities) => {
                let mut known: Vec<_> = identities
                    .iter()
                    .map(|info| format!("{}:{}", info.auth_scheme, info.user))
                    .collect();
                known.sort();
                format!(" identities {known:?}")
            }
            Body::Token(token) => format!(" token {}", data(token.as_deref())),
            Body::Other(bytes) => format!(" bytes {}", data(Some(bytes))),
        }
    }

    fn result(&mut self, result: &MultiResult, names: &Names<'_>) -> String {
        match result {
            MultiResult::Create(made) => format!("create {:?}", made.path),
            MultiResult::Create2(made) => {
                format!("create2 {:?} {}", made.path, self.stat(&made.stat, names))
            }
            MultiResult::Delete => "delete".into(),
            MultiResult::SetData(done) => format!("set {}", self.stat(&done.stat, names)),
            MultiResult::Check => "check".into(),
            MultiResult::GetData(found) => {
                let stat = self.stat(&found.stat, names);
                format!("data {} {stat}", data(found.data.as_deref()))
            }
            MultiResult::GetChildren(found) => format!("children {:?}", sorted(&found.children)),
            MultiResult::Error(err) => format!("{err:?} ({})", err.code()),
        }
    }

    fn stat(&mut self, stat: &Stat, names: &Names<'_>) -> String {
        format!(
            "stat(c {} {} m {} {} p {} v {} cv {} av {} owner {} len {} n {})",
            names.zxid(stat.czxid),
            self.time(stat.czxid, stat.ctime),
            names.zxid(stat.mzxid),
            self.time(stat.mzxid, stat.mtime),
            names.zxid(stat.pzxid),
            stat.version,
            stat.cversion,
            stat.aversion,
            names.session(stat.ephemeral_owner),
            stat.data_length,
            stat.num_children,
        )
    }

    /// What is to be said of the time that is told for a transaction.
    fn time(&mut self, zxid: Zxid, time_ms: i64) -> &'static str {
        if zxid.0 == 0 {
            return if time_ms == 0 { "" } else { "not at 0" };
        }
        let range = self.began_ms - CLOCK_SLACK_MS..=wall_ms() + CLOCK_SLACK_MS;
        let first = *self.times.entry(zxid).or_insert(time_ms);
        match (first == time_ms, range.contains(&time_ms)) {
            (true, true) => "",
            (false, _) => "at another time than before",
            (true, false) => "at no time of this run",
        }
    }
}

impl Names<'_> {
    fn zxid(&self, zxid: Zxid) -> String {
        match self.base {
            Some(base) if zxid.0 > 0 => format!("{:+}", zxid.0 - base.0),
            _ => format!("={}", zxid.0),
        }
    }

    fn session(&self, id: SessionId) -> String {
        if id == SessionId::NONE {
            return "none".into();
        }
        match self.sessions.iter().position(|known| *known == id) {
            Some(at) => format!("s{at}"),
            None => "another".into(),
        }
    }
}

fn connected(response: &ConnectResponse, is_own: bool, names: &Names<'_>) -> String {
    let mut text = format!(
        "connected as {} timeout {} protocol {} password of {} bytes",
        names.session(response.session_id),
        response.timeout_ms,
        response.protocol_version,
        response.password.as_bytes().len(),
    );
    let trailer = match response.read_only {
        None => ", no read-only byte",
        Some(false) => "",
        Some(true) => ", read-only",
    };
    let kept = if is_own { ", its own" } else { "" };
    let _ = write!(text, "{kept}{trailer}");
    text
}

/// Within each run of events with one zxid on one connection.
fn sort_events(seen: &mut [Observation]) {
    let key = |observation: &Observation| match &observation.seen {
        Seen::Frame(Incoming::Event { zxid, .. }, _) => Some((observation.on, *zxid)),
        _ => None,
    };
    for run in seen.chunk_by_mut(|a, b| a.seen.is_event() && key(a) == key(b)) {
        run.sort_by(|a, b| event(a).cmp(&event(b)));
    }
}

fn event(observation: &Observation) -> Option<(&str, i32)> {
    match &observation.seen {
        Seen::Frame(Incoming::Event { event, .. }, _) => {
            let WatcherEvent {
                path, event_type, ..
            } = event;
            Some((path, *event_type))
        }
        _ => None,
    }
}

fn sorted(names: &[String]) -> Vec<&str> {
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn acl(entries: &[Acl]) -> String {
    let mut entries: Vec<&Acl> = entries.iter().collect();
    let alike = |a: &&Acl, b: &&Acl| {
        a.perms == b.perms && [a, b].iter().all(|entry| entry.id.scheme == "digest")
    };
    for run in entries.chunk_by_mut(alike) {
        run.sort_by(|a, b| a.id.id.cmp(&b.id.id));
    }
    let mut text = String::from("acl");
    for Acl { perms, id } in entries {
        let _ = write!(text, " {}:{:?}:{:?}", perms.0, id.scheme, id.id);
    }
    text
}

/// Long data by its length and a sum.
fn data(data: Option<&[u8]>) -> String {
    match data {
        None => "null".into(),
        Some(bytes) if bytes.len() <= SHOWN => format!("\"{}\"", bytes.escape_ascii()),
        Some(bytes) => format!("{} bytes with sum {:016x}", bytes.len(), fnv(bytes)),
    }
}

/// FNV-1a: enough to tell two values apart that were not made to collide.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use zk_proto::{AclId, Perms, ReplyHeader, Xid};

    use super::super::op::Ordinal;
    use super::*;

    const NAMES: Names<'_> = Names {
        base: Some(Zxid(100)),
        sessions: &[SessionId(11), SessionId(22)],
    };

    #[test]
    fn zxids_are_told_from_the_runs_first_unless_they_mean_something_else() {
        let told = [0, -1, 99, 100, 107].map(|zxid| NAMES.zxid(Zxid(zxid)));
        assert_eq!(told, ["=0", "=-1", "-1", "+0", "+7"]);
    }

    #[test]
    fn sessions_are_told_by_their_place_in_the_run() {
        let told = [0, 22, 33].map(|id| NAMES.session(SessionId(id)));
        assert_eq!(told, ["none", "s1", "another"]);
    }

    #[test]
    fn a_transaction_has_one_time_and_that_is_now() {
        let mut normal = Normal::new();
        let now = wall_ms();
        assert_eq!(normal.time(Zxid(0), 0), "");
        assert_ne!(normal.time(Zxid(0), now), "");
        assert_eq!(normal.time(Zxid(5), now), "");
        assert_eq!(normal.time(Zxid(5), now), "");
        assert_ne!(normal.time(Zxid(5), now + 1), "");
        assert_ne!(normal.time(Zxid(6), now - 3_600_000), "");
    }

    #[test]
    fn only_digest_entries_with_the_same_permissions_change_places() {
        let entry = |perms, scheme, id: &str| Acl::new(Perms(perms), AclId::new(scheme, id));
        let entries = [
            entry(1, "digest", "b"),
            entry(1, "digest", "a"),
            entry(2, "digest", "0"),
            entry(2, "ip", "9"),
            entry(2, "ip", "8"),
        ];
        let told = acl(&entries);
        let expected = r#"acl 1:"digest":"a" 1:"digest":"b" 2:"digest":"0" 2:"ip":"9" 2:"ip":"8""#;
        assert_eq!(told, expected);
    }

    fn event(session: usize, zxid: i64, path: &'static str) -> Observation {
        let event = WatcherEvent {
            event_type: 2,
            state: 3,
            path: path.into(),
        };
        let zxid = Zxid(zxid);
        Observation {
            on: Line::Of(Ordinal(session)),
            seen: Seen::Frame(Incoming::Event { zxid, event }, None),
        }
    }

    #[test]
    fn events_are_sorted_within_one_transaction_and_one_connection_alone() {
        let mut seen = vec![
            event(0, 1, "/b"),
            event(0, 1, "/a"),
            event(0, 2, "/0"),
            event(1, 2, "/1"),
            event(1, 2, "/0"),
        ];
        sort_events(&mut seen);
        let paths: Vec<_> = seen.iter().filter_map(super::event).collect();
        let expected = ["/a", "/b", "/0", "/0", "/1"];
        assert_eq!(paths, expected.map(|path| (path, 2)));
    }

    #[test]
    fn a_reply_between_events_is_not_sorted_across() {
        let header = ReplyHeader {
            xid: Xid(1),
            zxid: Zxid(1),
            err: ErrorCode::Ok,
        };
        let mut frame = bytes::BytesMut::new();
        zk_proto::Encode::encode(&header, &mut frame);
        let reply = Observation {
            on: Line::Of(Ordinal(0)),
            seen: Seen::Frame(Incoming::parse(&frame.freeze()), Some(9)),
        };
        let mut seen = vec![event(0, 1, "/b"), reply, event(0, 1, "/a")];
        sort_events(&mut seen);
        let paths: Vec<_> = seen.iter().map(super::event).collect();
        assert_eq!(paths, [Some(("/b", 2)), None, Some(("/a", 2))]);
    }
}
