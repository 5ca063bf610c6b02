//! A session's life: how it begins, is kept, ends and begins anew.

mod close;
mod connect;
mod expiry;
mod hosts;
mod logging;
mod names;
mod old_servers;
mod read_only;
