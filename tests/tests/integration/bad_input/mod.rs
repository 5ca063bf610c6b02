//! Input that nobody should send: typed errors or a reconnect, never a panic, a
//! hang or unbounded memory.

mod caller;
mod hostile_client;
mod server_answers;
mod server_handshakes;
