//! F1: the frame splitter.

#[path = "../harness/frames.rs"]
mod frames;

fn main() {
    bolero::check!().for_each(|input: &[u8]| frames::check(input));
}
