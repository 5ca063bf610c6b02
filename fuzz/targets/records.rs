//! F2: every record.

#[macro_use]
#[path = "../../zk-proto/tests/every_record/mod.rs"]
mod every_record;
#[path = "../harness/records.rs"]
mod records;

fn main() {
    bolero::check!().for_each(|input: &[u8]| records::check(input));
}
