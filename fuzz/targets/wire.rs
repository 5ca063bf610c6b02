//! F10: a snapshot on the wire.

fn main() {
    bolero::check!().for_each(|input: &[u8]| zk_server::fuzzing::wire_bytes(input));
}
