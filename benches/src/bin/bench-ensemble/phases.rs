//! What servers were doing, by their logs.

/// Seconds of a day.
const DAY: f64 = 24.0 * 3600.0;

/// What happens between a leader's death and the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first survivor looks for a leader.
    Noticed,
    /// A survivor knows that it leads.
    Elected,
    /// It serves.
    Serving,
}

impl Phase {
    pub(crate) const ALL: [Self; 3] = [Self::Noticed, Self::Elected, Self::Serving];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Noticed => "noticed",
            Self::Elected => "elected",
            Self::Serving => "serving",
        }
    }

    /// What a line says of it, here and at Apache's.
    const fn words(self) -> [&'static str; 2] {
        match self {
            Self::Noticed => ["looking for a leader", " LOOKING"],
            Self::Elected => ["there is a leader", " LEADING - LEADER ELECTION TOOK"],
            Self::Serving => [": serving ", "Peer state changed: leading - broadcast"],
        }
    }

    /// Milliseconds from `since`, in seconds of the day in UTC, to the first line of any log
    /// that tells of it.
    pub(crate) fn millis_after(self, since: f64, logs: &[String]) -> Option<f64> {
        let lines = logs.iter().flat_map(|log| log.lines());
        let told = lines.filter(|line| self.words().iter().any(|words| line.contains(words)));
        let after = told
            .filter_map(time_of_day)
            .map(|time| (time - since).rem_euclid(DAY))
            // Who wrote it before is nearly a day late by this account.
            .filter(|after| *after < DAY / 2.0)
            .min_by(f64::total_cmp)?;
        Some(after * 1e3)
    }
}

/// Of a line that begins as `2026-12-01T05:10:08.123`, in seconds.
fn time_of_day(line: &str) -> Option<f64> {
    let time = line.get(11..23)?;
    let mut parts = time.split(':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    Some(hours.ok()? * 3600.0 + minutes.ok()? * 60.0 + seconds.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_found_in_both_kinds_of_logs() {
        let ours = "2026-12-01T23:59:59.900123Z  INFO zk_server::quorum::peer: looking for a leader id=1\n\
            2026-12-02T00:00:00.100123Z  INFO zk_server::quorum::peer: there is a leader id=1 leader=1 role=Leading\n\
            2026-12-02T00:00:00.200123Z  INFO zk_server::quorum::peer: serving id=1 epoch=2\n";
        let theirs = "2026-12-01T23:59:59.900Z [QuorumPeer[myid=1]] INFO org.apache.zookeeper.server.quorum.QuorumPeer - LOOKING\n\
            2026-12-02T00:00:00.100Z [QuorumPeer[myid=1]] INFO org.apache.zookeeper.server.quorum.QuorumPeer - LEADING - LEADER ELECTION TOOK - 201 MS\n\
            2026-12-02T00:00:00.200Z [QuorumPeer[myid=1]] INFO org.apache.zookeeper.server.quorum.QuorumPeer - Peer state changed: leading - broadcast\n";
        let since = DAY - 0.2;
        for log in [ours, theirs] {
            let logs = [log.to_owned()];
            let millis = Phase::ALL.map(|phase| phase.millis_after(since, &logs));
            let millis = millis.map(|it| it.unwrap().round());
            assert_eq!(millis, [100.0, 300.0, 400.0], "{log}");
        }
    }

    #[test]
    fn what_was_logged_before_does_not_count() {
        let log = "2026-12-01T12:00:00.000Z [main] INFO QuorumPeer - LOOKING\n";
        let logs = [log.to_owned()];
        let since = 12.0 * 3600.0 + 0.001;
        assert_eq!(Phase::Noticed.millis_after(since, &logs), None);
    }
}
