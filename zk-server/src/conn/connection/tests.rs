//! The machine by itself: what it answers without help, and when it ends.

use bytes::BufMut;
use zk_proto::Password;

use super::*;
use crate::config::ServerConfig;

fn schemes() -> Schemes {
    Schemes::new(&ServerConfig::builder().build().unwrap())
}

fn frame(payload: &impl Encode) -> Bytes {
    let mut bytes = BytesMut::new();
    payload.encode(&mut bytes);
    bytes.freeze()
}

fn connection() -> Connection {
    Connection::new(SocketAddr::from(([10, 0, 0, 1], 9)), None)
}

fn established() -> Connection {
    let mut connection = connection();
    connection.establish(SessionId(1), 4000, Some(false));
    connection.take_output();
    connection
}

fn request(op: i32, body: &impl Encode) -> Bytes {
    frame(&(RequestHeader { xid: Xid(5), op }, body))
}

fn digest(credentials: String) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i32(0);
    ("digest".to_owned(), credentials).encode(&mut body);
    request(OpCode::Auth.into(), &RawBytes(body))
}

struct RawBytes(BytesMut);

impl Encode for RawBytes {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }
}

#[test]
fn the_first_frame_is_the_handshake_and_later_ones_are_requests() {
    let mut connection = connection();
    let connect = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(3),
        timeout_ms: 5,
        session_id: SessionId(0),
        password: Password::none(),
        read_only: None,
    };
    let first = frame(&connect);
    let Received::Connect(received) = connection.handle_frame(&first, &schemes()) else {
        panic!("no handshake");
    };
    assert_eq!(received, connect);
    connection.establish(SessionId(1), 4000, None);
    let (bytes, frames) = connection.take_output();
    assert_eq!((bytes.len(), frames), (4 + 36, 1));

    let second = request(4, &());
    let Received::Request(request) = connection.handle_frame(&second, &schemes()) else {
        panic!("no request");
    };
    assert_eq!(
        (request.session, request.xid, request.op),
        (SessionId(1), Xid(5), 4)
    );
    assert_eq!(request.body.remaining(), 0);
}

#[test]
fn nothing_is_read_once_it_is_closing() {
    let mut connection = established();
    connection.unimplemented(Xid(1));
    assert!(connection.is_closing());
    let late = request(4, &());
    assert!(matches!(
        connection.handle_frame(&late, &schemes()),
        Received::Handled
    ));
    assert_eq!(connection.take_output().1, 1, "the reply before the close");
}

#[test]
fn identities_accumulate_without_duplicates_up_to_a_bound() {
    let mut connection = established();
    for credentials in ["a:1", "a:1", "b:2"] {
        connection.handle_frame(&digest(credentials.to_owned()), &schemes());
    }
    assert_eq!(connection.identities().len(), 3);
    for n in 3..=MAX_IDENTITIES {
        assert!(!connection.is_closing(), "{n}");
        connection.handle_frame(&digest(format!("u{n}:p")), &schemes());
    }
    assert_eq!(connection.identities().len(), MAX_IDENTITIES);
    assert!(connection.is_closing(), "one too many");
}

#[test]
fn reserved_xids_are_not_the_clients_last_one() {
    let mut connection = established();
    connection.answered("GETD", Xid(7), Zxid(3));
    connection.answered("PING", Xid::PING, Zxid(4));
    let last = connection.last();
    assert_eq!((last.op, last.cxid, last.zxid), ("PING", 7, Zxid(4)));
}
