//! A session without a client: requests and replies, one at a time.

use std::io;

use bytes::{Bytes, BytesMut};
use zk_proto::record::{AuthPacket, ConnectRequest, ConnectResponse, CreateRequest, Credential};
use zk_proto::record::{DeleteRequest, GetChildrenRequest, GetChildrenResponse, SyncRequest};
use zk_proto::{Decode, Encode, ErrorCode, OpCode, Password, Reader, SessionId, Xid, Zxid};
use zk_proto::{ReplyHeader, RequestHeader, encode_frame, path};

use crate::wait::within;
use crate::wire::Wire;

/// Long enough for every test on a slow machine, in milliseconds.
const TIMEOUT_MS: i32 = 30_000;

/// A session driven frame by frame.
#[derive(Debug)]
pub struct RawSession {
    /// The connection, for sending what no client sends.
    pub wire: Wire,
    /// What the server answered to the handshake.
    pub response: ConnectResponse,
    last_xid: Xid,
}

impl RawSession {
    /// Opens a new session on `host`.
    ///
    /// # Errors
    ///
    /// Those of the socket; `UnexpectedEof` if the server closes instead.
    pub async fn open(host: &str) -> io::Result<Self> {
        Self::handshake(host, &connect_request(SessionId::NONE, Password::none())).await
    }

    /// Takes over a session. The response says whether it still exists.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn resume(host: &str, id: SessionId, password: Password) -> io::Result<Self> {
        Self::handshake(host, &connect_request(id, password)).await
    }

    /// Sends any handshake.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn handshake(host: &str, request: &ConnectRequest) -> io::Result<Self> {
        let mut wire = Wire::connect(host).await?;
        wire.write_frame(request).await?;
        let frame = next_frame(&mut wire).await?;
        let response = ConnectResponse::decode(&mut Reader::new(&frame));
        Ok(Self {
            wire,
            response: response.map_err(io::Error::other)?,
            last_xid: Xid(0),
        })
    }

    /// Sends a request without waiting for its reply, and returns its xid.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn send(&mut self, op: i32, body: &impl Encode) -> io::Result<Xid> {
        self.last_xid = self.last_xid.next();
        let xid = self.last_xid;
        self.wire
            .write_frame(&(RequestHeader { xid, op }, body))
            .await?;
        Ok(xid)
    }

    /// The next frame that is not a watch event: its header and body.
    ///
    /// # Errors
    ///
    /// Those of the socket; `UnexpectedEof` if the server closes instead.
    pub async fn receive(&mut self) -> io::Result<(ReplyHeader, Bytes)> {
        loop {
            let frame = next_frame(&mut self.wire).await?;
            let mut reader = Reader::new(&frame);
            let header = ReplyHeader::decode(&mut reader).map_err(io::Error::other)?;
            if header.xid != Xid::NOTIFICATION {
                return Ok((header, reader.rest()));
            }
        }
    }

    /// One request and its reply.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub async fn request(
        &mut self,
        op: OpCode,
        body: &impl Encode,
    ) -> io::Result<(ReplyHeader, Bytes)> {
        self.send(op.into(), body).await?;
        self.receive().await
    }

    /// Adds an identity. What comes in between must be answered before.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive); `PermissionDenied` if it is refused.
    pub async fn authenticate(&mut self, scheme: &str, auth: &[u8]) -> io::Result<()> {
        let header = RequestHeader {
            xid: Xid::AUTH,
            op: OpCode::Auth.into(),
        };
        let packet = AuthPacket {
            kind: 0,
            scheme: scheme.into(),
            auth: Credential(Some(auth.into())),
        };
        self.wire.write_frame(&(header, packet)).await?;
        match self.receive().await?.0.err {
            ErrorCode::Ok => Ok(()),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Creates a persistent znode with the open ACL.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub async fn create(&mut self, path: &str) -> io::Result<ErrorCode> {
        let request = CreateRequest {
            path: path.into(),
            data: None,
            acl: Some(zk_proto::data::open_acl()),
            flags: 0,
        };
        let (header, _) = self.request(OpCode::Create, &request).await?;
        Ok(header.err)
    }

    /// Waits until this server has what the ensemble had committed before.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub async fn sync(&mut self, path: &str) -> io::Result<()> {
        let request = SyncRequest { path: path.into() };
        self.request(OpCode::Sync, &request).await?;
        Ok(())
    }

    /// Deletes `root` and everything below it; what is gone already is no error.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub async fn delete_all(&mut self, root: &str) -> io::Result<()> {
        let mut paths = vec![root.to_owned()];
        let mut next = 0;
        while let Some(parent) = paths.get(next).cloned() {
            next += 1;
            let children = self.children(&parent).await?;
            paths.extend(children.iter().map(|child| path::join(&parent, child)));
        }
        for path in paths.iter().rev() {
            let request = DeleteRequest {
                path: path.into(),
                version: -1,
            };
            self.request(OpCode::Delete, &request).await?;
        }
        Ok(())
    }

    async fn children(&mut self, path: &str) -> io::Result<Vec<String>> {
        let request = GetChildrenRequest {
            path: path.into(),
            watch: false,
        };
        let (header, body) = self.request(OpCode::GetChildren, &request).await?;
        if header.err != ErrorCode::Ok {
            return Ok(Vec::new());
        }
        let response = GetChildrenResponse::decode(&mut Reader::new(&body));
        Ok(response.map_err(io::Error::other)?.children)
    }

    /// Ends the session and waits until the server has said so.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub async fn close(mut self) -> io::Result<()> {
        self.request(OpCode::CloseSession, &()).await?;
        Ok(())
    }
}

/// What a client of today sends, wanting nothing special.
pub fn connect_request(session_id: SessionId, password: Password) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: TIMEOUT_MS,
        session_id,
        password,
        read_only: Some(false),
    }
}

async fn next_frame(wire: &mut Wire) -> io::Result<Bytes> {
    within("a frame from the server", wire.read_frame())
        .await?
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Ends somebody's session as its own client could: takes it over and closes it.
/// The owner's connection is closed by the server, and its next handshake is
/// answered "expired". The owner may take the session back in between; then this
/// tries again.
///
/// # Panics
///
/// If the server cannot be reached.
pub async fn end_session(host: &str, id: SessionId, password: &Password) {
    within("the end of a session", async {
        loop {
            if close_at_once(host, id, password).await.is_ok() || is_gone(host, id, password).await
            {
                return;
            }
        }
    })
    .await;
}

/// Handshake and closeSession in one write, so that the owner has no time to
/// take the session back.
async fn close_at_once(host: &str, id: SessionId, password: &Password) -> io::Result<()> {
    let close = RequestHeader {
        xid: Xid(1),
        op: OpCode::CloseSession.into(),
    };
    let mut frames = BytesMut::new();
    encode_frame(&mut frames, &connect_request(id, password.clone()));
    encode_frame(&mut frames, &close);
    let mut wire = Wire::connect(host).await?;
    wire.write_raw(&frames).await?;
    let handshake = next_frame(&mut wire).await?;
    let response = ConnectResponse::decode(&mut Reader::new(&handshake));
    if response.map_err(io::Error::other)?.timeout_ms > 0 {
        next_frame(&mut wire).await?;
    }
    Ok(())
}

/// Asks without writing anything behind the handshake, which a server that
/// closes could answer with a reset that overtakes "expired".
async fn is_gone(host: &str, id: SessionId, password: &Password) -> bool {
    let session = RawSession::resume(host, id, password.clone()).await;
    session.is_ok_and(|session| session.response.timeout_ms <= 0)
}
