//! The server's side.

use super::super::directives::{Directives, push, push_quoted};
use super::super::{SaslError, Secret};
use super::{Exchange, MAX_RESPONSE, NONCE_COUNT, Side, is_same};

/// One exchange: a challenge and what comes back.
#[derive(Clone, Debug)]
pub struct DigestMd5Server {
    service: String,
    host: String,
    nonce: String,
}

impl DigestMd5Server {
    /// For `service` at `host`, which is also the realm. `nonce` has to be new each
    /// time and is to be guessed by nobody.
    pub fn new(service: &str, host: &str, nonce: String) -> Self {
        Self {
            service: service.to_owned(),
            host: host.to_owned(),
            nonce,
        }
    }

    /// The first token to the client.
    pub fn challenge(&self) -> Vec<u8> {
        let mut token = String::new();
        push_quoted(&mut token, "realm", &self.host);
        push_quoted(&mut token, "nonce", &self.nonce);
        push(&mut token, "charset", "utf-8");
        push(&mut token, "algorithm", "md5-sess");
        token.into_bytes()
    }

    /// Judges the client's answer by the password that `password_of` knows of its
    /// user. Gives the user and the last token to the client. An exchange is good for
    /// one answer. Whom the client would like to be instead (`authzid`) is hashed
    /// and, as in Apache, counts for nothing.
    ///
    /// # Errors
    ///
    /// The answer is malformed, is not one to this challenge, or is wrong.
    pub fn evaluate<'p>(
        self,
        response: &[u8],
        password_of: impl FnOnce(&str) -> Option<&'p Secret>,
    ) -> Result<(String, Vec<u8>), SaslError> {
        let response = Directives::parse(response, MAX_RESPONSE)?;
        let user = response.needed("username")?;
        let digest_uri = response.needed("digest-uri")?;
        self.check(&response, digest_uri)?;
        let given = response.one("response")?.unwrap_or_default();
        let nobody = Secret::new("");
        let password = password_of(user);
        let exchange = Exchange {
            user,
            realm: &self.host,
            // An unknown user costs the same time as a known one.
            password: password.unwrap_or(&nobody),
            nonce: &self.nonce,
            cnonce: response.needed("cnonce")?,
            authzid: response.text("authzid")?,
            digest_uri,
        };
        let is_right = is_same(&exchange.proof(Side::Client), given);
        if !is_right || password.is_none() {
            return Err(SaslError::WrongPassword);
        }
        let mut token = String::new();
        push(&mut token, "rspauth", &exchange.proof(Side::Server));
        Ok((user.to_owned(), token.into_bytes()))
    }

    fn check(&self, response: &Directives, digest_uri: &str) -> Result<(), SaslError> {
        let unacceptable = |what| Err(SaslError::Unacceptable(what));
        if response.needed("nonce")? != self.nonce {
            return unacceptable("another nonce");
        }
        if response.needed("nc")? != NONCE_COUNT {
            return unacceptable("a nonce that has been used");
        }
        if response.needed("realm")? != self.host {
            return unacceptable("another realm");
        }
        if response.text("qop")?.is_some_and(|qop| qop != "auth") {
            return unacceptable("a qop that was not on offer");
        }
        if response
            .text("charset")?
            .is_some_and(|it| !it.eq_ignore_ascii_case("utf-8"))
        {
            return unacceptable("a charset that is not utf-8");
        }
        let mut uri = digest_uri.split('/');
        let mut is_next = |it: &str| uri.next().is_some_and(|part| part.eq_ignore_ascii_case(it));
        let is_ours = is_next(&self.service) && is_next(&self.host) && uri.next().is_none();
        if !is_ours {
            return unacceptable("another service");
        }
        Ok(())
    }
}
