//! Why a request is refused.

use zk_proto::{DecodeError, ErrorCode};

/// The code in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) ErrorCode);

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self(code)
    }
}

impl From<DecodeError> for Refusal {
    fn from(_: DecodeError) -> Self {
        Self(ErrorCode::MarshallingError)
    }
}

/// Refuses with `code` unless `holds`.
pub(super) fn ensure(holds: bool, code: ErrorCode) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal(code)) }
}
