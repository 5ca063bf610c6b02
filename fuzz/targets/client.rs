//! F4: a client's connections.

#[path = "../harness/client/mod.rs"]
mod client;

fn main() {
    bolero::check!().for_each(|input: &[u8]| client::check(input));
}
