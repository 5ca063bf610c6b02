//! SASL with a client: one exchange per connection, DIGEST-MD5.

use std::collections::BTreeMap;

use zk_proto::sasl::{DIGEST_MD5_HOST, DigestMd5Server, SERVICE, SaslError, Secret};

/// Who may come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SaslUsers<'u> {
    pub(super) users: &'u BTreeMap<String, Secret>,
    /// Of the user `super`, before that user's own.
    pub(super) super_password: Option<&'u Secret>,
}

impl<'u> SaslUsers<'u> {
    fn password_of(self, user: &str) -> Option<&'u Secret> {
        let of_super = self.super_password.filter(|_| user == "super");
        of_super.or_else(|| self.users.get(user))
    }
}

/// Where a connection's exchange stands.
#[derive(Debug)]
pub(crate) enum SaslExchange {
    /// Nothing has come yet.
    New { nonce: String },
    /// The challenge is out.
    Challenged(DigestMd5Server),
    /// It has succeeded or failed, and there is no other one on this connection.
    Over,
}

/// What a client's token leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SaslStep {
    /// A token to the client.
    Continue(Vec<u8>),
    /// The last token to the client, who is this user.
    Complete { user: String, token: Vec<u8> },
    /// The client is not who it says, or says it wrongly.
    Failed(SaslError),
}

impl SaslExchange {
    pub(crate) const fn new(nonce: String) -> Self {
        Self::New { nonce }
    }

    /// A token has come.
    pub(crate) fn step(&mut self, token: &[u8], users: SaslUsers<'_>) -> SaslStep {
        match std::mem::replace(self, Self::Over) {
            // Whatever the first token holds is ignored.
            Self::New { nonce } => {
                let server = DigestMd5Server::new(SERVICE, DIGEST_MD5_HOST, nonce);
                let challenge = server.challenge();
                *self = Self::Challenged(server);
                SaslStep::Continue(challenge)
            }
            Self::Challenged(server) => {
                match server.evaluate(token, |user| users.password_of(user)) {
                    Ok((user, token)) => SaslStep::Complete { user, token },
                    Err(error) => SaslStep::Failed(error),
                }
            }
            Self::Over => SaslStep::Failed(SaslError::Malformed("an answer after the end")),
        }
    }
}

/// Whether an ACL may hold `id`: any name, or with an `@` a Kerberos one,
/// `name[/host]@realm`.
pub(super) fn is_valid(id: &str) -> bool {
    let Some((name, realm)) = id.split_once('@') else {
        return true;
    };
    let is_plain = |part: &str| !part.contains(['/', '@']);
    let (name, host) = name.split_once('/').unwrap_or((name, ""));
    is_plain(name) && is_plain(host) && is_plain(realm)
}

#[cfg(test)]
mod tests {
    use zk_proto::sasl::DigestMd5Client;

    use super::*;

    fn users() -> BTreeMap<String, Secret> {
        [
            ("bob".to_owned(), "hush".into()),
            ("super".to_owned(), "own".into()),
        ]
        .into()
    }

    /// The end of an exchange with a client that tries this.
    fn end(
        user: &str,
        password: &str,
        super_password: Option<&Secret>,
    ) -> (SaslExchange, SaslStep) {
        let users = users();
        let users = SaslUsers {
            users: &users,
            super_password,
        };
        let mut exchange = SaslExchange::new("nonce".into());
        let SaslStep::Continue(challenge) = exchange.step(b"", users) else {
            panic!("no challenge");
        };
        let client = DigestMd5Client::new(user, password, SERVICE, DIGEST_MD5_HOST);
        let (response, _) = client.respond(&challenge, "cnonce").unwrap();
        let end = exchange.step(&response, users);
        (exchange, end)
    }

    fn is_let_in(user: &str, password: &str, super_password: Option<&Secret>) -> bool {
        match end(user, password, super_password).1 {
            SaslStep::Complete { user: found, .. } => {
                assert_eq!(found, user);
                true
            }
            SaslStep::Failed(_) => false,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_right_password_lets_in_and_no_other() {
        assert!(is_let_in("bob", "hush", None));
        assert!(!is_let_in("bob", "wrong", None));
        assert!(!is_let_in("eve", "hush", None));
        assert!(!is_let_in("eve", "", None));
    }

    #[test]
    fn the_super_password_comes_before_supers_own() {
        let admin = Secret::new("admin");
        assert!(is_let_in("super", "own", None));
        assert!(is_let_in("super", "admin", Some(&admin)));
        assert!(!is_let_in("super", "own", Some(&admin)));
        assert!(!is_let_in("bob", "admin", Some(&admin)));
    }

    #[test]
    fn an_exchange_has_one_end() {
        let users = users();
        let users = SaslUsers {
            users: &users,
            super_password: None,
        };
        let (mut failed, _) = end("bob", "wrong", None);
        let (mut complete, _) = end("bob", "hush", None);
        for exchange in [&mut failed, &mut complete] {
            let step = exchange.step(b"", users);
            assert!(matches!(step, SaslStep::Failed(_)), "no second try");
        }
    }

    #[test]
    fn an_id_is_a_name_or_a_principal() {
        for valid in ["bob", "", "a/b/c", "a@R", "a/h@R", "@", "/@"] {
            assert!(is_valid(valid), "{valid}");
        }
        for wrong in ["a@b@c", "a/b/c@R", "a@R/x", "a/b@R/x"] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}
