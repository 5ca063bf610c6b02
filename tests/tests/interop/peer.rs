//! A process that does what it is told with another library's recipes: see the programs in
//! `tests/interop`.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures run in real time on the test's own runtime"
)]

use std::collections::{BTreeMap, VecDeque};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use zk_tests::wait::within;

/// Whose recipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    Curator,
    Kazoo,
    Go,
}

impl Library {
    /// Names the program and its arguments, one a line.
    const fn variable(self) -> &'static str {
        match self {
            Self::Curator => "ZK_INTEROP_CURATOR",
            Self::Kazoo => "ZK_INTEROP_KAZOO",
            Self::Go => "ZK_INTEROP_GO",
        }
    }

    fn command(self) -> Command {
        let variable = self.variable();
        let words = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} names no peer: scripts/interop.sh run"));
        let mut words = words.lines();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words);
        command
    }
}

/// The process. Ends with this.
pub(crate) struct Peer {
    _process: Child,
    input: AsyncMutex<ChildStdin>,
    said: Arc<Said>,
}

/// What it has said and nobody has heard, by handle.
#[derive(Default)]
struct Said {
    lines: Mutex<BTreeMap<String, VecDeque<String>>>,
    more: Notify,
}

/// Something of the peer's that can hold one thing and do one thing at a time.
pub(crate) struct Handle<'p> {
    peer: &'p Peer,
    name: &'static str,
}

impl Peer {
    /// Starts it, and waits for its session.
    pub(crate) async fn start(library: Library, connect: &str) -> Self {
        let mut process = library
            .command()
            .arg(connect)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{library:?}: {error}"));
        let input = process.stdin.take().expect("it is piped");
        let output = process.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(output).lines();
        let ready = within("a peer's session", lines.next_line()).await;
        assert_eq!(ready.unwrap().as_deref(), Some("ready"), "{library:?}");
        let said = Arc::new(Said::default());
        tokio::spawn(listen(lines, Arc::clone(&said)));
        Self {
            _process: process,
            input: AsyncMutex::new(input),
            said,
        }
    }

    pub(crate) const fn handle(&self, name: &'static str) -> Handle<'_> {
        Handle { peer: self, name }
    }
}

async fn listen(mut lines: Lines<BufReader<ChildStdout>>, said: Arc<Said>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let (handle, words) = line.split_once(' ').unwrap_or((&line, ""));
        let mut lines = said.lock();
        let lines = lines.entry(handle.to_owned()).or_default();
        lines.push_back(words.to_owned());
        said.more.notify_waiters();
    }
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<String>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, handle: &str) -> Option<String> {
        self.lock().get_mut(handle)?.pop_front()
    }
}

impl Handle<'_> {
    /// Tells it what to do, and does not wait for it.
    pub(crate) async fn tell(&self, what: &str) {
        let line = format!("{} {what}\n", self.name);
        let mut input = self.peer.input.lock().await;
        input.write_all(line.as_bytes()).await.unwrap();
        input.flush().await.unwrap();
    }

    /// What it has answered, if it has.
    pub(crate) fn heard(&self) -> Option<String> {
        self.peer.said.next(self.name)
    }

    /// Waits until what it was told is done; the value.
    pub(crate) async fn done(&self) -> String {
        let answer = within("a peer's answer", async {
            loop {
                let mut more = std::pin::pin!(self.peer.said.more.notified());
                more.as_mut().enable();
                if let Some(answer) = self.heard() {
                    return answer;
                }
                more.await;
            }
        });
        let answer = answer.await;
        let value = answer.strip_prefix("ok");
        let value = value.unwrap_or_else(|| panic!("{}: {answer}", self.name));
        value.trim().to_owned()
    }

    /// Tells it what to do and waits until it is done; the value.
    pub(crate) async fn ask(&self, what: &str) -> String {
        self.tell(what).await;
        self.done().await
    }
}
