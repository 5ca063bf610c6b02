//! Packets of the quorum port.

fn main() {
    bolero::check!().for_each(|input: &[u8]| zk_server::fuzzing::packet_bytes(input));
}
