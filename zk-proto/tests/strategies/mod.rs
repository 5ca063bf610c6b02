//! Any value of any record: the one place that says what a record may hold.
//! Nulls, empty values, extreme numbers and text beyond ASCII are all in.

mod data;
mod records;

pub(crate) use records::*;
