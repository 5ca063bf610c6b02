//! From a stream of bytes to packets. They stand back to back, without a length.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use zk_proto::data::AclId;
use zk_proto::{Decode, DecodeError, Reader, Zxid};

use super::{PacketType, QuorumPacket};

/// Identities that one request may carry. A client has a handful.
const MAX_IDS: usize = 1024;

/// Bytes that are no packet. The stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum PacketError {
    /// A length that no sane peer sends.
    #[error("{field} of length {length} in a quorum packet, allowed is 0 to {limit}")]
    Length {
        /// Which part of the packet.
        field: &'static str,
        /// What it says.
        length: i32,
        /// The largest that is accepted.
        limit: usize,
    },
    /// Anything else.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Splits a stream into packets, however it was chunked.
///
/// Behind a [`Snap`](PacketType::Snap) packet the stream goes on with a snapshot, which
/// is not made of packets: what of it has been read already is left in the input, for
/// whoever reads the snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacketDecoder {
    limit: usize,
}

/// How far a packet reaches, as far as its bytes are there.
struct Extent<'a> {
    bytes: &'a [u8],
    limit: usize,
}

impl Extent<'_> {
    fn skip(&mut self, len: usize) -> Option<()> {
        self.bytes = self.bytes.get(len..)?;
        Some(())
    }

    /// A length word: `Some(None)` for null, `None` if it is not there yet.
    fn length(&mut self, field: &'static str, limit: usize) -> Length {
        let Some(word) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*word);
        self.bytes = &self.bytes[4..];
        match usize::try_from(length) {
            _ if length == -1 => Ok(Some(0)),
            Ok(len) if len <= limit => Ok(Some(len)),
            _ => Err(PacketError::Length {
                field,
                length,
                limit,
            }),
        }
    }

    fn skip_counted(&mut self, field: &'static str) -> Result<Option<()>, PacketError> {
        let len = self.length(field, self.limit)?;
        Ok(len.and_then(|len| self.skip(len)))
    }

    /// Moves behind the packet; `None` if it is not all there.
    fn skip_packet(&mut self) -> Result<Option<()>, PacketError> {
        if self.skip(4 + 8).is_none() || self.skip_counted("data")?.is_none() {
            return Ok(None);
        }
        let Some(ids) = self.length("authinfo", MAX_IDS)? else {
            return Ok(None);
        };
        for _ in 0..ids {
            for field in ["scheme", "id"] {
                if self.skip_counted(field)?.is_none() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    }
}

type Length = Result<Option<usize>, PacketError>;

impl PacketDecoder {
    /// As much as Apache reads: `jute.maxbuffer` and the same again.
    pub(crate) const DEFAULT_LIMIT: usize = 2 * zk_proto::DEFAULT_FRAME_LIMIT;

    /// Accepts data and strings of up to `limit` bytes each.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Takes the next whole packet off the front of `input`; `None` when more bytes are
    /// needed. Its data shares `input`'s memory, and nothing is reserved for what has
    /// only been announced.
    ///
    /// # Errors
    ///
    /// What is no packet; `input` is left as it was.
    pub(crate) fn decode(&self, input: &mut BytesMut) -> Result<Option<QuorumPacket>, PacketError> {
        let mut extent = Extent {
            bytes: input,
            limit: self.limit,
        };
        if extent.skip_packet()?.is_none() {
            return Ok(None);
        }
        let len = input.len() - extent.bytes.len();
        let mut packet = input.split_to(len);
        // Numbers are read by hand, the rest by the codec that all records have.
        let packet_type = PacketType::from_number(packet.get_i32());
        let zxid = Zxid(packet.get_i64());
        let rest = packet.freeze();
        let mut reader = Reader::new(&rest);
        let within = |field| move |error: DecodeError| error.within("QuorumPacket", field);
        let data = Option::<Bytes>::decode(&mut reader).map_err(within("data"))?;
        let authinfo = Option::<Vec<AclId>>::decode(&mut reader).map_err(within("authinfo"))?;
        Ok(Some(QuorumPacket {
            packet_type,
            zxid,
            data,
            authinfo,
        }))
    }
}

impl Default for PacketDecoder {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use proptest::prelude::*;
    use zk_proto::Encode;

    use super::*;

    /// Taken from the quorum port of Apache 3.9.5 as a follower came back, in order:
    /// hexadecimal, type, zxid, data.
    const CAPTURED: [(&str, PacketType, i64, Option<&[u8]>); 9] = {
        use PacketType::*;
        [
            (
                "0000000b00000001000000000000001400000000000000010001000000000000000000\
                 00ffffffff",
                FollowerInfo,
                1 << 32,
                Some(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (
                "0000001100000001000000000000000400010000ffffffff",
                LeaderInfo,
                1 << 32,
                Some(&[0, 1, 0, 0]),
            ),
            (
                "00000012000000010000000700000004ffffffffffffffff",
                AckEpoch,
                0x1_0000_0007,
                Some(&[255, 255, 255, 255]),
            ),
            (
                "0000000d0000000100000007ffffffffffffffff",
                Diff,
                0x1_0000_0007,
                None,
            ),
            (
                "000000030000000100000000ffffffffffffffff",
                Ack,
                1 << 32,
                None,
            ),
            (
                "0000000cffffffffffffffffffffffffffffffff",
                UpToDate,
                -1,
                None,
            ),
            (
                "000000030000000100000000ffffffffffffffff",
                Ack,
                1 << 32,
                None,
            ),
            (
                "000000050000000100000007ffffffffffffffff",
                Ping,
                0x1_0000_0007,
                None,
            ),
            (
                "00000005000000010000000700000000ffffffff",
                Ping,
                0x1_0000_0007,
                Some(&[]),
            ),
        ]
    };

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn packets_are_apaches_byte_for_byte() {
        for (hex, packet_type, zxid, data) in CAPTURED {
            let bytes = unhex(hex);
            let packet = QuorumPacket {
                data: data.map(Bytes::from_static),
                ..QuorumPacket::bare(packet_type, Zxid(zxid))
            };
            let mut encoded = BytesMut::new();
            packet.encode(&mut encoded);
            assert_eq!(encoded[..], bytes[..], "{packet_type:?}");
            let decoded = PacketDecoder::default().decode(&mut encoded);
            assert_eq!(decoded, Ok(Some(packet)));
            assert!(encoded.is_empty());
        }
    }

    #[test]
    fn every_number_comes_back() {
        for number in -3..40 {
            assert_eq!(PacketType::from_number(number).number(), number);
        }
        assert_eq!(PacketType::from_number(0), PacketType::Unknown(0));
        assert_eq!(PacketType::from_number(20), PacketType::Unknown(20));
    }

    #[test]
    fn what_follows_a_snap_packet_stays_in_the_input() {
        let mut input = BytesMut::new();
        QuorumPacket::bare(PacketType::Snap, Zxid(7)).encode(&mut input);
        input.put_slice(b"snapshot");
        let packet = PacketDecoder::default()
            .decode(&mut input)
            .unwrap()
            .unwrap();
        assert_eq!(packet.packet_type, PacketType::Snap);
        assert_eq!(&input[..], b"snapshot");
    }

    #[test]
    fn lengths_that_no_peer_sends_are_refused_before_their_bytes_come() {
        let head = |length: i32| {
            let mut input = BytesMut::new();
            input.put_i32(2);
            input.put_i64(1);
            input.put_i32(length);
            input
        };
        let decoder = PacketDecoder::new(10);
        for length in [-2, i32::MIN, 11, i32::MAX] {
            let error = decoder.decode(&mut head(length)).unwrap_err();
            assert!(matches!(error, PacketError::Length { field: "data", .. }));
        }
        assert_eq!(decoder.decode(&mut head(10)), Ok(None));

        let mut ids = head(-1);
        ids.put_i32(1025);
        let error = decoder.decode(&mut ids).unwrap_err();
        assert!(matches!(
            error,
            PacketError::Length {
                field: "authinfo",
                ..
            }
        ));
    }

    fn packets() -> impl Strategy<Value = Vec<QuorumPacket>> {
        let id = ("[a-z]{0,4}", "[a-z]{0,4}").prop_map(|(scheme, id)| AclId { scheme, id });
        let authinfo = proptest::option::of(proptest::collection::vec(id, 0..3));
        let data = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
        let packet = (-1..25_i32, any::<i64>(), data, authinfo);
        let packet = packet.prop_map(|(number, zxid, data, authinfo)| QuorumPacket {
            packet_type: PacketType::from_number(number),
            zxid: Zxid(zxid),
            data: data.map(Bytes::from),
            authinfo,
        });
        proptest::collection::vec(packet, 1..6)
    }

    proptest! {
        #[test]
        fn packets_come_back_however_they_are_chunked(packets in packets(), chunk in 1..30_usize) {
            let mut stream = BytesMut::new();
            packets.iter().for_each(|packet| packet.encode(&mut stream));
            let (mut input, mut decoded) = (BytesMut::new(), Vec::new());
            for piece in stream.chunks(chunk) {
                input.put_slice(piece);
                while let Some(packet) = PacketDecoder::default().decode(&mut input).unwrap() {
                    decoded.push(packet);
                }
            }
            prop_assert_eq!(decoded, packets);
            prop_assert!(input.is_empty());
        }

        #[test]
        fn strangers_bytes_are_refused_or_waited_for(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = PacketDecoder::new(100).decode(&mut input) {}
        }
    }
}
