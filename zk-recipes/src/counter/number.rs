//! Numbers as bytes.

use bytes::Bytes;

use crate::error::Error;

/// How a number is kept in a znode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NumberFormat {
    /// Eight bytes, big-endian: Curator's `DistributedAtomicLong`.
    #[default]
    Long,
    /// Four bytes, big-endian: Curator's `DistributedAtomicInteger` and `SharedCount`, and kazoo's
    /// `Counter` with `support_curator`.
    Int,
    /// Decimal text: kazoo's `Counter` with an integer default. What it writes with a
    /// default that is no integer (`2.5`) cannot be read.
    Text,
}

impl NumberFormat {
    /// The number as bytes.
    pub(super) fn encode(self, number: i64) -> Result<Bytes, Error> {
        Ok(match self {
            Self::Long => Bytes::copy_from_slice(&number.to_be_bytes()),
            Self::Int => {
                let too_large = || Error::invalid("value", format!("{number} needs 8 bytes"));
                let number = i32::try_from(number).map_err(|_| too_large())?;
                Bytes::copy_from_slice(&number.to_be_bytes())
            }
            Self::Text => number.to_string().into(),
        })
    }

    /// The number that bytes say; `None` if there are none, which says nothing.
    pub(super) fn decode(self, path: &str, data: &[u8]) -> Result<Option<i64>, Error> {
        if data.is_empty() {
            return Ok(None);
        }
        let number = match self {
            Self::Long => data.try_into().ok().map(i64::from_be_bytes),
            Self::Int => {
                let bytes = data.try_into().ok();
                bytes.map(|bytes| i64::from(i32::from_be_bytes(bytes)))
            }
            Self::Text => {
                let text = std::str::from_utf8(data).ok();
                text.and_then(|text| text.parse().ok())
            }
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Error::BadDocument {
                path: path.into(),
                reason: format!("{} bytes that are no number as {self:?}", data.len()).into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_look_as_the_others_write_them() {
        let bytes = |format: NumberFormat, number| format.encode(number).unwrap().to_vec();
        assert_eq!(bytes(NumberFormat::Long, 258), [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(bytes(NumberFormat::Int, -2), [255, 255, 255, 254]);
        assert_eq!(bytes(NumberFormat::Text, -25), b"-25");
    }

    #[test]
    fn what_is_no_number_is_told_without_its_bytes() {
        for (format, data) in [
            (NumberFormat::Long, &b"1234"[..]),
            (NumberFormat::Int, b"12345678"),
            (NumberFormat::Text, b"2.5"),
            (NumberFormat::Text, b"\xff"),
        ] {
            let error = format.decode("/c", data).unwrap_err();
            assert!(matches!(&error, Error::BadDocument { path, .. } if &**path == "/c"));
        }
        assert_eq!(NumberFormat::Long.decode("/c", b""), Ok(None));
        assert!(NumberFormat::Int.encode(1 << 31).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: i64, small: i32) {
            for format in [NumberFormat::Long, NumberFormat::Text] {
                let data = format.encode(number).unwrap();
                prop_assert_eq!(format.decode("/c", &data), Ok(Some(number)));
            }
            let small = i64::from(small);
            let data = NumberFormat::Int.encode(small).unwrap();
            prop_assert_eq!(NumberFormat::Int.decode("/c", &data), Ok(Some(small)));
        }
    }
}
