//! Znodes: creating, reading, changing, deleting.

mod basics;
mod compound;
mod modes;
