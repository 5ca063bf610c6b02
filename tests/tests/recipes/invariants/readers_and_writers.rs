//! A writer is alone.

use zk_recipes::Ownership;

use super::is_held;

/// That whoever holds a valid right to write holds the only valid right.
pub(crate) fn no_reader_beside_a_writer(readers: &[Ownership], writers: &[Ownership]) {
    let valid = |guards: &[Ownership]| guards.iter().filter(|guard| is_held(guard)).count();
    let (reading, writing) = (valid(readers), valid(writers));
    assert!(
        writing == 0 || (writing, reading) == (1, 0),
        "{writing} write and {reading} read: {writers:?} {readers:?}"
    );
}
