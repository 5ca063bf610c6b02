//! Four-letter words: what a server says of itself to anybody who asks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_env::{BoxStream, Env};
use zk_proto::HostPort;

use super::Driver;
use crate::config::{Connector, Resolver};

/// How long one question may take, name lookup included.
const TIMEOUT: Duration = Duration::from_secs(1);
/// No answer that is looked at is longer.
const MAX_ANSWER: u64 = 4096;

/// How to reach servers without a session.
#[derive(Clone)]
pub(super) struct FourLetterWords {
    pub(super) env: Arc<dyn Env>,
    connector: Arc<dyn Connector>,
    resolver: Arc<dyn Resolver>,
}

impl FourLetterWords {
    pub(super) fn of(driver: &Driver) -> Self {
        Self {
            env: Arc::clone(&driver.shared.env),
            connector: Arc::clone(&driver.connector),
            resolver: Arc::clone(&driver.resolver),
        }
    }

    /// The answer of the first address of `host` that accepts a connection.
    pub(super) async fn ask_any(&self, host: &HostPort, word: &str) -> io::Result<String> {
        self.within_timeout(async {
            let mut last = io::ErrorKind::NotFound.into();
            for address in self.resolver.resolve(&host.host, host.port).await? {
                match self.connector.connect_to(&host.host, address).await {
                    Ok(stream) => return converse(stream, word).await,
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
        .await
    }

    /// The answers of every address of `host`, or of none.
    pub(super) async fn ask_all(&self, host: &HostPort, word: &str) -> io::Result<Vec<String>> {
        let lookup = self.resolver.resolve(&host.host, host.port);
        let mut answers = Vec::new();
        for address in self.within_timeout(lookup).await? {
            answers.push(self.within_timeout(self.ask(host, address, word)).await?);
        }
        Ok(answers)
    }

    async fn ask(&self, host: &HostPort, address: SocketAddr, word: &str) -> io::Result<String> {
        let connecting = self.connector.connect_to(&host.host, address);
        converse(connecting.await?, word).await
    }

    async fn within_timeout<T>(
        &self,
        asking: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let mut timer = self.env.timer();
        timer.reset(self.env.now() + TIMEOUT);
        let mut asking = std::pin::pin!(asking);
        std::future::poll_fn(|cx| match asking.as_mut().poll(cx) {
            std::task::Poll::Pending => timer
                .poll_expired(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready => ready,
        })
        .await
    }
}

/// The server closes behind its answer, in whatever manner.
async fn converse(mut stream: BoxStream, word: &str) -> io::Result<String> {
    stream.write_all(word.as_bytes()).await?;
    let mut answer = Vec::new();
    let end = stream.take(MAX_ANSWER).read_to_end(&mut answer).await;
    if answer.is_empty() {
        end?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
