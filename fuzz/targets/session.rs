//! F4 without a network: the session machine alone, thousands of inputs a second.

fn main() {
    bolero::check!().for_each(|input: &[u8]| zk_client::fuzzing::client_bytes(input));
}
