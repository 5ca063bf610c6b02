//! Readers never beside a writer.

use super::Held;
use crate::recipes_sim::roll::Right;

/// That whoever has a valid right to write has the only valid right.
pub(crate) fn no_reader_beside_a_writer(held: &[Held]) -> Result<(), String> {
    let writers = held.iter().filter(|held| held.right == Right::Write);
    if writers.count() == 0 || held.len() == 1 {
        return Ok(());
    }
    Err(format!("readers and writers: {held:?}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::held;
    use super::*;

    #[test]
    fn a_writer_is_alone() {
        let (reader, writer) = (held("a", Right::Share), held("b", Right::Write));
        assert_eq!(
            no_reader_beside_a_writer(&[reader.clone(), reader.clone()]),
            Ok(())
        );
        assert_eq!(
            no_reader_beside_a_writer(std::slice::from_ref(&writer)),
            Ok(())
        );
        assert!(no_reader_beside_a_writer(&[reader, writer.clone()]).is_err());
        assert!(no_reader_beside_a_writer(&[writer.clone(), writer]).is_err());
    }
}
