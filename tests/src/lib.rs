//! Fixtures for the integration tests across the zk crates.
//!
//! A test starts a [`Target`]: the bundled server, or the ensemble that
//! `ZK_TEST_CONNECT` names. Between client and target it may put a [`Proxy`]
//! (bytes: cut, silence, delay) or a [`Tap`] (frames: seen, refused); a
//! [`FakeServer`] plays what no real server does. [`wait`] is the only place
//! that looks at a clock.

pub mod bundled_only;
pub mod certificates;
pub mod differential;
pub mod fake_server;
pub mod leader_kills;
pub mod load;
pub mod processes;
pub mod proxy;
pub mod raw;
pub mod raw_session;
pub mod recipes_sim;
pub mod tap;
pub mod target;
pub mod tls_front;
pub mod tree;
pub mod versions;
pub mod wait;
pub mod wire;

pub use fake_server::{DeadHost, FakeConnection, FakeServer, Request};
pub use proxy::{Cut, Direction, Proxy};
pub use raw_session::RawSession;
pub use tap::Tap;
pub use target::Target;
pub use versions::Feature;
pub use wire::Wire;
