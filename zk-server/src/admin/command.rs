//! The commands, by Apache's names, and the frame of every answer.

use serde::Serialize;

use super::payload::{configuration, connections, ensemble, monitor, server, watches};
use crate::four_letter::NOT_SERVING;
use crate::net::{Serving, Shell};
use crate::storage::DirSizes;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Configuration,
    ConnectionStatReset,
    Connections,
    Dirs,
    Dump,
    Environment,
    GetTraceMask,
    IsReadOnly,
    Leader,
    Monitor,
    Observers,
    Ruok,
    ServerStats,
    SetTraceMask,
    StatReset,
    Stats,
    VotingView,
    WatchSummary,
    Watches,
    WatchesByPath,
    Zabstate,
}

impl Command {
    /// All of them, in the order of their names.
    pub(super) const ALL: [Self; 21] = [
        Self::Configuration,
        Self::ConnectionStatReset,
        Self::Connections,
        Self::Dirs,
        Self::Dump,
        Self::Environment,
        Self::GetTraceMask,
        Self::IsReadOnly,
        Self::Leader,
        Self::Monitor,
        Self::Observers,
        Self::Ruok,
        Self::ServerStats,
        Self::SetTraceMask,
        Self::StatReset,
        Self::Stats,
        Self::VotingView,
        Self::WatchSummary,
        Self::Watches,
        Self::WatchesByPath,
        Self::Zabstate,
    ];

    /// As `command` in an answer spells it.
    pub(super) fn name(self) -> &'static str {
        self.names()[0]
    }

    /// The primary name, then the aliases.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Configuration => &["configuration", "conf", "config"],
            Self::ConnectionStatReset => &["connection_stat_reset", "crst"],
            Self::Connections => &["connections", "cons"],
            Self::Dirs => &["dirs"],
            Self::Dump => &["dump"],
            Self::Environment => &["environment", "env", "envi"],
            Self::GetTraceMask => &["get_trace_mask", "gtmk"],
            Self::IsReadOnly => &["is_read_only", "isro"],
            Self::Leader => &["leader", "lead"],
            Self::Monitor => &["monitor", "mntr"],
            Self::Observers => &["observers", "obsr"],
            Self::Ruok => &["ruok"],
            Self::ServerStats => &["server_stats", "srvr"],
            Self::SetTraceMask => &["set_trace_mask", "stmk"],
            Self::StatReset => &["stat_reset", "srst"],
            Self::Stats => &["stats", "stat"],
            Self::VotingView => &["voting_view"],
            Self::WatchSummary => &["watch_summary", "wchs"],
            Self::Watches => &["watches", "wchc"],
            Self::WatchesByPath => &["watches_by_path", "wchp"],
            Self::Zabstate => &["zabstate"],
        }
    }

    fn find(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|command| command.names().contains(&name))
    }

    /// Whether it is about the process, and answered by a member that serves nobody.
    fn works_without_serving(self) -> bool {
        matches!(
            self,
            Self::Environment | Self::GetTraceMask | Self::SetTraceMask | Self::Zabstate
        )
    }
}

/// Answers the command of this name.
pub(super) async fn run(name: &str, query: &str, shell: &Shell) -> Vec<u8> {
    let Some(command) = Command::find(name) else {
        return failed(name, &format!("Unknown command: {name}"));
    };
    let needs_sizes = [Command::Dirs, Command::ServerStats, Command::Stats].contains(&command);
    let sizes = if needs_sizes {
        shell.dir_sizes().await
    } else {
        DirSizes::default()
    };
    tracing::debug!(command = command.name(), "answering admin command");
    let mut serving = shell.lock_for("answering an admin command");
    if !serving.serves() && !command.works_without_serving() {
        return failed(command.name(), NOT_SERVING);
    }
    answer(command, query, sizes, shell, &mut serving)
}

fn answer(
    command: Command,
    query: &str,
    sizes: DirSizes,
    shell: &Shell,
    serving: &mut Serving,
) -> Vec<u8> {
    let name = command.name();
    match command {
        Command::Configuration => done(name, configuration::configuration(serving, shell)),
        Command::ConnectionStatReset => {
            connections::reset(serving);
            done(name, Nothing {})
        }
        Command::Connections => done(name, connections::connections(serving, shell)),
        Command::Dirs => done(name, configuration::dirs(sizes)),
        Command::Dump => done(name, connections::dump(serving)),
        Command::Environment => done(name, configuration::environment()),
        Command::GetTraceMask => done(name, TraceMask::of(serving)),
        Command::IsReadOnly => done(name, server::is_read_only()),
        Command::Leader => match ensemble::leader(serving) {
            Some(leader) => done(name, leader),
            None => failed(name, "server is not initialized"),
        },
        Command::Monitor => done(name, monitor::monitor(serving, shell)),
        Command::Observers => done(name, ensemble::observers(serving)),
        Command::Ruok => done(name, Nothing {}),
        Command::ServerStats => done(name, server::server_stats(serving, shell, sizes)),
        Command::SetTraceMask => match trace_mask(query) {
            Some(mask) => {
                serving.trace_mask = mask;
                done(name, TraceMask::of(serving))
            }
            None => failed(name, "setTraceMask requires long traceMask argument"),
        },
        Command::StatReset => {
            serving.reset_stats();
            done(name, Nothing {})
        }
        Command::Stats => done(name, server::stats(serving, shell, sizes)),
        Command::VotingView => done(name, ensemble::voting_view(serving)),
        Command::WatchSummary => done(name, watches::summary(serving)),
        Command::Watches => done(name, watches::by_session(serving)),
        Command::WatchesByPath => done(name, watches::by_path(serving)),
        Command::Zabstate => done(name, ensemble::zabstate(serving)),
    }
}

/// The `traceMask` of a query.
fn trace_mask(query: &str) -> Option<i64> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, mask) = pairs.find(|(key, _)| *key == "traceMask")?;
    mask.parse().ok()
}

/// Every answer: what was asked for, then the command's name, then the error or null.
#[derive(Serialize)]
struct Answer<'a, T> {
    #[serde(flatten)]
    payload: T,
    command: &'a str,
    error: Option<&'a str>,
}

/// A payload of nothing.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct TraceMask {
    tracemask: i64,
}

impl TraceMask {
    fn of(serving: &Serving) -> Self {
        Self {
            tracemask: serving.trace_mask,
        }
    }
}

fn done(command: &str, payload: impl Serialize) -> Vec<u8> {
    json(&Answer {
        payload,
        command,
        error: None,
    })
}

/// Apache too answers with status 200 then.
fn failed(command: &str, error: &str) -> Vec<u8> {
    json(&Answer {
        payload: Nothing {},
        command,
        error: Some(error),
    })
}

fn json(answer: &impl Serialize) -> Vec<u8> {
    let mut json =
        serde_json::to_vec_pretty(answer).expect("numbers, strings and maps of them are JSON");
    json.push(b'\n');
    json
}
