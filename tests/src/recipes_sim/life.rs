//! The lives of a worker: a client, some turns at something, and an end that may come amid one.

use std::ops::Range;
use std::time::Duration;

use zk_client::{Client, ClientBuilder, ConnectError, CreateMode, ErrorCode, SessionState};
use zk_env::EnvRng;
use zk_recipes::Error;
use zk_sim::runner::Stage;

use super::invariants::nothing_left;

/// Between attempts at something that did not work.
const BETWEEN: Range<Duration> = ms(50, 300);
/// Between two turns.
const REST: Range<Duration> = ms(5, 120);
/// The most turns of a client's life.
const TURNS: u64 = 60;

/// Milliseconds from and up to.
pub(crate) const fn ms(from: u64, to: u64) -> Range<Duration> {
    Duration::from_millis(from)..Duration::from_millis(to)
}

/// Names of hosts: `prefix-1` and so on.
pub(crate) fn hosts(prefix: &str, count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{prefix}-{n}")).collect()
}

/// Who has turns at something.
pub(crate) trait Player: Send {
    /// One turn; tells of progress, and of what must not happen. It may be dropped at any await.
    fn turn(&mut self, stage: &Stage, client: &Client) -> impl Future<Output = ()> + Send;
}

/// Plays until the run is over: in each life with a client of its own, closed after some turns
/// or amid one. Whenever nothing is wanted, nothing may be left.
pub(crate) async fn live(stage: &Stage, mut player: impl Player) {
    let mut rng = stage.rng("life");
    while stage.goes_on() {
        let Some(client) = connect(stage).await else {
            return;
        };
        for _ in 0..1 + rng.below(TURNS) {
            if !stage.goes_on() || is_over(&client) {
                break;
            }
            turn(stage, &client, &mut player, &mut rng).await;
        }
        if rng.below(4) == 0 && stage.goes_on() {
            close_amid(stage, &client, &mut player).await;
        } else {
            nothing_left(stage, &client).await;
        }
        // It need not get through: the session then ends by itself.
        drop(client.close().await);
    }
}

async fn turn(stage: &Stage, client: &Client, player: &mut impl Player, rng: &mut EnvRng) {
    tokio::select! {
        biased;
        () = stage.over() => return,
        () = player.turn(stage, client) => {}
    }
    if rng.below(8) == 0 {
        nothing_left(stage, client).await;
    }
    stage.pause(REST).await;
}

/// Whatever the turn is at, it has to end when the client does.
async fn close_amid(stage: &Stage, client: &Client, player: &mut impl Player) {
    let close = async {
        stage.pause(ms(0, 200)).await;
        drop(client.close().await);
        stage
            .env()
            .probe()
            .reached("recipes: client closed amid a turn");
    };
    futures_util::future::join(player.turn(stage, client), close).await;
}

/// Whether the client has ended for good.
pub(crate) fn is_over(client: &Client) -> bool {
    let state = *client.state().borrow();
    matches!(state, SessionState::Closed | SessionState::AuthFailed)
}

/// Settings of a client on the stage's host: a session of two to eight seconds.
fn builder(stage: &Stage) -> ClientBuilder {
    let mut rng = stage.rng("client settings");
    stage
        .client()
        .session_timeout(Duration::from_millis(2_000 + rng.below(6_000)))
        .connect_deadline(Duration::from_secs(15))
        .operation_deadline(Duration::from_millis(3_000 + rng.below(12_000)))
}

/// Connects, however often that takes; `None` once the run is over or has failed.
pub(crate) async fn connect(stage: &Stage) -> Option<Client> {
    while stage.goes_on() {
        match builder(stage).connect().await {
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

/// After the run, when nothing is in the way any more.
pub(crate) async fn connect_after(stage: &Stage) -> Option<Client> {
    match stage.client().connect().await {
        Ok(client) => Some(client),
        Err(error) => {
            stage.fail(format!("no session after the faults: {error}"));
            None
        }
    }
}

/// Creates a persistent znode and its parents with this data, unless it is there, however often
/// that takes.
pub(crate) async fn establish(stage: &Stage, client: &Client, path: &str, data: &str) {
    while stage.goes_on() && !is_over(client) {
        let mode = CreateMode::Persistent;
        match client.create_all(path, data, mode).await {
            Ok(_) => return,
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => return,
            Err(error) => {
                bears(stage, path, &error.into());
                stage.pause(BETWEEN).await;
            }
        }
    }
}

/// Whether a sound recipe may say this to a caller whose lock nobody tampers with; if not, the run
/// has failed.
pub(crate) fn bears(stage: &Stage, what: &str, error: &Error) -> bool {
    let may_be = match error {
        Error::Client(error) => is_of_the_circumstances(error),
        Error::DeadlineExceeded { .. }
        | Error::EpochEnded
        | Error::Fenced { .. }
        | Error::HandoverRefused { .. }
        | Error::QueueFull { .. }
        | Error::Lost(_) => true,
        _ => false,
    };
    if !may_be {
        stage.fail(format!("{}, {what}: unexpected: {error}", stage.host()));
    }
    note(stage, error);
    may_be
}

/// Faults, a client that was closed, and what others did meanwhile.
fn is_of_the_circumstances(error: &zk_client::Error) -> bool {
    use zk_client::Error;
    match error {
        Error::ConnectionLost { .. }
        | Error::DeadlineExceeded { .. }
        | Error::EpochEnded
        | Error::Closed
        | Error::QueueFull { .. } => true,
        Error::Server { code, .. } | Error::Transaction { code, .. } => matches!(
            code,
            ErrorCode::NodeExists
                | ErrorCode::NoNode
                | ErrorCode::BadVersion
                | ErrorCode::SessionExpired
                | ErrorCode::SessionMoved
        ),
        _ => false,
    }
}

/// Rare things that were told.
pub(crate) fn note(stage: &Stage, error: &Error) {
    let place = match error {
        Error::Fenced { .. } => "recipes: write fenced",
        Error::EpochEnded => "recipes: session expired while waiting",
        Error::Removed { .. } => "recipes: place in line removed by somebody else",
        Error::DeadlineExceeded { .. } => "recipes: gave up waiting",
        Error::Client(zk_client::Error::Server {
            code: ErrorCode::NoAuth,
            ..
        }) => "recipes: permission withdrawn",
        _ => return,
    };
    stage.env().probe().reached(place);
}
