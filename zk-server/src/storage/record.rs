//! Records of a transaction log, pure: bytes in, verdicts out.
//!
//! `i64` checksum, `i32` length, payload, `B`. The checksum is the Adler-32 of the
//! payload alone. What follows the last record is zeros, to the end of what was
//! preallocated.

use bytes::{BufMut, BytesMut};

/// `ZKLG`, version 2, database 0.
pub(crate) const FILE_HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
pub(super) const MAGIC: &[u8; 4] = b"ZKLG";

/// Checksum and length.
pub(super) const RECORD_HEADER_LEN: usize = 8 + 4;
/// What every record ends with.
pub(super) const END_OF_RECORD: u8 = b'B';
/// A transaction's header, without which no record is one.
pub(super) const MIN_PAYLOAD_LEN: usize = 32;
/// No transaction is longer: a frame's limit is below this, and a multi's records add a
/// little to what came in a frame.
pub(super) const MAX_PAYLOAD_LEN: usize = 256 << 20;

/// Appends a record with this payload.
pub(crate) fn encode_record(payload: &[u8], out: &mut BytesMut) {
    out.reserve(RECORD_HEADER_LEN + payload.len() + 1);
    out.put_i64(adler2::adler32_slice(payload).into());
    // Bounded by the frame it came in.
    out.put_i32(i32::try_from(payload.len()).unwrap_or(i32::MAX));
    out.put_slice(payload);
    out.put_u8(END_OF_RECORD);
}

/// What a record says of itself before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) checksum: u64,
    len: i32,
}

impl RecordHeader {
    pub(super) fn parse(bytes: [u8; RECORD_HEADER_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, len @ ..] = bytes;
        Self {
            checksum: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            len: i32::from_be_bytes(len),
        }
    }

    /// Nothing was written here.
    pub(super) fn is_padding(self) -> bool {
        self.checksum == 0 && self.len == 0
    }

    /// The payload's length, if this can be a record at all.
    pub(super) fn payload_len(self) -> Option<usize> {
        let len = usize::try_from(self.len).ok()?;
        let is_plausible = (MIN_PAYLOAD_LEN..=MAX_PAYLOAD_LEN).contains(&len);
        (is_plausible && self.checksum <= u32::MAX.into()).then_some(len)
    }

    /// Whether payload and last byte are what was written.
    pub(super) fn fits(self, payload: &[u8], last: u8) -> bool {
        last == END_OF_RECORD && u64::from(adler2::adler32_slice(payload)) == self.checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_those_of_apache() {
        let payload = [
            0x01, 0x00, 0x00, 0x19, 0x05, 0x85, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0,
            0, 0x01, 0xa1, 0xfb, 0xd7, 0x35, 0xc1, 0xff, 0xff, 0xff, 0xf6, 0, 0, 0x4e, 0x20, 0, 0,
            0, 2, 0, 0, 0, 0, 0x51, 0xc6, 0xd6, 0x60,
        ];
        let mut record = BytesMut::new();
        encode_record(&payload, &mut record);
        assert_eq!(
            record[..12],
            [0, 0, 0, 0, 0xbf, 0xfa, 0x0a, 0xc1, 0, 0, 0, 0x30]
        );
        let (header, rest) = record.split_first_chunk().expect("a header");
        let header = RecordHeader::parse(*header);
        assert_eq!(header.payload_len(), Some(payload.len()));
        assert!(header.fits(&payload, rest[payload.len()]));
    }
}
