//! The log, carried out in the model step by step, and the connections along with it.

use std::collections::BTreeMap;

use zk_proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

use super::Replayed;
use super::line::{Heard, Line};
use crate::checkers::FASTEST;
use crate::history::Transaction;
use crate::model::{Answer, Asker, Conn, Done, Event, Model, Settings, authenticate};

/// A request by its connection and its place there.
type Place = (usize, usize);

/// A replay under way.
pub(super) struct Play<'h> {
    pub(super) model: Model,
    pub(super) log: &'h [Transaction],
    pub(super) lines: Vec<Line<'h>>,
    /// The connections whose next output was made in the state after a transaction.
    pub(super) waiting: BTreeMap<Zxid, Vec<usize>>,
    /// Which connections spoke for a session.
    of_session: BTreeMap<SessionId, Vec<usize>>,
    /// When sessions began.
    pub(super) opened: BTreeMap<SessionId, Zxid>,
    /// The requests that the log has to have, the last first.
    asked: BTreeMap<(SessionId, Xid), Vec<Place>>,
    /// How many transactions have been carried out.
    pub(super) step: usize,
    pub(super) done: Replayed,
    /// Whether one server may be behind another.
    pub(super) is_ensemble: bool,
}

/// What was compared, for a sentence.
pub(super) fn differs(what: &str, zxid: Zxid, expected: &str, actual: &str) -> String {
    format!("{what} at zxid {zxid}: expected {expected}, got {actual}")
}

impl<'h> Play<'h> {
    pub(super) fn new(
        settings: &Settings,
        log: &'h [Transaction],
        lines: Vec<Line<'h>>,
        is_ensemble: bool,
    ) -> Result<Self, String> {
        let mut play = Self {
            model: Model::new(settings.clone()),
            log,
            lines,
            waiting: BTreeMap::new(),
            of_session: BTreeMap::new(),
            opened: opened(log),
            asked: BTreeMap::new(),
            step: 0,
            done: Replayed::default(),
            is_ensemble,
        };
        for line in 0..play.lines.len() {
            play.enlist(line);
            play.wait(line)?;
        }
        Ok(play)
    }

    /// Notes what the log has to have of this connection.
    fn enlist(&mut self, at: usize) {
        let line = &self.lines[at];
        self.of_session.entry(line.session).or_default().push(at);
        for (index, request) in line.requests.iter().enumerate() {
            if request.is_transaction {
                let key = (line.session, request.xid);
                self.asked.entry(key).or_default().insert(0, (at, index));
            }
        }
    }

    pub(super) fn run(&mut self) -> Result<(), String> {
        for transaction in self.log {
            let expected = Zxid(self.model.last_zxid().0 + 1);
            if transaction.zxid != expected && !self.begins_epoch(transaction.zxid) {
                let zxid = transaction.zxid;
                return Err(format!(
                    "the log goes on with zxid {zxid} instead of {expected}"
                ));
            }
            self.step(transaction)?;
            self.step += 1;
            self.done.transactions += 1;
        }
        self.beyond_the_log()
    }

    /// Whether it is the first of a later epoch than the last: of 0 begins the epoch itself.
    fn begins_epoch(&self, zxid: Zxid) -> bool {
        let last = self.model.last_zxid();
        self.is_ensemble && zxid.epoch() > last.epoch() && zxid.counter() == 1
    }

    pub(super) fn finish(self) -> (Vec<Line<'h>>, Replayed) {
        (self.lines, self.done)
    }

    fn beyond_the_log(&self) -> Result<(), String> {
        let Some((zxid, lines)) = self.waiting.first_key_value() else {
            return Ok(());
        };
        let line = &self.lines[lines[0]];
        Err(format!(
            "a frame {line} carries zxid {zxid}, which the log does not have"
        ))
    }

