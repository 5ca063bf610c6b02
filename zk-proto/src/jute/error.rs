//! Why bytes are not the record they should be.

use thiserror::Error;

/// Bytes that are not the record they were taken for: which record, which field, why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot decode {record}.{field}: {reason}")]
pub struct DecodeError {
    /// The innermost record, in its jute name.
    pub record: &'static str,
    /// The field that failed.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: DecodeReason,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// The input ends inside the field.
    #[error("{needed} bytes needed, {left} left")]
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A negative length other than −1, which stands for null.
    #[error("negative length {0}")]
    NegativeLength(i32),
    /// Null where the protocol wants a value.
    #[error("null where a value is required")]
    Null,
    /// Text that is not UTF-8, in a place where that cannot be papered over.
    #[error("not utf-8")]
    NotUtf8,
    /// A number outside its enumeration.
    #[error("unknown value {0}")]
    UnknownValue(i64),
}

impl DecodeError {
    pub(crate) const fn new(reason: DecodeReason) -> Self {
        Self {
            record: "",
            field: "",
            reason,
        }
    }

    /// Names the place, unless an inner record has done so already.
    #[must_use]
    pub fn within(mut self, record: &'static str, field: &'static str) -> Self {
        if self.record.is_empty() {
            self.record = record;
            self.field = field;
        }
        self
    }
}
