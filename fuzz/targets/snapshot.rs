//! F10: a snapshot's file.

fn main() {
    bolero::check!().for_each(|input: &[u8]| zk_server::fuzzing::snapshot_bytes(input));
}
