//! The client's side.

use std::fmt;

use super::super::directives::{Directives, push, push_quoted};
use super::super::{SaslError, Secret};
use super::{Exchange, MAX_CHALLENGE, NONCE_COUNT, Side, is_same};

/// A user and what it takes to prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestMd5Client {
    user: String,
    password: Secret,
    digest_uri: String,
    host: String,
}

/// What the server has to answer.
pub struct Proof(String);

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

impl DigestMd5Client {
    /// For `service` at `host`, which is also the realm if the server names none.
    pub fn new(
        user: impl Into<String>,
        password: impl Into<Secret>,
        service: &str,
        host: &str,
    ) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
            digest_uri: format!("{service}/{host}"),
            host: host.to_owned(),
        }
    }

    /// Answers the server's challenge. `cnonce` has to be new each time and is to be
    /// guessed by nobody.
    ///
    /// # Errors
    ///
    /// The challenge is malformed, or offers nothing that this side does.
    pub fn respond(&self, challenge: &[u8], cnonce: &str) -> Result<(Vec<u8>, Proof), SaslError> {
        let challenge = Directives::parse(challenge, MAX_CHALLENGE)?;
        if challenge.needed("algorithm")? != "md5-sess" {
            return Err(SaslError::Unacceptable("an algorithm that is not md5-sess"));
        }
        let is_auth_offered = challenge
            .text("qop")?
            .is_none_or(|offer| offer.split(',').any(|qop| qop.trim() == "auth"));
        if !is_auth_offered {
            return Err(SaslError::Unacceptable("no qop=auth on offer"));
        }
        if challenge
            .text("charset")?
            .is_some_and(|it| !it.eq_ignore_ascii_case("utf-8"))
        {
            return Err(SaslError::Unacceptable("a charset that is not utf-8"));
        }
        let realm = challenge.all("realm").next().map(std::str::from_utf8);
        let realm = realm
            .transpose()
            .map_err(|_| SaslError::Malformed("not UTF-8"))?;
        let exchange = Exchange {
            user: &self.user,
            realm: realm.unwrap_or(&self.host),
            password: &self.password,
            nonce: challenge.needed("nonce")?,
            cnonce,
            authzid: None,
            digest_uri: &self.digest_uri,
        };
        Ok((response(&exchange), Proof(exchange.proof(Side::Server))))
    }
}

fn response(exchange: &Exchange<'_>) -> Vec<u8> {
    let mut token = "charset=utf-8".to_owned();
    push_quoted(&mut token, "username", exchange.user);
    push_quoted(&mut token, "realm", exchange.realm);
    push_quoted(&mut token, "nonce", exchange.nonce);
    push(&mut token, "nc", NONCE_COUNT);
    push_quoted(&mut token, "cnonce", exchange.cnonce);
    push_quoted(&mut token, "digest-uri", exchange.digest_uri);
    push(&mut token, "response", &exchange.proof(Side::Client));
    push(&mut token, "qop", "auth");
    token.into_bytes()
}

impl Proof {
    /// Checks the server's last token.
    ///
    /// # Errors
    ///
    /// It is malformed, or does not show that the server knows the password.
    pub fn verify(&self, token: &[u8]) -> Result<(), SaslError> {
        let token = Directives::parse(token, MAX_CHALLENGE)?;
        let given = token.one("rspauth")?.ok_or(SaslError::NotGenuine)?;
        if is_same(&self.0, given) {
            Ok(())
        } else {
            Err(SaslError::NotGenuine)
        }
    }
}
