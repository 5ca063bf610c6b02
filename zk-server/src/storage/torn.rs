//! Whether a record that cannot be read was never written as a whole, or was and has changed
//! since. Pure.
//!
//! The first is what a loss of power leaves, and nothing was acknowledged of it; the second is
//! damage to what may have been, and stops a server. What cannot be told apart: a record with
//! a sector of zeros of its own in which several bits have flipped, or which is 64 KiB long
//! or longer, passes for torn.

use super::record::{END_OF_RECORD, MIN_PAYLOAD_LEN, RECORD_HEADER_LEN, RecordHeader};

/// What a drive writes in one piece.
const SECTOR: u64 = 512;

/// Whether the record that `bytes` holds, which begins at `offset` of its file and cannot
/// be read, was never written as a whole. A drive writes whole sectors, and before it
/// does what was preallocated is zero. So of a record that was torn by a loss of power
/// some sector is all zeros; one that is there in all its sectors was written, and has
/// changed since.
///
/// The first half of the checksum is always zero and proves nothing.
pub(super) fn is_torn(bytes: &[u8], offset: u64) -> bool {
    const ALWAYS_ZERO: u64 = 4;
    let header = bytes.get(RECORD_HEADER_LEN..RECORD_HEADER_LEN + MIN_PAYLOAD_LEN);
    if header.is_none_or(|header| header.iter().all(|byte| *byte == 0)) {
        // No transaction has neither zxid nor time.
        return true;
    }
    let end = offset + bytes.len() as u64;
    let mut from = offset + ALWAYS_ZERO;
    while from < end {
        let to = (from - from % SECTOR + SECTOR).min(end);
        let part = &bytes[(from - offset) as usize..(to - offset) as usize];
        if part.iter().all(|byte| *byte == 0) {
            return true;
        }
        from = to;
    }
    false
}

/// Whether the record that `bytes` holds, which begins at `offset` of its file and cannot be
/// read, is one flipped bit away from a record. Then it was written, and is not torn, even if
/// a sector of it is all zeros: a znode's data may be.
///
/// A sum that is wrong because a sector is missing looks like this once in a million times.
/// In a record longer than the checksum's modulus a bit has too many places where it could
/// have flipped, and nothing is concluded.
pub(super) fn is_one_bit_off(bytes: &[u8], offset: u64) -> bool {
    let Some((header, rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let Some((last, payload)) = rest.split_last() else {
        return false;
    };
    let stored = RecordHeader::parse(*header).checksum;
    let actual = u64::from(adler2::adler32_slice(payload));
    if payload.len() < MIN_PAYLOAD_LEN {
        return false;
    }
    if stored == actual {
        // The length, or the last byte, which zero would be missing from.
        return *last != 0;
    }
    if *last != END_OF_RECORD {
        return false;
    }
    if (stored ^ actual).count_ones() == 1 {
        return true;
    }
    flipped_bit(payload, stored, actual).is_some_and(|at| {
        let from = RECORD_HEADER_LEN + at;
        // What is missing may have had one bit, too.
        !sector_part(bytes, offset, from)
            .iter()
            .all(|byte| *byte == 0)
    })
}

/// The byte of `payload`, which sums up to `actual`, with one bit that has to be another for
/// `stored`.
fn flipped_bit(payload: &[u8], stored: u64, actual: u64) -> Option<usize> {
    const MODULUS: u64 = 65521;
    if payload.len() as u64 >= MODULUS {
        return None;
    }
    let difference = |shift: u32| {
        let half = |sum: u64| (sum >> shift & 0xffff) % MODULUS;
        (half(stored) + MODULUS - half(actual)) % MODULUS
    };
    // A byte counts once in the lower half, and in the upper one as often as there are bytes
    // from it to the end.
    let (once, by_place) = (difference(0), difference(16));
    let bit = (0..8).find(|bit| once == 1 << bit || once == MODULUS - (1 << bit))?;
    let from_end = by_place * inverse(once, MODULUS) % MODULUS;
    let at = payload.len().checked_sub(usize::try_from(from_end).ok()?)?;
    let was_set = once != 1 << bit;
    let is_set = *payload.get(at)? >> bit & 1 == 1;
    (was_set == is_set).then_some(at)
}

/// The number that makes 1 of `number`, modulo a prime.
fn inverse(number: u64, prime: u64) -> u64 {
    let (mut result, mut square, mut exponent) = (1, number, prime - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % prime;
        }
        square = square * square % prime;
        exponent >>= 1;
    }
    result
}

/// As much of the sector that has byte `at` of `bytes` as lies in `bytes`.
fn sector_part(bytes: &[u8], offset: u64, at: usize) -> &[u8] {
    let before = ((offset + at as u64) % SECTOR) as usize;
    let end = at - before.min(at) + SECTOR as usize - before.saturating_sub(at);
    &bytes[at.saturating_sub(before)..end.min(bytes.len())]
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::record::encode_record;
    use super::*;

    #[test]
    fn every_flipped_bit_is_told_from_a_missing_sector() {
        let mut payload = [7; 1400];
        payload[200..1300].fill(0);
        let mut record = BytesMut::new();
        encode_record(&payload, &mut record);
        for offset in [16, 100, 511, 512, 1000] {
            assert!(is_torn(&record, offset), "it has zeros enough");
            for at in 0..record.len() {
                for bit in 0..8 {
                    let mut rotten = record.clone();
                    rotten[at] ^= 1 << bit;
                    assert!(is_one_bit_off(&rotten, offset), "{at} {bit}");
                }
            }
            let end = offset + record.len() as u64;
            for sector in offset / SECTOR..=(end - 1) / SECTOR {
                let mut torn = record.clone();
                let from = (sector * SECTOR).max(offset) - offset;
                let to = ((sector + 1) * SECTOR).min(end) - offset;
                torn[from as usize..to as usize].fill(0);
                if torn != record {
                    assert!(!is_one_bit_off(&torn, offset), "{sector} at {offset}");
                }
            }
        }
    }

    /// A sector may have no more of a record than one bit.
    #[test]
    fn a_bit_that_is_missing_with_its_sector_is_torn() {
        let mut payload = [7; 1400];
        payload[200..1300].fill(0);
        payload[700] = 16;
        let mut record = BytesMut::new();
        encode_record(&payload, &mut record);
        record[RECORD_HEADER_LEN + 700] = 0;
        assert!(!is_one_bit_off(&record, 0));
        // Another sector has the bit, and more.
        record[RECORD_HEADER_LEN + 700] = 16;
        record[RECORD_HEADER_LEN + 3] = 6;
        assert!(is_one_bit_off(&record, 0));
    }

    #[test]
    fn a_record_is_torn_if_a_sector_of_it_is_missing() {
        let record = [7; 1200];
        assert!(!is_torn(&record, 100));
        for (from, to) in [(0, 412), (412, 924), (924, 1200)] {
            let mut torn = record;
            torn[from..to].fill(0);
            assert!(is_torn(&torn, 100), "{from}..{to}");
        }
        let mut rotten = record;
        rotten[3] = 0;
        rotten[411..923].fill(0);
        assert!(!is_torn(&rotten, 100));
    }
}
