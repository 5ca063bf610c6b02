//! F9: recovery from a damaged transaction log.

#[path = "../harness/log.rs"]
mod log;

fn main() {
    bolero::check!().for_each(|input: &[u8]| log::check(input));
}
