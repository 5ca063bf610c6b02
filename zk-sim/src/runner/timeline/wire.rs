//! Connections, and what is said over them.

use crate::history::{At, Frame, Stream, WireConnection};

use super::frames::Interpreter;
use super::{Kind, Line};

/// The lines of all connections.
pub(super) fn lines(connections: &[WireConnection], lines: &mut Vec<Line>) {
    for connection in connections {
        Talk {
            connection,
            interpreter: Interpreter::default(),
            lines,
        }
        .tell();
    }
}

/// One connection on its way into a timeline.
struct Talk<'c> {
    connection: &'c WireConnection,
    interpreter: Interpreter,
    lines: &'c mut Vec<Line>,
}

impl Talk<'_> {
    fn tell(mut self) {
        let connection = self.connection;
        let port = connection.port;
        let number = connection.id.0;
        self.line(
            connection.dialled,
            Kind::Connection,
            true,
            &format!("dials :{port}, connection {number}"),
        );
        if let Some(at) = connection.established {
            self.line(
                at,
                Kind::Connection,
                true,
                &format!("connection {number} stands"),
            );
        }
        if let Some(word) = connection.four_letter_word() {
            self.line(connection.dialled, Kind::Wire, true, word);
        }
        self.frames();
        self.end(&connection.requests, true);
        self.end(&connection.replies, false);
    }

    /// Both directions in the order in which they were written, so that a reply finds
    /// its request.
    fn frames(&mut self) {
        let (requests, replies) = (&self.connection.requests, &self.connection.replies);
        let mut frames: Vec<(&Frame, bool, usize)> = Vec::new();
        frames.extend(
            requests
                .written
                .iter()
                .enumerate()
                .map(|(i, f)| (f, true, i)),
        );
        frames.extend(
            replies
                .written
                .iter()
                .enumerate()
                .map(|(i, f)| (f, false, i)),
        );
        frames.sort_by_key(|(frame, is_request, _)| (frame.at, !is_request));
        for (frame, is_request, index) in frames {
            let (stream, what) = if is_request {
                (requests, self.interpreter.request(index, &frame.payload))
            } else {
                (replies, self.interpreter.reply(index, &frame.payload))
            };
            let fate = fate(stream, index, frame);
            self.line(frame.at, Kind::Wire, is_request, &format!("{what}{fate}"));
        }
    }

    fn end(&mut self, stream: &Stream, is_request: bool) {
        let number = self.connection.id.0;
        if let Some(closed) = stream.closed {
            let how = if closed.is_reset {
                "is gone"
            } else {
                "is closed"
            };
            self.line(
                closed.at,
                Kind::Connection,
                is_request,
                &format!("connection {number} {how}"),
            );
        }
    }

    fn line(&mut self, at: At, kind: Kind, by_connector: bool, what: &str) {
        let WireConnection { from, to, .. } = self.connection;
        let (speaker, listener) = if by_connector { (from, to) } else { (to, from) };
        self.lines.push(Line {
            at,
            kind,
            hosts: vec![from.clone(), to.clone()],
            text: format!("{speaker} -> {listener}: {what}"),
        });
    }
}

/// What became of a frame, unless it arrived soon.
fn fate(stream: &Stream, index: usize, frame: &Frame) -> String {
    const SOON: At = At::from_millis(20);
    if !stream.has_arrived(index) {
        let was_changed = stream.garbled.iter().any(|offset| *offset < frame.end);
        let fate = if was_changed {
            " (garbled)"
        } else {
            " (never arrives)"
        };
        return fate.to_owned();
    }
    let took = stream
        .arrived
        .get(index)
        .map_or(At::ZERO, |there| there.at.saturating_sub(frame.at));
    if took <= SOON {
        return String::new();
    }
    format!(" (arrives {:.3} s later)", took.as_secs_f64())
}
