//! What the benchmarks share.
//!
//! A client is measured against another process, so that its figures hold nobody
//! else's work: [`Responder`] answers with bytes prepared beforehand and shows
//! the client alone, the bundled server shows both. The comparison with other
//! clients is `benches/peers`, a workspace of its own; `benches/README.md` says
//! which question each figure answers.

mod backend;
mod cpu;
mod responder;
mod serve;

pub use backend::{Backend, BackendError, answer_questions};
pub use cpu::process_cpu;
pub use responder::{Answered, Refused, Responder};
pub use serve::{accept_forever, serve_one};

/// Bytes of data in the znode that every benchmark reads.
pub const DATA_LEN: usize = 100;

/// The znode that every benchmark reads.
pub const PATH: &str = "/bench";
