//! A bundled ZooKeeper server, in-process or as the `zk-server` binary.
//!
//! It speaks the client protocol of Apache ZooKeeper 3.9.5: whatever a client can
//! see of that server it should see of this one. It runs alone ([`Server`]) or as an
//! ensemble: [`Ensemble`] is several members in this process, [`QuorumPeer`] one, beside
//! others of either kind. It keeps everything in memory, and in files that Apache can read
//! if it has a data directory.
//!
//! ```
//! use zk_server::Server;
//!
//! # async fn example() -> Result<(), zk_server::ServerError> {
//! let server = Server::start().await?; // a free loopback port
//! let hosts = server.connect_string(); // for any ZooKeeper client
//! # assert!(hosts.starts_with("127.0.0.1:"));
//!
//! server.restart().await?; // same port, tree, sessions and zxid
//! server.drop_connections(); // clients reconnect with their sessions
//! server.stop().await;
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new()?.block_on(example())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Server`] has what tests of a ZooKeeper client's owner need: expiry on demand,
//! connections that are dropped, frozen or delayed, a server that pauses. [`Ensemble`] is
//! several of them in this process, which can be killed, frozen and cut off from one another.
//! [`ServerConfig`] holds what can be set, with Apache's limits and defaults, and
//! [`ZooCfg`] reads it from a `zoo.cfg`.
//!
//! # How it is built
//!
//! Sessions, pipeline, tree and watches are one pure machine without sockets, tasks
//! or clocks. Around it there is a task per connection, which reads frames, hands
//! them to the machine in batches under one short lock and writes what comes out,
//! and a ticker that lets time pass. Frames, what waits to be written and the number
//! of connections are bounded; a client that does not read is not read from.

mod admin;
mod auth;
pub mod config;
mod conn;
mod ensemble;
mod error;
mod four_letter;
#[doc(hidden)]
pub mod fuzzing;
mod net;
#[doc(hidden)]
pub mod observe;
mod pipeline;
#[cfg_attr(
    not(test),
    allow(
        dead_code,
        unused_imports,
        reason = "tests see more of the machines than the server needs"
    )
)]
mod quorum;
mod quorum_peer;
mod server;
mod session;

mod stats;
mod storage;
mod tls;
mod tree;
mod txn;
mod zookeeper_server;

pub use config::{
    ClientAuth, EnsembleConfig, FourLetterWords, ServerConfig, ServerConfigBuilder, TlsConfig,
    ZooCfg,
};
pub use ensemble::{Cut, Ensemble, EnsembleBuilder, Transport};
pub use error::{ConfigError, ServerError};
#[doc(hidden)]
pub use four_letter::four_letter_word;
pub use quorum_peer::{PeerState, PeerStatus, QuorumPeer, QuorumPeerBuilder};
pub use server::{Counters, Server, ServerBuilder};
pub use storage::StorageError;
