//! What the server wrote to each connection, taken as it comes.

use zk_proto::{ErrorCode, Zxid};

use super::compare::is_same;
use super::line::{Heard, Output, Request, Told};
use super::play::{Play, differs};
use super::text::show;
use crate::model::{Answer, Done, Event};

impl Play<'_> {
    /// The transaction after which the next output was made, or at the latest could be.
    fn place(&self, at: usize) -> Option<Zxid> {
        let line = &self.lines[at];
        Some(match line.place()? {
            Told::By(zxid) => self.settled(zxid),
            Told::Since(arrived) => {
                let made = self.log.partition_point(|made| made.at <= arrived);
                let last = made
                    .checked_sub(1)
                    .map_or(Zxid::ZERO, |last| self.log[last].zxid);
                let opened = self.opened.get(&line.session).copied().unwrap_or_default();
                last.max(opened).max(self.model.last_zxid())
            }
        })
    }

    /// The transaction that made the state which a server of an ensemble has at `zxid`: the
    /// beginning of an epoch has a zxid and changes nothing.
    fn settled(&self, zxid: Zxid) -> Zxid {
        if !self.is_ensemble || zxid.counter() != 0 {
            return zxid;
        }
        let before = self.log.partition_point(|made| made.zxid < zxid);
        before
            .checked_sub(1)
            .map_or(Zxid::ZERO, |last| self.log[last].zxid)
    }

    /// Takes what comes next of a connection, as long as it is of the state after `now`.
    pub(super) fn drain(&mut self, at: usize, now: Zxid) -> Result<(), String> {
        while !self.lines[at].is_over && self.place(at) == Some(now) {
            self.begin(at);
            let line = &self.lines[at];
            if !self.model.is_open(line.session) {
                return Err(format!(
                    "a frame {line} was made at zxid {now}, when that was not open"
                ));
            }
            self.take_auth(at)?;
            if !self.lines[at].is_over && self.place(at) == Some(now) {
                self.take_read(at, now)?;
            }
        }
        self.wait(at)
    }

    /// Puts a connection where its next output belongs.
    pub(super) fn wait(&mut self, at: usize) -> Result<(), String> {
        let now = self.model.last_zxid();
        let line = &self.lines[at];
        if line.is_over {
            return Ok(());
        }
        match self.place(at) {
            None => self.end(at)?,
            Some(zxid) if zxid <= now => {
                return Err(format!(
                    "a frame {line} carries zxid {zxid} after one of {now}"
                ));
            }
            Some(zxid) => self.waiting.entry(zxid).or_default().push(at),
        }
        Ok(())
    }

    pub(super) fn begin(&mut self, at: usize) {
        let line = &mut self.lines[at];
        if !line.has_begun {
            line.has_begun = true;
            self.model.connect(line.conn, &line.wire.ip.to_string());
        }
    }

    /// Nothing more is to be seen of a connection: what it watches does not matter.
    pub(super) fn end(&mut self, at: usize) -> Result<(), String> {
        self.begin(at);
        let line = &mut self.lines[at];
        if line.is_over {
            return Ok(());
        }
        // The events of a setWatches may be there without its answer.
        if let Some(output) = line.next_output()
            && (output.event.is_none() || output.header.zxid > Zxid::ZERO)
        {
            let zxid = output.header.zxid;
            return Err(format!(
                "a frame {line} with zxid {zxid} was written after its end"
            ));
        }
        line.is_over = true;
        line.identities = self.model.identities(line.conn).to_vec();
        self.model.disconnect(line.conn);
        Ok(())
    }

    pub(super) fn take_auth(&mut self, at: usize) -> Result<(), String> {
        let (count, _) = self.lines[at].auth_replies();
        for _ in 0..count {
            let line = &self.lines[at];
            let body = line.requests[line.request].body.clone();
            let Some(err) = self.model.authenticate(line.conn, &body) else {
                let what = line.describe(line.request);
                return Err(format!("{what} was answered, though it cannot be read"));
            };
            self.reply(at, Zxid::ZERO, &Answer::with(err))?;
            if err != ErrorCode::Ok {
                return self.end(at);
            }
        }
        Ok(())
    }

    /// What a request that is no transaction was answered, with the events that its answer
    /// brought along.
    fn take_read(&mut self, at: usize, now: Zxid) -> Result<(), String> {
        let brought = self.lines[at].take_events(Zxid(-1));
        let line = &self.lines[at];
        let Some(output) = line.next_output() else {
            return Ok(());
        };
        if let Some(event) = &output.event {
            return Err(format!(
                "{event:?} {line} is of transaction {now}, which did not cause it"
            ));
        }
        let Some(request) = line.requests.get(line.request) else {
            return Err(format!("a reply {line} answers nothing that had arrived"));
        };
        if request.is_transaction {
            let what = line.describe(line.request);
            return Err(format!(
                "{what} was answered at zxid {now}, where the log has something else"
            ));
        }
        self.check_read_time(at, request, output, now)?;
        let (conn, session) = (line.conn, line.session);
        if let Some(answer) = request.sasl_answer() {
            return self.reply(at, Zxid::ZERO, &answer);
        }
        let (op, body) = (request.op(), request.body.clone());
        let done = match op {
            Some(op) => self.model.read(session, conn, op, &body),
            None => Done::with(ErrorCode::Unimplemented),
        };
        let expected: Vec<Heard> = done.events.into_iter().map(Heard::from).collect();
        if brought != expected {
            let line = &self.lines[at];
            let what = format!(
                "events before the answer to {}",
                line.describe(line.request)
            );
            return Err(differs(
                &what,
                now,
                &format!("{expected:?}"),
                &format!("{brought:?}"),
            ));
        }
        self.done.events += brought.len() as u64;
        if done.answer.err != ErrorCode::Unimplemented {
            return self.reply(at, now, &done.answer);
        }
        self.reply(at, Zxid(-1), &done.answer)?;
        self.end(at)
    }

    /// The state that a read has seen was there at some time between its arrival and its
    /// answer.
    fn check_read_time(
        &self,
        at: usize,
        request: &Request,
        output: &Output,
        now: Zxid,
    ) -> Result<(), String> {
        let line = &self.lines[at];
        let (made, next) = (&self.log[self.step], self.log.get(self.step + 1));
        if output.at < request.arrived || output.at < made.at {
            let at = output.at;
            return Err(format!(
                "{} was answered at {at:?}, too early for zxid {now}",
                line.describe(line.request)
            ));
        }
        match next {
            Some(next) if next.at < request.arrived && !self.is_ensemble => Err(format!(
                "{}, which arrived at {:?}, was answered as of zxid {now}, but {} had been \
                 made at {:?}",
                line.describe(line.request),
                request.arrived,
                next.zxid,
                next.at
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The next output is this answer to the next request.
    pub(super) fn reply(&mut self, at: usize, zxid: Zxid, answer: &Answer) -> Result<(), String> {
        let line = &self.lines[at];
        let what = || line.describe(line.request);
        let Some(output) = line.next_output() else {
            return Ok(());
        };
        let request = &line.requests[line.request];
        if let Some(event) = &output.event {
            return Err(differs(&what(), zxid, "a reply", &format!("{event:?}")));
        }
        let (header, told) = (&output.header, self.settled(output.header.zxid));
        if header.xid != request.reply_xid() {
            let actual = format!("the reply to xid {}", header.xid.0);
            return Err(differs(&what(), zxid, "its reply", &actual));
        }
        if told != zxid {
            let actual = header.zxid.to_string();
            return Err(differs(&what(), zxid, "this zxid", &actual));
        }
        let op = request.op();
        // What the configuration's znode says of an ensemble is each server's own.
        let is_config = self.is_ensemble && request.path().as_deref() == Some("/zookeeper/config");
        let is_same = is_config || is_same(op, &answer.body, &output.body);
        if header.err != answer.err || !is_same {
            let expected = show(op, answer.err, &answer.body);
            let actual = show(op, header.err, &output.body);
            return Err(differs(&what(), zxid, &expected, &actual));
        }
        let line = &mut self.lines[at];
        line.requests[line.request].reply = Some(line.output);
        line.request += 1;
        line.output += 1;
        self.done.replies += 1;
        Ok(())
    }
}

impl From<Event> for Heard {
    fn from(event: Event) -> Self {
        Self {
            kind: event.kind,
            path: event.path,
        }
    }
}