    fn step(&mut self, transaction: &Transaction) -> Result<(), String> {
        let zxid = transaction.zxid;
        let place = self.find(transaction)?;
        self.take_auth_before(zxid)?;
        if let Some((line, request)) = place {
            self.catch_up(line, request, zxid)?;
        }
        let done = self.carry_out(transaction, place)?;
        self.compare_events(transaction, &done.events)?;
        if let Some((line, request)) = place {
            self.answer(transaction, (line, request), &done.answer)?;
        }
        if transaction.op == OpCode::CloseSession {
            for line in self
                .of_session
                .remove(&transaction.session)
                .unwrap_or_default()
            {
                self.end(line)?;
            }
        }
        for line in self.waiting.remove(&zxid).unwrap_or_default() {
            self.drain(line, zxid)?;
        }
        Ok(())
    }

    /// The request that a transaction was made for; none for what a server does by
    /// itself.
    fn find(&mut self, transaction: &Transaction) -> Result<Option<Place>, String> {
        let Transaction {
            zxid,
            session,
            cxid,
            op,
            at,
            ..
        } = *transaction;
        let is_own = op == OpCode::CreateSession || session == SessionId::NONE;
        if is_own {
            return Ok(None);
        }
        let lines = &self.lines;
        let asked = self.asked.get_mut(&(session, cxid));
        let found = asked.and_then(|places| {
            let had_arrived = |(line, request): &Place| {
                let line: &Line<'_> = &lines[*line];
                line.requests[*request].arrived <= at
            };
            let index = places.iter().rposition(had_arrived)?;
            Some(places.remove(index))
        });
        if found.is_none() && !(op == OpCode::CloseSession && cxid == Xid(0)) {
            let cxid = cxid.0;
            return Err(format!(
                "transaction {zxid} ({op:?}) of session {session} with cxid {cxid}: nobody \
                 had asked for it, or it had been made before"
            ));
        }
        Ok(found)
    }

    /// Identities that connections had proved before this transaction was made, as what
    /// follows on the wire shows.
    fn take_auth_before(&mut self, zxid: Zxid) -> Result<(), String> {
        let Some(waiting) = self.waiting.get(&zxid) else {
            return Ok(());
        };
        for line in waiting.clone() {
            let (count, behind) = self.lines[line].auth_replies();
            let is_event = behind.is_some_and(|output| output.event.is_some());
            if count > 0 && is_event {
                self.begin(line);
                self.take_auth(line)?;
            }
        }
        Ok(())
    }

