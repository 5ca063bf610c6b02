//! Whether the ensemble has lost history that this session has seen: it was wiped,
//! restored from an old copy, or replaced.
//!
//! Then every server refuses the session for ever, by closing the connection without
//! an answer to the handshake. But so does a server that lags, that waits for a
//! quorum, or that is about to stop. What tells them apart is the four-letter word
//! `srvr`, which Apache answers whatever its whitelist says: it gives the last
//! transaction, and the mode of a server that serves. Hence two steps. Refusals by every server,
//! [`ROUNDS`] times over and for a session timeout, raise the suspicion; `srvr` of
//! every server (every address of every name) confirms it, or it is dropped. A server
//! that cannot be asked, does not tell or does not serve leaves the question open:
//! then the client goes on trying.

use std::time::Duration;

use zk_env::Mono;
use zk_proto::{HostPort, Zxid};

use super::Driver;
use super::four_letter::FourLetterWords;

/// Full rounds of refusals before servers are asked. More than one, because a single
/// one is what an election looks like; few, because asking decides.
const ROUNDS: u32 = 3;

/// Refusals in a row, by whom and since when.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    this_round: Vec<HostPort>,
    rounds: u32,
    since: Option<Mono>,
}

impl Refusals {
    /// `host` closed the connection over a handshake that told what was seen.
    pub(super) fn handle_refused(&mut self, now: Mono, host: &HostPort, servers: &[HostPort]) {
        self.since.get_or_insert(now);
        if !self.this_round.contains(host) {
            self.this_round.push(host.clone());
        }
        if servers
            .iter()
            .all(|server| self.this_round.contains(server))
        {
            self.this_round.clear();
            self.rounds += 1;
        }
    }

    /// Something else came of an attempt: whatever is wrong, it is not that alone.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether they give reason to ask.
    pub(super) fn are_suspicious(&self, now: Mono, session_timeout: Duration) -> bool {
        let is_long = self
            .since
            .is_some_and(|since| since + session_timeout <= now);
        is_long && self.rounds >= ROUNDS
    }
}

/// What a server that serves says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    zxid: Zxid,
    /// It decides what is committed, or it would not serve in this mode.
    is_leading: bool,
}

impl Report {
    /// Of an answer to `srvr`; `None` if the server does not serve, is cut off from
    /// its ensemble, or does not tell.
    fn parse(srvr: &str) -> Option<Self> {
        let value = |key: &str| srvr.lines().find_map(|line| line.strip_prefix(key));
        let zxid = value("Zxid: 0x")?;
        let is_leading = match value("Mode: ")? {
            "standalone" | "leader" => true,
            "follower" | "observer" => false,
            _ => return None,
        };
        let zxid = Zxid(u64::from_str_radix(zxid, 16).ok()?.cast_signed());
        Some(Self { zxid, is_leading })
    }
}

/// The newest transaction there is, if all servers serve and all are behind `seen`.
fn newest_if_behind(reports: &[Option<Report>], seen: Zxid) -> Option<Zxid> {
    let reports: Vec<Report> = reports.iter().copied().collect::<Option<_>>()?;
    let newest = reports.iter().map(|report| report.zxid).max()?;
    let is_led = reports.iter().any(|report| report.is_leading);
    (is_led && newest < seen).then_some(newest)
}

impl Driver {
    /// The connection to `host` ended over the handshake.
    pub(super) async fn note_refusal(&mut self, host: &HostPort) {
        let now = self.shared.env.now();
        let servers = self.shared.host_book().hosts.all().to_vec();
        self.refusals.handle_refused(now, host, &servers);
        let timeout = self.shared.session().identity().timeout;
        if !self.refusals.are_suspicious(now, timeout) {
            return;
        }
        self.refusals.reset();
        let seen = self.shared.session().last_zxid();
        let words = FourLetterWords::of(self);
        let Some(newest) = self.attend(ask_all(words, servers, seen)).await.flatten() else {
            return;
        };
        self.shared.probe.reached("client: ensemble regressed");
        self.shared.session().handle_regressed(newest);
    }
}

