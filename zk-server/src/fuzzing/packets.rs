//! Packets of the quorum port.

use bytes::{Bytes, BytesMut};
use zk_proto::Encode;

use super::pieces::Pieces;
use crate::quorum::packet::{
    ForwardedRequest, LearnerInfo, PacketDecoder, PacketError, QuorumPacket, Revalidate,
    Revalidated, decode_current_epoch, decode_informed, decode_server_id, decode_touch_table,
};

/// The first byte of the input times this is the limit for data and strings.
const LIMIT_UNIT: usize = 16;

/// The first byte gives the limit, the second the sizes of the pieces, the rest is the stream.
/// However it is cut, the packets are the same, and so are the end or the refusal; nothing is
/// reserved for what was only announced; a packet that is written again is the same one; and
/// whatever its data are, the readers of payloads say what they think of it.
pub fn packet_bytes(input: &[u8]) {
    let &[limit, seed, ref stream @ ..] = input else {
        return;
    };
    let limit = usize::from(limit) * LIMIT_UNIT;
    let [whole, others @ ..] = Pieces::every(seed).map(|pieces| split(stream, limit, pieces));
    for other in others {
        assert_eq!(other, whole, "limit {limit}");
    }
    for packet in &whole.packets {
        is_the_same_again(packet, limit);
        read_payload(packet);
    }
}

#[derive(Debug, PartialEq)]
struct Split {
    packets: Vec<QuorumPacket>,
    /// The bytes behind the last packet, or the refusal of the next.
    end: Result<Bytes, PacketError>,
}

fn split(mut stream: &[u8], limit: usize, mut pieces: Pieces) -> Split {
    let decoder = PacketDecoder::new(limit);
    let (mut input, mut packets) = (BytesMut::new(), Vec::new());
    let end = loop {
        let room = input.capacity();
        match decoder.decode(&mut input) {
            Ok(Some(packet)) => packets.push(packet),
            Ok(None) if stream.is_empty() => break Ok(input.freeze()),
            Ok(None) => {
                assert_eq!(input.capacity(), room, "reserved for an announcement");
                input.extend_from_slice(pieces.next(&mut stream));
            }
            Err(error) => break Err(error),
        }
    };
    Split { packets, end }
}

fn is_the_same_again(packet: &QuorumPacket, limit: usize) {
    let mut bytes = BytesMut::new();
    packet.encode(&mut bytes);
    // Text that was none is replaced, and may be longer then.
    let decoder = PacketDecoder::new(3 * limit);
    let again = decoder.decode(&mut bytes);
    assert_eq!(again.as_ref(), Ok(&Some(packet.clone())));
    assert!(bytes.is_empty());
}

fn read_payload(packet: &QuorumPacket) {
    let data = packet.bytes();
    let _ = LearnerInfo::decode(&data);
    let _ = decode_current_epoch(&data);
    let _ = decode_server_id(&data);
    let _ = decode_informed(data.clone());
    let _ = decode_touch_table(&data);
    let _ = Revalidate::decode(&data);
    let _ = Revalidated::decode(&data);
    if let Ok(request) = ForwardedRequest::decode(packet.clone()) {
        let again = ForwardedRequest::decode(request.clone().packet());
        assert_eq!(again, Ok(request));
    }
}
