//! Jute, ZooKeeper's serialisation: big-endian fields back to back, no tags, no
//! padding. Length −1 marks a null buffer, string or vector, distinct from empty.

mod encode;
mod error;
mod reader;
mod text;
#[macro_use]
mod record_macro;

pub use encode::Encode;
pub use error::{DecodeError, DecodeReason};
pub use reader::{Decode, Reader};
pub(crate) use record_macro::record;

#[cfg(test)]
mod tests;
