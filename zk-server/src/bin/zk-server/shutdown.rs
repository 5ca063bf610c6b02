//! The signals that stop the server.

use std::io;

/// Handlers that are in place, so that no signal is missed from here on.
pub(crate) struct Shutdown {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

/// Puts the handlers in place.
#[cfg(unix)]
pub(crate) fn listen() -> io::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Shutdown {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    })
}

/// Where there are no signals the console's Ctrl-C stops the server.
#[cfg(not(unix))]
pub(crate) fn listen() -> io::Result<Shutdown> {
    Ok(Shutdown {})
}

impl Shutdown {
    /// Waits for the first one and names it.
    #[cfg(unix)]
    pub(crate) async fn requested(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for it.
    #[cfg(not(unix))]
    pub(crate) async fn requested(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a console nothing but the end of the process stops it.
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
