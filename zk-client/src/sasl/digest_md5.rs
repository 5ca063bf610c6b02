//! DIGEST-MD5: nothing, a challenge, an answer, and the server's own proof.

use bytes::Bytes;
use zk_env::EnvRng;
use zk_proto::sasl::{
    DIGEST_MD5_HOST, DigestMd5Client, NONCE_BYTES, Proof, SERVICE, SaslError, Secret, nonce,
};

use super::{Exchange, Mechanism, SaslFailure};

/// A user and a password.
#[derive(Debug)]
pub(crate) struct DigestMd5(DigestMd5Client);

impl DigestMd5 {
    pub(crate) fn new(user: &str, password: Secret) -> Self {
        Self(DigestMd5Client::new(
            user,
            password,
            SERVICE,
            DIGEST_MD5_HOST,
        ))
    }
}

impl Mechanism for DigestMd5 {
    fn begin(&self, rng: &mut EnvRng) -> Box<dyn Exchange> {
        let mut random = [0; NONCE_BYTES];
        rng.fill(&mut random);
        Box::new(DigestMd5Exchange {
            client: self.0.clone(),
            cnonce: nonce(&random),
            proof: None,
        })
    }
}

#[derive(Debug)]
struct DigestMd5Exchange {
    client: DigestMd5Client,
    cnonce: String,
    /// What the server owes, once it has been answered.
    proof: Option<Proof>,
}

impl Exchange for DigestMd5Exchange {
    fn initial(&mut self) -> Bytes {
        Bytes::new()
    }

    fn step(&mut self, token: &[u8]) -> Result<Option<Bytes>, SaslFailure> {
        if let Some(proof) = &self.proof {
            proof.verify(token).map_err(failure)?;
            return Ok(None);
        }
        let (response, proof) = self.client.respond(token, &self.cnonce).map_err(failure)?;
        self.proof = Some(proof);
        Ok(Some(response.into()))
    }
}

fn failure(error: SaslError) -> SaslFailure {
    match error {
        SaslError::NotGenuine => SaslFailure::NotGenuine,
        other => SaslFailure::BadToken(other.to_string()),
    }
}
