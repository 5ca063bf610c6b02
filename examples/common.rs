//! What the examples share: a server to talk to, and a line to it that can be cut.

mod line;

use zk_client::{EventType, Watcher};
use zk_server::Server;

pub use line::Line;

/// The README's code is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The ensemble that `ZK_CONNECT` names, or a server of our own.
#[derive(Debug)]
pub struct Target {
    /// Where to connect.
    pub connect_string: String,
    /// Our own server; it lives as long as this value.
    pub server: Option<Server>,
}

impl Target {
    /// Starts a server unless `ZK_CONNECT` is set.
    ///
    /// # Errors
    ///
    /// The server cannot listen.
    pub async fn start() -> Result<Self, Box<dyn std::error::Error>> {
        if let Ok(connect_string) = std::env::var("ZK_CONNECT") {
            println!("using the ensemble at {connect_string}");
            return Ok(Self {
                connect_string,
                server: None,
            });
        }
        let server = Server::start().await?;
        println!(
            "started a server in this process, at {}",
            server.connect_string()
        );
        Ok(Self {
            connect_string: server.connect_string(),
            server: Some(server),
        })
    }
}

/// The next event, in words.
///
/// # Errors
///
/// The watcher's clients have ended.
pub async fn heard(watcher: &Watcher) -> Result<String, &'static str> {
    let event = watcher.next().await.ok_or("the client has ended")?;
    Ok(match event.event_type {
        EventType::None => format!("none on {} any more: session {:?}", event.path, event.state),
        happened => format!("{happened:?} {}", event.path),
    })
}
