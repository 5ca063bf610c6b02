//! Ensembles of real processes, Apache's and ours side by side, that are killed as a crash
//! kills and started again.
//!
//! [`Processes`] is the ensemble, [`Kind`] what a peer runs, [`words`] asks a server how it
//! is, [`traces`] reads what the logs tell: who synchronised whom, and how.

mod configuration;
mod ensemble;
mod interrupt;
mod kind;
mod process;
mod programs;
pub mod traces;
pub mod words;

pub use ensemble::Processes;
pub use interrupt::until_interrupted;
pub use kind::Kind;
pub use words::Mode;

/// Why there is no ensemble, or not one that does what it should.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
