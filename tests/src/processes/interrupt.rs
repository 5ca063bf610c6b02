//! The end of a program that has processes to take along.

use std::io;

use super::Failure;

/// The outcome of `run`, or an error at the first signal that asks this program to end:
/// `run` is dropped then, and with it whatever it has started.
///
/// # Errors
///
/// Those of `run`, and the signal.
pub async fn until_interrupted<T>(
    run: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        outcome = run => outcome,
        signal = asked_to_end() => {
            signal?;
            Err("interrupted".into())
        }
    }
}

#[cfg(unix)]
async fn asked_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn asked_to_end() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