    /// The requests before `request` have been answered, or never will be.
    fn catch_up(&mut self, at: usize, request: usize, zxid: Zxid) -> Result<(), String> {
        self.begin(at);
        self.take_auth(at)?;
        while self.lines[at].request < request {
            let line = &mut self.lines[at];
            let skipped = line.request;
            if !line.is_over {
                let (line, later) = (line.describe(skipped), line.describe(request));
                return Err(format!(
                    "{later} was carried out as {zxid} before {line} was answered"
                ));
            }
            let before = &line.requests[skipped];
            if before.is_transaction && !before.is_done {
                let (line, later) = (line.describe(skipped), line.describe(request));
                return Err(format!(
                    "{later} was carried out as {zxid}, but not {line}, which came first"
                ));
            }
            if before.is_auth() {
                let body = before.body.clone();
                let digest = self.model.settings().super_digest.as_deref();
                authenticate(&mut line.identities, &body, digest);
            }
            line.request += 1;
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        transaction: &Transaction,
        place: Option<Place>,
    ) -> Result<Done, String> {
        let Transaction {
            zxid,
            session,
            op,
            time_ms,
            ..
        } = *transaction;
        if op == OpCode::CreateSession {
            return match self.model.open_session(session, zxid) {
                true => Ok(Done::with(ErrorCode::Ok)),
                false => Err(format!(
                    "transaction {zxid} opens session {session} once more"
                )),
            };
        }
        if let Some(path) = &transaction.path {
            return self.reap(transaction, path);
        }
        if self.is_ensemble && of_the_session(transaction.err) {
            if let Some((line, request)) = place {
                self.lines[line].requests[request].is_done = true;
            }
            return Ok(self.model.refuse(transaction.err, zxid));
        }
        if !self.model.is_open(session) {
            return Err(format!(
                "transaction {zxid} ({op:?}) is of session {session}, which is not open"
            ));
        }
        let Some((line, request)) = place else {
            return Ok(self.model.close_session(session, zxid));
        };
        let line = &mut self.lines[line];
        let request = &mut line.requests[request];
        request.is_done = true;
        let asked = request
            .op()
            .expect("what the log has to have is an operation");
        if asked == OpCode::CloseSession {
            return Ok(self.model.close_session(session, zxid));
        }
        let identities = if line.is_over {
            line.identities.clone()
        } else {
            self.model.identities(line.conn).to_vec()
        };
        let asker = Asker {
            session,
            identities: &identities,
        };
        if asked == OpCode::Reconfig && self.is_ensemble {
            match transaction.err {
                ErrorCode::Ok => return Ok(self.model.reconfigure(asker, zxid, time_ms)),
                err if of_the_members(err) => return Ok(self.model.refuse(err, zxid)),
                _ => {}
            }
        }
        Ok(self.model.write(asker, asked, &request.body, zxid, time_ms))
    }

    fn reap(&mut self, transaction: &Transaction, path: &str) -> Result<Done, String> {
        let Transaction { zxid, err, .. } = *transaction;
        let is_due = self
            .model
            .is_to_be_reaped(path, self.age_time(transaction, path));
        if err == ErrorCode::Ok && !is_due {
            return Err(format!(
                "transaction {zxid} reaps {path}, whose time has not come"
            ));
        }
        let done = self.model.reap(path, zxid);
        let expected = done.answer.err;
        if expected == err {
            return Ok(done);
        }
        let (expected, err) = (expected.to_string(), err.to_string());
        Err(differs(&format!("reaping {path}"), zxid, &expected, &err))
    }

    /// The time at which the age of a znode is looked at: what the wall clock of the
    /// server would show had nobody set it since the znode's last change.
    fn age_time(&self, transaction: &Transaction, path: &str) -> i64 {
        let Some((changed, mtime)) = self.model.last_change(path) else {
            return transaction.time_ms;
        };
        // Not counted from the first one: with a new epoch zxids begin anew.
        let place = self.log.binary_search_by_key(&changed, |known| known.zxid);
        let Some(change) = place.ok().and_then(|place| self.log.get(place)) else {
            return transaction.time_ms;
        };
        let age = transaction.at.saturating_sub(change.at) * FASTEST / 1_000;
        mtime.saturating_add(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    }

    /// Every connection heard what it had to hear of the transaction, and nothing else.
    fn compare_events(
        &mut self,
        transaction: &Transaction,
        events: &[Event],
    ) -> Result<(), String> {
        let mut by_conn: BTreeMap<Conn, Vec<Heard>> = BTreeMap::new();
        for event in events {
            let heard = Heard {
                kind: event.kind,
                path: event.path.clone(),
            };
            by_conn.entry(event.conn).or_default().push(heard);
        }
        for (conn, expected) in by_conn {
            self.compare_events_of(transaction, conn.0 as usize, expected)?;
        }
        Ok(())
    }

    fn compare_events_of(
        &mut self,
        transaction: &Transaction,
        at: usize,
        mut expected: Vec<Heard>,
    ) -> Result<(), String> {
        let Transaction { zxid, op, .. } = *transaction;
        self.check_time(at, transaction)?;
        let line = &mut self.lines[at];
        let mut actual = line.take_events(zxid);
        let is_cut = line.next_output().is_none();
        self.done.events += actual.len() as u64;
        if op == OpCode::CloseSession {
            // The ephemerals of a session go in no particular order.
            expected.sort();
            actual.sort();
        }
        let is_same = if is_cut {
            is_part(&actual, &expected)
        } else {
            actual == expected
        };
        if is_same {
            return Ok(());
        }
        let what = format!("events {}", self.lines[at]);
        Err(differs(
            &what,
            zxid,
            &format!("{expected:?}"),
            &format!("{actual:?}"),
        ))
    }

    /// Nothing is written of a transaction before it is made.
    fn check_time(&self, at: usize, transaction: &Transaction) -> Result<(), String> {
        let line = &self.lines[at];
        match line.next_output() {
            Some(output) if output.at < transaction.at => Err(format!(
                "a frame {line} was written at {:?}, before transaction {} that it tells of, \
                 at {:?}",
                output.at, transaction.zxid, transaction.at
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The reply to a transaction's request, unless the connection broke before it.
    fn answer(
        &mut self,
        transaction: &Transaction,
        (at, request): Place,
        answer: &Answer,
    ) -> Result<(), String> {
        self.check_log(transaction, (at, request), answer)?;
        let line = &mut self.lines[at];
        if line.is_over || line.next_output().is_none() {
            line.request = request + 1;
            return self.end(at);
        }
        self.check_time(at, transaction)?;
        self.reply(at, transaction.zxid, answer)
    }

    /// What the log says of a request is what the model says.
    fn check_log(
        &self,
        transaction: &Transaction,
        (line, request): Place,
        answer: &Answer,
    ) -> Result<(), String> {
        let Transaction { zxid, op, err, .. } = *transaction;
        let line = &self.lines[line];
        let asked = line.requests[request].op();
        let expected = match asked {
            Some(OpCode::Multi) if answer.err == ErrorCode::Ok => first_error(answer),
            Some(_) | None => answer.err,
        };
        let is_multi = asked == Some(OpCode::Multi) && op == OpCode::Multi;
        let is_op = if err == ErrorCode::Ok {
            Some(op) == asked
        } else {
            op == OpCode::Error || is_multi
        };
        if expected == err && is_op {
            return Ok(());
        }
        let what = format!("the log of {}", line.describe(request));
        let actual = format!("{op:?}, {err}");
        Err(differs(&what, zxid, &expected.to_string(), &actual))
    }
}

/// Whether it is the session that a leader refuses: one that has ended, or asks elsewhere by
/// now. A lone server has no such transactions.
const fn of_the_session(err: ErrorCode) -> bool {
    matches!(
        err,
        ErrorCode::SessionExpired | ErrorCode::SessionMoved | ErrorCode::UnknownSession
    )
}

/// Whether it is the change itself that a leader refuses: whether it may be made depends on
/// who is connected, and on what is decided already.
const fn of_the_members(err: ErrorCode) -> bool {
    matches!(
        err,
        ErrorCode::ReconfigInProgress
            | ErrorCode::NewConfigNoQuorum
            | ErrorCode::BadVersion
            | ErrorCode::BadArguments
    )
}

/// When each session began.
fn opened(log: &[Transaction]) -> BTreeMap<SessionId, Zxid> {
    let opens = log.iter().filter(|made| made.op == OpCode::CreateSession);
    opens.map(|made| (made.session, made.zxid)).collect()
}

/// Whether `part` is `whole` with something left out, both in order.
fn is_part(part: &[Heard], whole: &[Heard]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|event| whole.any(|other| other == event))
}

/// The error of the operation for which a multi failed.
fn first_error(answer: &Answer) -> ErrorCode {
    use zk_proto::record::{MultiResponse, MultiResult};
    use zk_proto::{Decode, Reader};
    let response = MultiResponse::decode(&mut Reader::new(&answer.body)).unwrap_or_default();
    let error = response.results.iter().find_map(|result| match result {
        MultiResult::Error(error) if *error != ErrorCode::Ok => Some(*error),
        _ => None,
    });
    error.unwrap_or(ErrorCode::Ok)
}