async fn ask_all(words: FourLetterWords, servers: Vec<HostPort>, seen: Zxid) -> Option<Zxid> {
    let mut reports = Vec::new();
    for host in servers {
        let answers = words.ask_all(&host, "srvr").await.ok()?;
        tracing::debug!(%host, ?answers, %seen, "asked what it has");
        reports.extend(answers.iter().map(|answer| Report::parse(answer)));
    }
    newest_if_behind(&reports, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(seconds))
    }

    fn hosts(names: &[&str]) -> Vec<HostPort> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn it_takes_full_rounds_and_a_session_timeout() {
        let (servers, mut refusals) = (hosts(&["a", "b"]), Refusals::default());
        for second in [0, 1, 2] {
            for host in &servers {
                assert!(!refusals.are_suspicious(at(100), TIMEOUT));
                refusals.handle_refused(at(second), host, &servers);
            }
        }
        assert!(!refusals.are_suspicious(at(9), TIMEOUT));
        assert!(refusals.are_suspicious(at(10), TIMEOUT));
    }

    #[test]
    fn one_server_that_does_not_refuse_clears_the_others() {
        let (servers, mut refusals) = (hosts(&["a", "b"]), Refusals::default());
        for _ in 0..100 {
            refusals.handle_refused(at(0), &servers[0], &servers);
        }
        assert!(
            !refusals.are_suspicious(at(100), TIMEOUT),
            "b has no say yet"
        );
        for _ in 0..ROUNDS {
            refusals.handle_refused(at(0), &servers[0], &servers);
            refusals.handle_refused(at(0), &servers[1], &servers);
        }
        assert!(refusals.are_suspicious(at(100), TIMEOUT));
        refusals.reset();
        assert!(!refusals.are_suspicious(at(100), TIMEOUT));
    }

    fn report(zxid: i64, is_leading: bool) -> Option<Report> {
        let zxid = Zxid(zxid);
        Some(Report { zxid, is_leading })
    }

    #[test]
    fn reports_are_read_from_servers_that_serve_alone() {
        let srvr = |mode: &str| {
            format!(
                "Zookeeper version: 3.9.5-x, built on y\nLatency min/avg/max: 0/0.0/0\n\
                 Received: 1\nSent: 0\nConnections: 1\nOutstanding: 0\n\
                 Zxid: 0x50000000a\nMode: {mode}\nNode count: 5\n"
            )
        };
        let parse = |mode| Report::parse(&srvr(mode));
        assert_eq!(parse("standalone"), report(0x5_0000_000a, true));
        assert_eq!(parse("leader"), report(0x5_0000_000a, true));
        assert_eq!(parse("follower"), report(0x5_0000_000a, false));
        assert_eq!(parse("read-only"), None);
        for text in [
            "",
            "This ZooKeeper instance is not currently serving requests\n",
            "srvr is not executed because it is not in the whitelist.\n",
            "Zxid: 0xfffffffffffffffff\nMode: leader\n",
        ] {
            assert_eq!(Report::parse(text), None, "{text}");
        }
    }

    #[test]
    fn all_must_serve_and_be_behind() {
        let seen = Zxid(10);
        let behind = [report(7, true), report(9, false)];
        assert_eq!(newest_if_behind(&behind, seen), Some(Zxid(9)));
        let catching_up = [report(7, true), report(10, false)];
        assert_eq!(newest_if_behind(&catching_up, seen), None);
        assert_eq!(newest_if_behind(&[report(7, true), None], seen), None);
        assert_eq!(
            newest_if_behind(&[report(7, false)], seen),
            None,
            "nobody leads"
        );
        assert_eq!(newest_if_behind(&[], seen), None);
    }
}
