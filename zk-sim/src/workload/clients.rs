//! Clients as workloads want them, and what they may be told.

use std::time::Duration;

use zk_client::{Client, ClientBuilder, ConnectError, CreateMode, Error, ErrorCode, Xid};
use zk_env::EnvRng;

use crate::history::RecordedClient;
use crate::runner::Stage;

/// Between attempts at something that did not work.
const BETWEEN: std::ops::Range<Duration> = Duration::from_millis(50)..Duration::from_millis(300);

/// Settings of a client on the stage's host: a session of two to ten seconds and calls
/// that wait a little longer, from the seed.
pub(super) fn builder(stage: &Stage) -> ClientBuilder {
    builder_for(stage, stage.connect_string())
}

/// The same, for other servers.
pub(super) fn builder_for(stage: &Stage, servers: &str) -> ClientBuilder {
    let mut rng = stage.rng("client settings");
    let timeout = Duration::from_millis(2_000 + rng.below(8_000));
    // Now and then the numbers wrap soon.
    let before_wrap = i32::try_from(1 + rng.below(100)).unwrap_or(1);
    let last_xid = match rng.below(8) {
        0 => Xid(i32::MAX - before_wrap),
        _ => Xid(0),
    };
    Client::builder(servers)
        .env(stage.env())
        .last_xid(last_xid)
        .session_timeout(timeout)
        .connect_deadline(Duration::from_secs(15))
        .operation_deadline(timeout + Duration::from_millis(rng.below(8_000)))
}

/// Connects with these settings, however often that takes; `None` once the run is over
/// or has failed.
pub(super) async fn connect(
    stage: &Stage,
    settings: impl Fn() -> ClientBuilder,
) -> Option<RecordedClient> {
    while stage.goes_on() {
        match RecordedClient::connect(settings(), stage.recorder(), stage.sim()).await {
            Ok(client) => return Some(client),
            Err(ConnectError::NoServer { .. }) => stage.pause(BETWEEN).await,
            Err(error) => {
                stage.fail(format!("{} cannot connect: {error}", stage.host()));
                return None;
            }
        }
    }
    None
}

/// Lets whichever server of an ensemble the client has catch up with the others; a lone
/// server is never behind.
pub(super) async fn catch_up(stage: &Stage, client: &RecordedClient) {
    if stage.has_ensemble()
        && let Err(error) = client.sync("/").await
    {
        stage.fail(format!("no sync after the faults: {error}"));
    }
}

/// Closes the client. It need not get through: the session then ends by itself.
pub(super) async fn close(client: RecordedClient) {
    drop(client.close().await);
}

/// Creates a persistent znode and its parents, unless they are there, however often
/// that takes; false once the run is over.
pub(super) async fn establish(stage: &Stage, client: &RecordedClient, path: &str) -> bool {
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at);
    for end in ends.chain([path.len()]) {
        if !establish_one(stage, client, &path[..end]).await {
            return false;
        }
    }
    true
}

async fn establish_one(stage: &Stage, client: &RecordedClient, path: &str) -> bool {
    while stage.goes_on() {
        match client.create(path, b"", CreateMode::Persistent).await {
            Ok(_) => return true,
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => return true,
            Err(error) if !bears(stage, path, &error) => return false,
            Err(_) => stage.pause(BETWEEN).await,
        }
    }
    false
}

/// The value, or nothing if the call failed as a call may. Any other failure is one of
/// the run.
pub(super) fn settle<T>(stage: &Stage, what: &str, result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            bears(stage, what, &error);
            None
        }
    }
}

/// Whether a sound client of a sound server may be told this; if not the run has failed.
pub(super) fn bears(stage: &Stage, what: &str, error: &Error) -> bool {
    let may_be = may_be_told(error);
    if !may_be {
        stage.fail(format!("{}, {what}: unexpected: {error}", stage.host()));
    }
    may_be
}

/// Whether the server answered, be it with a refusal.
pub(super) fn is_answer<T>(result: &Result<T, Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => error.code().is_some(),
    }
}

fn may_be_told(error: &Error) -> bool {
    match error {
        Error::Server { code, .. } | Error::Transaction { code, .. } => is_ordinary(*code),
        Error::ConnectionLost { .. }
        | Error::DeadlineExceeded { .. }
        | Error::EpochEnded
        | Error::QueueFull { .. } => true,
        _ => false,
    }
}

/// Refusals that depend on what others did meanwhile, or on the session's end.
const fn is_ordinary(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NoNode
            | ErrorCode::NodeExists
            | ErrorCode::BadVersion
            | ErrorCode::NotEmpty
            | ErrorCode::NoAuth
            | ErrorCode::NoChildrenForEphemerals
            | ErrorCode::InvalidAcl
            | ErrorCode::NoWatcher
            | ErrorCode::SessionExpired
            | ErrorCode::SessionMoved
            | ErrorCode::QuotaExceeded
    )
}

/// One of `all`.
pub(super) fn one_of<'a, T>(rng: &mut EnvRng, all: &'a [T]) -> &'a T {
    &all[rng.below(all.len() as u64) as usize]
}

/// Names of hosts: `prefix-1` and so on.
pub(super) fn hosts(prefix: &str, count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{prefix}-{n}")).collect()
}

/// Milliseconds from and up to.
pub(super) const fn ms(from: u64, to: u64) -> std::ops::Range<Duration> {
    Duration::from_millis(from)..Duration::from_millis(to)
}
