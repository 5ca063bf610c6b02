//! SASL: right behind the handshake, and nothing else until it is complete. It is
//! never skipped: a server that does not do it ends the client, because what was meant
//! for an authenticated session must not run in another one.

use std::net::SocketAddr;

use zk_env::Mono;
use zk_proto::record::{Credential, GetSaslRequest, SetSaslResponse};
use zk_proto::{Decode, ErrorCode, OpCode, Reader, ReplyHeader};

use super::handshake::encode_control;
use super::{Cause, Now, Phase, Session, SessionState, closed};
use crate::error::Error;
use crate::sasl::{Exchange, SaslFailure};

/// Tokens from the server in one exchange; no mechanism needs as many.
const MAX_ROUNDS: u32 = 16;

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct SaslRound {
    server: SocketAddr,
    pub(super) deadline: Mono,
    is_read_only: bool,
    exchange: Box<dyn Exchange>,
    /// The number of the request that is to be answered.
    xid: zk_proto::Xid,
    rounds: u32,
}

impl Session {
    /// Begins the exchange; false if the client does without.
    pub(super) fn begin_sasl(
        &mut self,
        server: SocketAddr,
        deadline: Mono,
        is_read_only: bool,
    ) -> bool {
        let Some(sasl) = &mut self.config.sasl else {
            return false;
        };
        let mut exchange = sasl.mechanism.begin(&mut sasl.rng);
        let token = exchange.initial();
        let xid = self.send_token(&token);
        self.phase = Phase::Sasl(SaslRound {
            server,
            deadline,
            is_read_only,
            exchange,
            xid,
            rounds: 0,
        });
        true
    }

    fn send_token(&mut self, token: &[u8]) -> zk_proto::Xid {
        let xid = self.requests.take_xid();
        let token = Credential(Some(token.into()));
        let request = GetSaslRequest { token };
        encode_control(&mut self.control, xid, OpCode::Sasl, &request);
        xid
    }

    /// An answer has come while SASL is under way.
    pub(super) fn handle_sasl_reply(
        &mut self,
        now: Now,
        header: &ReplyHeader,
        reader: &mut Reader<'_>,
    ) {
        let Phase::Sasl(round) = &mut self.phase else {
            return self.disconnect(Cause::OutOfOrder);
        };
        if header.xid != round.xid {
            return self.disconnect(Cause::OutOfOrder);
        }
        self.timers.last_read = now.mono;
        if header.err != ErrorCode::Ok {
            return self.fail_sasl(SaslFailure::Refused);
        }
        let token = match SetSaslResponse::decode(reader) {
            Ok(SetSaslResponse { token }) => token,
            Err(error) => return self.disconnect(Cause::BadBytes(error.to_string())),
        };
        let Credential(Some(token)) = token else {
            return self.fail_sasl(SaslFailure::NotOffered);
        };
        round.rounds += 1;
        if round.rounds > MAX_ROUNDS {
            return self.fail_sasl(SaslFailure::BadToken("one too many".into()));
        }
        match round.exchange.step(&token) {
            Ok(Some(token)) => {
                let xid = self.send_token(&token);
                if let Phase::Sasl(round) = &mut self.phase {
                    round.xid = xid;
                }
            }
            Ok(None) => {
                let (server, deadline, is_read_only) =
                    (round.server, round.deadline, round.is_read_only);
                tracing::debug!(session = %self.identity.id, "SASL is complete");
                self.present_credentials(server, deadline, is_read_only);
            }
            Err(failure) => self.fail_sasl(failure),
        }
    }

    fn fail_sasl(&mut self, failure: SaslFailure) {
        tracing::info!(session = %self.identity.id, %failure, "SASL failed");
        self.config.probe.reached("client: SASL failed");
        self.end(
            Error::SaslFailed(failure),
            SessionState::AuthFailed,
            closed(),
        );
    }
}
