//! What servers of an ensemble say to one another.

mod server_id;

pub(crate) use server_id::ServerId;
