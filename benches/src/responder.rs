//! A server that does no work: it knows one znode and has its replies ready.

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use zk_proto::record::{ConnectResponse, ExistsResponse, GetDataResponse};
use zk_proto::{
    Encode, ErrorCode, OpCode, Password, ReplyHeader, SessionId, Stat, Xid, Zxid, encode_frame,
};

/// Length word, xid and op code: what there is to know about a request.
const REQUEST_HEAD: usize = 12;
/// Where a reply frame has its xid: behind the length word.
const REPLY_XID: std::ops::Range<usize> = 4..8;
/// Where a ConnectRequest frame has the session timeout it asks for.
const CONNECT_TIMEOUT: std::ops::Range<usize> = 16..20;
/// Requests of a benchmark are far smaller; this only stops a stray peer.
const LARGEST_FRAME: usize = 16 * 1024;

/// How far [`Responder::answer`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Bytes of input that are done with.
    pub consumed: usize,
    /// Whether the session was closed; then the connection ends after the replies.
    pub closed: bool,
}

/// A frame that no ZooKeeper client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a request frame of {length} bytes")]
pub struct Refused {
    /// What the length word says.
    pub length: i32,
}

/// One connection's worth of answers, as a pure machine: bytes in, bytes out.
///
/// Every getData and exists succeeds whatever the path, every create says
/// `NodeExists`, pings and the end of the session are confirmed, and all else is
/// `Unimplemented`.
#[derive(Clone, Debug)]
pub struct Responder {
    connected: bool,
    get_data: Bytes,
    exists: Bytes,
    done: Bytes,
    node_exists: Bytes,
    unimplemented: Bytes,
}

impl Responder {
    /// Replies to getData with `data_len` bytes.
    pub fn new(data_len: usize) -> Self {
        let stat = Stat {
            czxid: Zxid(1),
            mzxid: Zxid(1),
            pzxid: Zxid(1),
            data_length: i32::try_from(data_len).unwrap_or(i32::MAX),
            ..Stat::default()
        };
        let data = GetDataResponse {
            data: Some(vec![b'x'; data_len].into()),
            stat,
        };
        Self {
            connected: false,
            get_data: reply(ErrorCode::Ok, &data),
            exists: reply(ErrorCode::Ok, &ExistsResponse { stat }),
            done: reply(ErrorCode::Ok, &()),
            node_exists: reply(ErrorCode::NodeExists, &()),
            unimplemented: reply(ErrorCode::Unimplemented, &()),
        }
    }

    /// Appends the replies to all whole frames of `input` to `out`. The rest of
    /// the input is to be presented again, with more behind it.
    ///
    /// # Errors
    ///
    /// A frame too large or too small to be a request; the stream cannot be read on.
    pub fn answer(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Answered, Refused> {
        let mut consumed = 0;
        let mut closed = false;
        while let Some(frame) = next_frame(&input[consumed..])? {
            consumed += frame.len();
            if self.connected {
                closed |= self.answer_request(frame, out);
            } else {
                self.connected = true;
                connect_response(frame, out);
            }
        }
        Ok(Answered { consumed, closed })
    }

    fn answer_request(&self, frame: &[u8], out: &mut Vec<u8>) -> bool {
        let op = OpCode::try_from(i32_at(frame, 8));
        let reply = match op {
            Ok(OpCode::GetData) => &self.get_data,
            Ok(OpCode::Exists) => &self.exists,
            Ok(OpCode::Ping | OpCode::CloseSession) => &self.done,
            Ok(OpCode::Create | OpCode::Create2) => &self.node_exists,
            _ => &self.unimplemented,
        };
        let start = out.len();
        out.extend_from_slice(reply);
        out[start..][REPLY_XID].copy_from_slice(&frame[4..8]);
        op == Ok(OpCode::CloseSession)
    }
}

fn reply(err: ErrorCode, body: &impl Encode) -> Bytes {
    let header = ReplyHeader {
        xid: Xid(0),
        zxid: Zxid(1),
        err,
    };
    let mut frame = BytesMut::new();
    encode_frame(&mut frame, &(header, body));
    frame.freeze()
}

/// A new session, or the old one again: nobody checks.
fn connect_response(frame: &[u8], out: &mut Vec<u8>) {
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: i32_at(frame, CONNECT_TIMEOUT.start),
        session_id: SessionId(1),
        password: Password::new([7; 16]),
        read_only: Some(false),
    };
    let mut bytes = BytesMut::new();
    encode_frame(&mut bytes, &response);
    out.extend_from_slice(&bytes);
}

