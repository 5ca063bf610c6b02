//! The schemes of this server (Apache's `ProviderRegistry` and `checkACL`).

use std::net::IpAddr;

use thiserror::Error;
use zk_proto::{Acl, AclId, ErrorCode, Perms};

use super::sasl::{self, SaslUsers};
use super::{digest, ip};
use crate::config::{SaslConfig, ServerConfig};
use crate::tls;

/// Which schemes there are and what they take.
#[derive(Clone, Debug)]
pub(crate) struct Schemes {
    digest_enabled: bool,
    super_digest: Option<String>,
    skip_acl: bool,
    /// Of these a connection needs one before its first request; empty is no rule.
    enforced: Vec<String>,
    sasl: SaslConfig,
    /// Clients may have certificates.
    x509: bool,
    x509_super_user: Option<String>,
}

/// Credentials that no scheme takes.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("authentication failed")]
pub(crate) struct AuthFailed;

/// The scheme of an identity that may do everything.
const SUPER: &str = "super";

impl Schemes {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            digest_enabled: config.digest_auth_enabled,
            super_digest: config.super_digest.clone(),
            skip_acl: config.skip_acl,
            enforced: config.enforce_auth_schemes.clone(),
            sasl: config.sasl.clone(),
            x509: config.tls.is_some(),
            x509_super_user: config.x509_super_user.clone(),
        }
    }

    /// Who may come by SASL, if anybody.
    pub(crate) fn sasl_users(&self) -> Option<SaslUsers<'_>> {
        self.sasl.users.as_ref().map(|users| SaslUsers {
            users,
            super_password: self.sasl.super_password.as_ref(),
        })
    }

    /// The identities of a user whom SASL has let in.
    pub(crate) fn sasl_identities(&self, user: &str) -> Vec<AclId> {
        let is_super = self.sasl.super_users.iter().any(|it| it == user);
        let supers = is_super.then(|| AclId::new(SUPER, ""));
        let known = AclId::new("sasl", user);
        [known].into_iter().chain(supers).collect()
    }

    /// The identities of whom has shown a certificate with this subject.
    pub(crate) fn x509_identities(&self, subject: &str) -> Vec<AclId> {
        let is_super = self.x509_super_user.as_deref() == Some(subject);
        let supers = is_super.then(|| AclId::new(SUPER, subject));
        let known = AclId::new("x509", subject);
        supers.into_iter().chain([known]).collect()
    }

    /// What a connection hears that SASL has not let in; `None` if it may stay.
    pub(crate) fn sasl_refusal(&self) -> Option<ErrorCode> {
        if self.enforced.iter().any(|scheme| scheme == "sasl") {
            Some(ErrorCode::SessionClosedRequireSaslAuth)
        } else {
            (!self.sasl.allow_failed_clients).then_some(ErrorCode::AuthFailed)
        }
    }

    /// The identities that credentials give to a connection from `peer`. A digest
    /// is never wrong: a wrong password makes an identity that nobody knows.
    ///
    /// # Errors
    ///
    /// The scheme is unknown, or the credentials are null.
    pub(crate) fn authenticate(
        &self,
        scheme: Option<&str>,
        credentials: Option<&[u8]>,
        peer: IpAddr,
    ) -> Result<Vec<AclId>, AuthFailed> {
        match scheme {
            Some("ip") => Ok(vec![AclId::new("ip", ip::host_address(peer))]),
            Some("digest") if self.digest_enabled => {
                Ok(self.digest_identities(credentials.ok_or(AuthFailed)?))
            }
            Some(_) | None => Err(AuthFailed),
        }
    }

    fn digest_identities(&self, credentials: &[u8]) -> Vec<AclId> {
        let id = digest::identity(credentials);
        let is_super = self.super_digest.as_ref() == Some(&id);
        let supers = is_super.then(|| AclId::new(SUPER, ""));
        supers
            .into_iter()
            .chain([AclId::new("digest", id)])
            .collect()
    }

    /// Whether a connection with these identities may send requests at all.
    pub(crate) fn admits(&self, identities: &[AclId]) -> bool {
        self.enforced.is_empty()
            || identities
                .iter()
                .any(|identity| self.enforced.contains(&identity.scheme))
    }

    /// Whether `acl` grants any of `wanted` to one of `identities`.
    pub(crate) fn permits(&self, acl: &[Acl], wanted: Perms, identities: &[AclId]) -> bool {
        self.skip_acl
            || acl.is_empty()
            || acl
                .iter()
                .any(|entry| entry.perms.intersects(wanted) && self.means(&entry.id, identities))
            || identities.iter().any(|identity| identity.scheme == SUPER)
    }

    /// Whether an ACL's id speaks of one of `identities`.
    fn means(&self, id: &AclId, identities: &[AclId]) -> bool {
        let same_scheme = || identities.iter().filter(|other| other.scheme == id.scheme);
        match id.scheme.as_str() {
            "world" => id.id == "anyone",
            "digest" => self.digest_enabled && same_scheme().any(|other| other.id == id.id),
            "ip" => same_scheme().any(|other| ip::matches(&other.id, &id.id)),
            "sasl" => {
                self.sasl.has_acls && same_scheme().any(|it| self.sasl.matches(&it.id, &id.id))
            }
            "x509" => self.x509 && same_scheme().any(|other| other.id == id.id),
            _ => false,
        }
    }

    /// Whether an ACL may hold `id` of `scheme`, other than `world` and `auth`.
    pub(super) fn is_valid(&self, scheme: &str, id: &str) -> bool {
        match scheme {
            "digest" => self.digest_enabled && digest::is_valid(id),
            "ip" => ip::is_valid(id),
            "sasl" => self.sasl.has_acls && sasl::is_valid(id),
            "x509" => self.x509 && tls::is_valid(id),
            _ => false,
        }
    }

    /// Whether ids of `scheme` are checked at all.
    pub(super) fn knows(&self, scheme: &str) -> bool {
        match scheme {
            "digest" => self.digest_enabled,
            "ip" => true,
            "sasl" => self.sasl.has_acls,
            "x509" => self.x509,
            _ => false,
        }
    }

    /// Whether an identity of `scheme` proves who somebody is: an address does
    /// not, and `super` has no scheme of its own.
    pub(super) fn is_authenticated(&self, scheme: &str) -> bool {
        match scheme {
            "digest" => self.digest_enabled,
            "sasl" => self.sasl.has_acls,
            "x509" => self.x509,
            _ => false,
        }
    }

    /// The user behind an identity, as whoAmI tells it; empty if the scheme does
    /// not say.
    pub(crate) fn user_name<'i>(&self, identity: &'i AclId) -> &'i str {
        match identity.scheme.as_str() {
            "digest" if self.digest_enabled => digest::user_name(&identity.id),
            "ip" => &identity.id,
            "sasl" if self.sasl.has_acls => &identity.id,
            "x509" if self.x509 => &identity.id,
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

    fn schemes() -> Schemes {
        Schemes {
            digest_enabled: true,
            super_digest: Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".to_owned()),
            skip_acl: false,
            enforced: Vec::new(),
            sasl: SaslConfig::default(),
            x509: false,
            x509_super_user: None,
        }
    }

    fn digest(credentials: &str) -> Vec<AclId> {
        schemes()
            .authenticate(Some("digest"), Some(credentials.as_bytes()), PEER)
            .unwrap()
    }

    #[test]
    fn credentials_make_identities() {
        assert_eq!(
            digest("own:er"),
            [AclId::new("digest", "own:WB9qmW9kBoTSnXyoit3HXD1EF4E=")]
        );
        assert_eq!(digest("super:admin")[0], AclId::new("super", ""));
        assert_eq!(digest("super:admin").len(), 2);
        assert_eq!(digest("super:wrong").len(), 1);
        let ip = schemes().authenticate(Some("ip"), None, PEER);
        assert_eq!(ip, Ok(vec![AclId::new("ip", "10.1.2.3")]));
        for (scheme, credentials) in [
            (Some("digest"), None),
            (Some("world"), Some(b"anyone".as_slice())),
            (Some("sasl"), Some(b"".as_slice())),
            (None, Some(b"u:p".as_slice())),
        ] {
            let answer = schemes().authenticate(scheme, credentials, PEER);
            assert_eq!(answer, Err(AuthFailed), "{scheme:?}");
        }
    }

    #[test]
    fn acls_grant_by_scheme() {
        let schemes = schemes();
        let owner = digest("own:er");
        let acl = [
            Acl::new(Perms::READ, AclId::anyone()),
            Acl::new(Perms::WRITE, owner[0].clone()),
            Acl::new(Perms::DELETE, AclId::new("ip", "10.0.0.0/8")),
        ];
        let address = [AclId::new("ip", "10.1.2.3")];
        assert!(schemes.permits(&acl, Perms::READ, &[]));
        assert!(!schemes.permits(&acl, Perms::WRITE, &[]));
        assert!(schemes.permits(&acl, Perms::WRITE, &owner));
        assert!(!schemes.permits(&acl, Perms::WRITE, &digest("own:other")));
        assert!(schemes.permits(&acl, Perms::DELETE, &address));
        assert!(!schemes.permits(&acl, Perms::ADMIN, &owner));
        assert!(schemes.permits(&acl, Perms::READ | Perms::ADMIN, &[]));
        assert!(schemes.permits(&acl, Perms::ADMIN, &digest("super:admin")));
        assert!(schemes.permits(&[], Perms::ADMIN, &[]), "no acl, no check");
    }

    #[test]
    fn acls_can_be_off_and_authentication_can_be_enforced() {
        let nobody = [Acl::new(Perms::NONE, AclId::anyone())];
        let skipping = Schemes {
            skip_acl: true,
            ..schemes()
        };
        assert!(skipping.permits(&nobody, Perms::ALL, &[]));
        assert!(!schemes().permits(&nobody, Perms::ALL, &[]));
        let enforcing = Schemes {
            enforced: vec!["digest".to_owned()],
            ..schemes()
        };
        assert!(!enforcing.admits(&[AclId::new("ip", "10.1.2.3")]));
        assert!(enforcing.admits(&digest("any:one")));
        assert!(schemes().admits(&[]));
    }
}
