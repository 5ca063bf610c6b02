//! Replays what the server logged and looks whether everything that was seen follows
//! from it.
//!
//! The server's transactions, in the order of their zxids, are carried out in the
//! [`model`](crate::model), each on behalf of the request that it was made for. What
//! the server wrote to every connection has to be what the model says, byte for byte
//! and in the same order: replies, and between them watch events. A read is
//! placed by the zxid of its reply: it has seen the state after that transaction. Then
//! what clients told their callers is compared with what had arrived at them.
//!
//! *Which checks.* A transaction has a request that had arrived before and was not
//! carried out before (no duplicates), and those before it in its session came
//! first; zxids have no gaps; a reply was made between the arrival of its request and its
//! own writing, for reads too, so nothing that was acknowledged before a request was
//! sent is missing from its answer. Sessions are served as long as the log has
//! them open and no longer. An answer that a caller got had arrived as he got it, one
//! that says the call had no effect has no transaction, and calls are answered in
//! their order. A watcher hears only what arrived, in that order.
//!
//! *Of an ensemble* a read may be answered by a server that is behind, so that it need not
//! show what was acknowledged elsewhere before it was asked; what it shows was the state at its
//! zxid all the same. Zxids have no gaps within an epoch, and a session may be known longer to a
//! server that was cut off.
//!
//! *What is left open.* What a connection that broke should still have carried is not
//! demanded. The replies of a connection whose server died on it end where they end.

mod calls;
mod compare;
mod heard;
mod line;
mod outputs;
mod play;
mod sessions;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use zk_proto::Zxid;

use crate::history::{At, History, Transaction, WireConnection};
use crate::model::{Conn, Settings};

use line::Line;
use play::Play;

/// What a replay had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Transactions carried out.
    pub transactions: u64,
    /// Replies compared.
    pub replies: u64,
    /// Watch events compared.
    pub events: u64,
    /// Calls compared with what went over the wire.
    pub calls: u64,
    /// Calls that left their callers in doubt and took effect.
    pub applied: u64,
    /// Calls that left their callers in doubt and did not take effect.
    pub not_applied: u64,
}

/// Checks everything that was seen of one server.
#[derive(Clone, Debug)]
pub struct Replay {
    settings: Settings,
    hosts: Vec<String>,
    port: u16,
    /// Whether one server may be behind another.
    is_ensemble: bool,
}

impl Replay {
    /// Of the server on the host `server`, port 2181, with these settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            hosts: vec!["server".to_owned()],
            port: 2181,
            is_ensemble: false,
        }
    }

    /// Of the server at another place.
    #[must_use]
    pub fn server(mut self, host: &str, port: u16) -> Self {
        self.hosts = vec![host.to_owned()];
        self.port = port;
        self
    }

    /// Of the servers of an ensemble. The log is what they committed together; each answer is
    /// compared with the state that its server was in, which may be an older one, but never
    /// one that was not.
    #[must_use]
    pub fn ensemble(mut self, hosts: Vec<String>, port: u16) -> Self {
        self.hosts = hosts;
        self.port = port;
        self.is_ensemble = true;
        self
    }

    /// Replays `history` from the first transaction of the server on.
    ///
    /// # Errors
    ///
    /// The first thing that does not follow, in a sentence.
    pub fn check(&self, history: &History) -> Result<Replayed, String> {
        let lines = self.lines(history)?;
        let dated = self
            .is_ensemble
            .then(|| dated(&history.transactions, &lines));
        let (settings, log) = (
            &self.settings,
            dated.as_ref().unwrap_or(&history.transactions),
        );
        let mut play = Play::new(settings, log, lines, self.is_ensemble)?;
        play.run()?;
        let (lines, mut replayed) = play.finish();
        let ours: Vec<&WireConnection> = self.connections(history).collect();
        sessions::check(&ours, log, self.is_ensemble)?;
        calls::check(history, &lines, &mut replayed)?;
        heard::check(history, &lines)?;
        Ok(replayed)
    }

    fn connections<'h>(&self, history: &'h History) -> impl Iterator<Item = &'h WireConnection> {
        let is_ours =
            |wire: &&WireConnection| self.hosts.contains(&wire.to) && wire.port == self.port;
        history
            .connections
            .iter()
            .filter(is_ours)
            .filter(|wire| wire.four_letter_word().is_none())
    }

    fn lines<'h>(&self, history: &'h History) -> Result<Vec<Line<'h>>, String> {
        let mut lines = Vec::new();
        for wire in self.connections(history) {
            if let Some(line) = Line::new(wire, Conn(lines.len() as u64), self.is_ensemble)? {
                lines.push(line);
            }
        }
        Ok(lines)
    }
}

/// The log of an ensemble with the earliest times that are known: what a leader has found in its
/// log was committed before anybody was seen to apply anything behind it, at the latest when a
/// client was told of it.
fn dated(log: &[Transaction], lines: &[Line<'_>]) -> Vec<Transaction> {
    let mut told: BTreeMap<Zxid, At> = BTreeMap::new();
    for output in lines.iter().flat_map(|line| &line.outputs) {
        let at = told.entry(output.header.zxid).or_insert(output.at);
        *at = output.at.min(*at);
    }
    let mut dated = log.to_vec();
    let mut earliest = At::MAX;
    for made in dated.iter_mut().rev() {
        for (_, at) in told.split_off(&made.zxid) {
            earliest = earliest.min(at);
        }
        earliest = earliest.min(made.at);
        made.at = earliest;
    }
    dated
}
