//! Who asks.

use zk_proto::record::{Credential, GetSaslRequest, SetSaslResponse};
use zk_proto::sasl::{DIGEST_MD5_HOST, DigestMd5Client, SERVICE};
use zk_proto::{Decode, OpCode, Reader};
use zk_tests::RawSession;

use super::asking::{Body, ask};

/// Sessions by the identities they have beside their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Stranger,
    /// `own:er`, by digest.
    Owner,
    /// The owner's name with another password.
    Impostor,
    /// By SASL.
    Bob,
    /// The superuser, by digest.
    Super,
    /// The superuser, by SASL.
    SaslSuper,
}

impl Subject {
    pub(crate) const ALL: [Self; 6] = [
        Self::Stranger,
        Self::Owner,
        Self::Impostor,
        Self::Bob,
        Self::Super,
        Self::SaslSuper,
    ];

    pub(crate) async fn open(self, host: &str) -> RawSession {
        let mut session = RawSession::open(host).await.unwrap();
        let digest = match self {
            Self::Stranger => return session,
            Self::Owner => "own:er",
            Self::Impostor => "own:wrong",
            Self::Super => "super:admin",
            Self::Bob => return sasl(session, "bob", "bobsecret").await,
            Self::SaslSuper => return sasl(session, "super", "adminsecret").await,
        };
        let done = session.authenticate("digest", digest.as_bytes()).await;
        done.unwrap();
        session
    }
}

async fn sasl(mut session: RawSession, user: &str, password: &str) -> RawSession {
    let client = DigestMd5Client::new(user, password.to_owned(), SERVICE, DIGEST_MD5_HOST);
    let challenge = token(&mut session, b"").await;
    let (response, proof) = client.respond(&challenge, "a nonce").unwrap();
    proof.verify(&token(&mut session, &response).await).unwrap();
    session
}

async fn token(session: &mut RawSession, token: &[u8]) -> Vec<u8> {
    let token = Credential(Some(token.into()));
    let request = Body::of(&GetSaslRequest { token });
    let answer = ask(session, OpCode::Sasl, &request).await;
    let response = SetSaslResponse::decode(&mut Reader::new(&answer.body)).unwrap();
    response.token.0.unwrap().into_owned()
}
