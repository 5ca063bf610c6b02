//! Which tests cannot do with servers that die.

/// Test and reason: those whose subject is a connection that must not be lost meanwhile, so
/// that on a loss they fail in other ways than by telling it.
pub const ASSUME_LIFE: &[(&str, &str)] = &[];
