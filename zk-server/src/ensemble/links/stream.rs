//! The end of a connection between peers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zk_env::{Env, Timer};

use super::link::Link;
use super::pipe::Pipe;

/// One end. Dropping it closes both directions, as far as the links let the other end
/// know of it.
pub(super) struct LinkStream {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    env: Arc<dyn Env>,
    /// Made when something first arrives late.
    timer: Option<Box<dyn Timer>>,
}

/// Both ends of a new connection: that of the peer who sends over `there`, then that of the
/// one who sends over `back`.
pub(super) fn pair(
    there: &Arc<Link>,
    back: &Arc<Link>,
    env: &Arc<dyn Env>,
) -> (LinkStream, LinkStream) {
    let (there, back) = (there.new_pipe(), back.new_pipe());
    let end = |incoming: &Arc<Pipe>, outgoing: &Arc<Pipe>| LinkStream {
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
        env: Arc::clone(env),
        timer: None,
    };
    (end(&back, &there), end(&there, &back))
}

impl AsyncRead for LinkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            incoming,
            env,
            timer,
            ..
        } = &mut *self;
        incoming.poll_read(cx, room, &**env, timer)
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outgoing.poll_write(cx, bytes, &*self.env)
    }

    /// Written is sent; there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.end(&*self.env);
        Poll::Ready(Ok(()))
    }
}

impl Drop for LinkStream {
    fn drop(&mut self) {
        self.outgoing.end(&*self.env);
        self.incoming.abandon();
    }
}
