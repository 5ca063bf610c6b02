//! Both directions of a connection.

use std::net::IpAddr;

use bytes::Bytes;
use zk_proto::record::{ConnectRequest, ConnectResponse};
use zk_proto::{Decode, Reader, SessionId};

use super::super::At;
use super::stream::{self, Frame, Stream};
use crate::observe::{ConnectionId, Side};

/// A connection, from the dial on.
#[derive(Clone, Debug)]
pub struct WireConnection {
    /// Which.
    pub id: ConnectionId,
    /// The host that dialled.
    pub from: String,
    /// Its address.
    pub ip: IpAddr,
    /// The host that was dialled.
    pub to: String,
    /// Its port.
    pub port: u16,
    /// When.
    pub dialled: At,
    /// When the dialling host knew that it stands; none if it never did.
    pub established: Option<At>,
    /// From the host that dialled.
    pub requests: Stream,
    /// To it.
    pub replies: Stream,
}

impl WireConnection {
    /// What opened it, as it was written; none if it was not a client's connection or
    /// ended too early.
    pub fn connect_request(&self) -> Option<ConnectRequest> {
        first(&self.requests.written)
    }

    /// The server's answer to that, as it was written.
    pub fn connect_response(&self) -> Option<ConnectResponse> {
        first(&self.replies.written)
    }

    /// The session that it speaks for, by the server's answer.
    pub fn session(&self) -> Option<SessionId> {
        self.connect_response()
            .filter(|response| response.timeout_ms > 0)
            .map(|response| response.session_id)
    }

    /// The four-letter word that was asked for instead of a session.
    pub fn four_letter_word(&self) -> Option<&str> {
        let word = self.requests.rest.get(..stream::LENGTH_WORD)?;
        let is_word = self.requests.written.is_empty() && word.iter().all(u8::is_ascii_lowercase);
        is_word.then(|| std::str::from_utf8(word).ok()).flatten()
    }
}

fn first<'f, T: Decode<'f>>(frames: &'f [Frame]) -> Option<T> {
    T::decode(&mut Reader::new(&frames.first()?.payload)).ok()
}

/// A connection while it is watched.
#[derive(Debug)]
pub(super) struct Tape {
    from: String,
    ip: IpAddr,
    to: String,
    port: u16,
    dialled: At,
    pub(super) established: Option<At>,
    requests: stream::Tape,
    replies: stream::Tape,
}

impl Tape {
    pub(super) fn new(at: At, (from, ip): (&str, IpAddr), (to, port): (&str, u16)) -> Self {
        Self {
            from: from.to_owned(),
            ip,
            to: to.to_owned(),
            port,
            dialled: at,
            established: None,
            requests: stream::Tape::default(),
            replies: stream::Tape::default(),
        }
    }

    pub(super) fn stream(&mut self, written_by: Side) -> &mut stream::Tape {
        match written_by {
            Side::Connector => &mut self.requests,
            Side::Acceptor => &mut self.replies,
        }
    }

    pub(super) fn connection(&self, id: ConnectionId) -> WireConnection {
        let mut connection = WireConnection {
            id,
            from: self.from.clone(),
            ip: self.ip,
            to: self.to.clone(),
            port: self.port,
            dialled: self.dialled,
            established: self.established,
            requests: self.requests.stream(),
            replies: self.replies.stream(),
        };
        // A word's answer is text, whatever lengths its letters spell.
        if connection.four_letter_word().is_some() {
            let raw: Bytes = connection.replies.as_written().into();
            connection.replies = Stream {
                rest: raw,
                written: Vec::new(),
                arrived: Vec::new(),
                ..connection.replies
            };
        }
        connection
    }
}
