//! What comes before a connection is served: a handshake of TLS, within its deadline.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use zk_env::{BoxFuture, BoxStream, Mono, Timer};

use super::cnxn::{Admitted, CnxnTask};
use super::outbox::Outbox;
use super::shell::Shell;
use crate::tls::{Accepted, ClientTls};

/// The type of a TLS record that begins a handshake. A request begins with the high byte
/// of its length, which is less, and four-letter words with a letter.
const HANDSHAKE_RECORD: u8 = 0x16;
/// With the version that follows it, the first byte of which never changed.
pub(super) const HANDSHAKE_OF_TLS: [u8; 2] = [HANDSHAKE_RECORD, 3];

/// What a client is told that begins one where there is none: a fatal alert,
/// `handshake_failure`.
pub(super) const HANDSHAKE_FAILURE: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

/// How often a refused handshake is logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Whom to meet how.
#[derive(Clone, Debug)]
pub(super) enum Meeting {
    /// Plain text.
    Plain,
    /// TLS.
    Secure(ClientTls),
    /// Whatever the client begins with.
    Either(ClientTls),
}

impl Meeting {
    /// Meets a client and serves it to its end.
    pub(super) async fn run(
        self,
        shell: Arc<Shell>,
        admitted: Admitted,
        peer: SocketAddr,
        stream: BoxStream,
    ) {
        let (tls, is_secure) = match self {
            Self::Plain => return CnxnTask::new(shell, admitted, peer, stream).run().await,
            Self::Secure(tls) => (tls, true),
            Self::Either(tls) => (tls, false),
        };
        let handshake = Handshake::new(&shell, &admitted, tls, is_secure, stream);
        match handshake.run().await {
            Met::Accepted(Accepted { stream, subject }) => {
                if let Some(subject) = subject {
                    shell.certified(admitted.id(), &subject);
                }
                CnxnTask::new(shell, admitted, peer, stream).run().await;
            }
            Met::Refused(reason) => shell.handshake_refused(peer, &reason),
            Met::Ended => {}
        }
    }
}

/// What became of a handshake.
enum Met {
    Accepted(Accepted),
    Refused(String),
    /// The server has closed the connection meanwhile.
    Ended,
}

/// One that is under way, and counted as such.
struct Handshake {
    shell: Arc<Shell>,
    outbox: Arc<Outbox>,
    /// Boxed: it is far larger than what is left of a connection after it.
    meeting: BoxFuture<Result<Accepted, String>>,
    timer: Box<dyn Timer>,
    timeout: Duration,
}

impl Handshake {
    fn new(
        shell: &Arc<Shell>,
        admitted: &Admitted,
        tls: ClientTls,
        is_secure: bool,
        stream: BoxStream,
    ) -> Self {
        let timeout = tls.handshake_timeout();
        let mut timer = shell.env.timer();
        timer.reset(shell.env.now() + timeout);
        shell.lock().outstanding_handshakes += 1;
        Self {
            shell: Arc::clone(shell),
            outbox: admitted.outbox(),
            meeting: Box::pin(async move { meet(&tls, stream, is_secure).await }),
            timer,
            timeout,
        }
    }

    async fn run(mut self) -> Met {
        std::future::poll_fn(|cx| self.poll_run(cx)).await
    }

    /// While the server is frozen or paused nothing is done, as on any connection.
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Met> {
        loop {
            if self.outbox.end().is_some() {
                return Poll::Ready(Met::Ended);
            }
            let is_held = self.shell.is_held();
            if !is_held && let Poll::Ready(met) = self.poll_meeting(cx) {
                return Poll::Ready(met);
            }
            if self.outbox.sleep(cx.waker(), None, false) && is_held == self.shell.is_held() {
                return Poll::Pending;
            }
        }
    }

    fn poll_meeting(&mut self, cx: &mut Context<'_>) -> Poll<Met> {
        if let Poll::Ready(met) = self.meeting.as_mut().poll(cx) {
            return Poll::Ready(met.map_or_else(Met::Refused, Met::Accepted));
        }
        ready!(self.timer.poll_expired(cx));
        let timeout = self.timeout;
        let reason =
            format!("not done after {timeout:?}: the client is slow or does not speak TLS");
        Poll::Ready(Met::Refused(reason))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.shell.lock().outstanding_handshakes -= 1;
    }
}

/// The handshake, unless the client begins otherwise where it may.
async fn meet(tls: &ClientTls, stream: BoxStream, is_secure: bool) -> Result<Accepted, String> {
    if is_secure {
        return tls.accept(stream).await;
    }
    let mut stream = stream;
    let mut first = [0];
    let read = stream.read(&mut first).await;
    let is_there = read.map_err(|error| error.to_string())? > 0;
    let begun: BoxStream = Box::new(Begun {
        first: is_there.then_some(first[0]),
        stream,
    });
    if is_there && first[0] == HANDSHAKE_RECORD {
        return tls.accept(begun).await;
    }
    Ok(Accepted {
        stream: begun,
        subject: None,
    })
}

/// A stream of which the first byte has been looked at.
struct Begun {
    first: Option<u8>,
    stream: BoxStream,
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Says once in a while why handshakes fail, and of how many it said nothing.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    next: Mono,
    untold: u64,
}

impl RefusalLog {
    /// How many went untold since the last, if this one is to be told.
    pub(super) fn tell(&mut self, now: Mono) -> Option<u64> {
        if now < self.next {
            self.untold += 1;
            return None;
        }
        self.next = now + LOG_INTERVAL;
        Some(std::mem::take(&mut self.untold))
    }
}