/// The first frame, length word included, if all of it is there.
fn next_frame(input: &[u8]) -> Result<Option<&[u8]>, Refused> {
    if input.len() < REQUEST_HEAD {
        return Ok(None);
    }
    let length = i32_at(input, 0);
    let size = usize::try_from(length)
        .map(|length| length + 4)
        .ok()
        .filter(|size| (REQUEST_HEAD..=LARGEST_FRAME).contains(size))
        .ok_or(Refused { length })?;
    Ok(input.get(..size))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes[at..]
        .first_chunk()
        .copied()
        .map_or(0, i32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use zk_proto::record::{ConnectRequest, GetDataRequest};
    use zk_proto::{Decode, FrameDecoder, Reader, RequestHeader};

    use super::*;

    fn handshake() -> BytesMut {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: 12_000,
            session_id: SessionId::NONE,
            password: Password::none(),
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        encode_frame(&mut out, &request);
        out
    }

    fn request(out: &mut BytesMut, xid: i32, op: OpCode, body: &impl Encode) {
        let header = RequestHeader {
            xid: Xid(xid),
            op: op.into(),
        };
        encode_frame(out, &(header, body));
    }

    fn get_data() -> GetDataRequest<'static> {
        GetDataRequest {
            path: Cow::Borrowed("/bench"),
            watch: false,
        }
    }

    fn frames(out: &[u8]) -> Vec<Bytes> {
        let mut input = BytesMut::from(out);
        let decoder = FrameDecoder::new(LARGEST_FRAME);
        std::iter::from_fn(|| decoder.decode(&mut input).unwrap()).collect()
    }

    #[test]
    fn handshake_and_requests_in_one_piece_are_all_answered() {
        let mut input = handshake();
        request(&mut input, 5, OpCode::GetData, &get_data());
        request(&mut input, 6, OpCode::Exists, &get_data());
        request(&mut input, 7, OpCode::CloseSession, &());
        let mut out = Vec::new();
        let answered = Responder::new(100).answer(&input, &mut out).unwrap();
        assert_eq!((answered.consumed, answered.closed), (input.len(), true));

        let frames = frames(&out);
        let connected = ConnectResponse::decode(&mut Reader::new(&frames[0])).unwrap();
        assert_eq!(connected.timeout_ms, 12_000);
        let mut reader = Reader::new(&frames[1]);
        assert_eq!(ReplyHeader::decode(&mut reader).unwrap().xid, Xid(5));
        let reply = GetDataResponse::decode(&mut reader).unwrap();
        assert_eq!(
            (reply.data.unwrap().len(), reply.stat.data_length),
            (100, 100)
        );
        let mut reader = Reader::new(&frames[2]);
        assert_eq!(ReplyHeader::decode(&mut reader).unwrap().xid, Xid(6));
        assert!(ExistsResponse::decode(&mut reader).is_ok());
        assert_eq!(frames[3].len(), 16);
    }

    #[test]
    fn chunking_does_not_matter() {
        let mut input = handshake();
        for xid in 1..20 {
            request(&mut input, xid, OpCode::GetData, &get_data());
        }
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        Responder::new(9).answer(&input, &mut whole).unwrap();
        let (mut responder, mut start) = (Responder::new(9), 0);
        for end in 0..=input.len() {
            let answered = responder.answer(&input[start..end], &mut pieces).unwrap();
            start += answered.consumed;
        }
        assert_eq!(start, input.len());
        assert_eq!(pieces, whole);
    }

    #[test]
    fn what_it_cannot_do_is_said() {
        let mut input = handshake();
        request(&mut input, 1, OpCode::Create, &());
        request(&mut input, 2, OpCode::Multi, &());
        let mut out = Vec::new();
        Responder::new(0).answer(&input, &mut out).unwrap();
        let errors: Vec<_> = frames(&out)[1..]
            .iter()
            .map(|frame| ReplyHeader::decode(&mut Reader::new(frame)).unwrap().err)
            .collect();
        assert_eq!(errors, [ErrorCode::NodeExists, ErrorCode::Unimplemented]);
    }

    #[test]
    fn a_length_that_is_no_request_is_refused() {
        for length in [-1, 7, LARGEST_FRAME as i32] {
            let mut input = length.to_be_bytes().to_vec();
            input.extend([0; 12]);
            let refused = Responder::new(0).answer(&input, &mut Vec::new());
            assert_eq!(refused, Err(Refused { length }));
        }
    }
}
