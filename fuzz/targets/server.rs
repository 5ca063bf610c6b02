//! F3: connections to a standalone server.

#[path = "../harness/server/mod.rs"]
mod server;

fn main() {
    bolero::check!().for_each(|input: &[u8]| server::check(input));
}
