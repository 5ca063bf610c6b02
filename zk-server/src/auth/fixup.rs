//! ACLs as clients send them become ACLs as znodes hold them (Apache's `fixupACL`).

use std::borrow::Cow;
use std::collections::BTreeSet;

use thiserror::Error;
use zk_proto::{Acl, AclId, Decode, DecodeError, Perms, Reader};

use super::schemes::Schemes;

/// An entry as it came off the wire, where scheme and id may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawAcl<'a> {
    pub(crate) perms: Perms,
    pub(crate) scheme: Option<Cow<'a, str>>,
    pub(crate) id: Option<Cow<'a, str>>,
}

impl<'a> Decode<'a> for RawAcl<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            perms: Decode::decode(reader)?,
            scheme: Decode::decode(reader)?,
            id: Decode::decode(reader)?,
        })
    }
}

/// Why an ACL cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FixupError {
    /// It is empty, or an entry is not what its scheme takes.
    #[error("invalid acl")]
    Invalid,
    /// A null where Apache's server does not expect one and fails: clients see a
    /// marshalling error.
    #[error("null in an acl")]
    Null,
}

/// `auth` entries times identities can be far more than the frame they came in.
/// This is what a frame of the default size could have carried.
const EXPANSION_LIMIT: usize = 90_000;

/// Drops exact duplicates, checks every entry, puts the connection's identities in
/// place of `auth`. `auth` is expanded after duplicates were dropped, so the result
/// may have some.
///
/// # Errors
///
/// The first entry that cannot be.
pub(crate) fn fixup(
    acl: Option<&[RawAcl<'_>]>,
    identities: &[AclId],
    schemes: &Schemes,
) -> Result<Vec<Acl>, FixupError> {
    let acl = acl.unwrap_or_default();
    let limit = acl.len().max(EXPANSION_LIMIT);
    let mut fixed = Vec::new();
    for entry in unique(acl) {
        let scheme = entry.scheme.as_deref().ok_or(FixupError::Invalid)?;
        if scheme == "auth" {
            expand(entry.perms, identities, schemes, &mut fixed)?;
            if fixed.len() > limit {
                return Err(FixupError::Invalid);
            }
            continue;
        }
        let id = match (entry.id.as_deref(), scheme) {
            (Some(id), _) => id,
            (None, "world") => return Err(FixupError::Null),
            (None, scheme) if schemes.knows(scheme) => return Err(FixupError::Null),
            (None, _) => return Err(FixupError::Invalid),
        };
        if (scheme, id) != ("world", "anyone") && !schemes.is_valid(scheme, id) {
            return Err(FixupError::Invalid);
        }
        fixed.push(Acl::new(entry.perms, AclId::new(scheme, id)));
    }
    if fixed.is_empty() {
        return Err(FixupError::Invalid);
    }
    Ok(fixed)
}

/// Each entry once, at its first place.
fn unique<'r, 'a>(acl: &'r [RawAcl<'a>]) -> impl Iterator<Item = &'r RawAcl<'a>> {
    let mut seen = BTreeSet::new();
    acl.iter()
        .filter(move |entry| seen.insert((entry.perms.0, &entry.scheme, &entry.id)))
}

fn expand(
    perms: Perms,
    identities: &[AclId],
    schemes: &Schemes,
    fixed: &mut Vec<Acl>,
) -> Result<(), FixupError> {
    let before = fixed.len();
    fixed.extend(
        identities
            .iter()
            .filter(|identity| schemes.is_authenticated(&identity.scheme))
            .map(|identity| Acl::new(perms, identity.clone())),
    );
    if fixed.len() == before {
        return Err(FixupError::Invalid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    fn entry<'a>(perms: i32, scheme: &'a str, id: &'a str) -> RawAcl<'a> {
        RawAcl {
            perms: Perms(perms),
            scheme: Some(scheme.into()),
            id: Some(id.into()),
        }
    }

    fn run(acl: &[RawAcl<'_>]) -> Result<Vec<Acl>, FixupError> {
        let config = ServerConfig::builder().build().unwrap();
        let identities = [
            AclId::new("ip", "127.0.0.1"),
            AclId::new("super", ""),
            AclId::new("digest", "a:1"),
            AclId::new("digest", "b:2"),
        ];
        fixup(Some(acl), &identities, &Schemes::new(&config))
    }

    fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
        Acl::new(Perms(perms), AclId::new(scheme, id))
    }

    #[test]
    fn duplicates_go_and_order_stays() {
        let list = [
            entry(1, "digest", "u:h"),
            entry(31, "world", "anyone"),
            entry(1, "digest", "u:h"),
            entry(2, "digest", "u:h"),
        ];
        assert_eq!(
            run(&list).unwrap(),
            [
                acl(1, "digest", "u:h"),
                acl(31, "world", "anyone"),
                acl(2, "digest", "u:h")
            ]
        );
    }

    #[test]
    fn auth_becomes_every_proven_identity_and_is_not_deduplicated() {
        let list = [entry(31, "auth", "whatever"), entry(31, "digest", "a:1")];
        assert_eq!(
            run(&list).unwrap(),
            [
                acl(31, "digest", "a:1"),
                acl(31, "digest", "b:2"),
                acl(31, "digest", "a:1")
            ]
        );
        let config = ServerConfig::builder().build().unwrap();
        let address_only = [AclId::new("ip", "127.0.0.1")];
        assert_eq!(
            fixup(Some(&list), &address_only, &Schemes::new(&config)),
            Err(FixupError::Invalid)
        );
    }

    #[test]
    fn expansion_is_bounded() {
        let list: Vec<_> = (0..100).map(|perms| entry(perms, "auth", "")).collect();
        let identities: Vec<_> = (0..1000)
            .map(|n| AclId::new("digest", format!("u{n}:h")))
            .collect();
        let config = ServerConfig::builder().build().unwrap();
        assert_eq!(
            fixup(Some(&list), &identities, &Schemes::new(&config)),
            Err(FixupError::Invalid)
        );
    }

    #[test]
    fn what_no_scheme_takes_is_invalid() {
        for (scheme, id) in [
            ("world", "everyone"),
            ("digest", "nocolon"),
            ("ip", "host"),
            ("super", ""),
            ("sasl", "bob"),
            ("", ""),
        ] {
            assert_eq!(
                run(&[entry(31, scheme, id)]),
                Err(FixupError::Invalid),
                "{scheme}"
            );
        }
        assert_eq!(run(&[]), Err(FixupError::Invalid));
        let config = ServerConfig::builder().build().unwrap();
        assert_eq!(
            fixup(None, &[], &Schemes::new(&config)),
            Err(FixupError::Invalid)
        );
    }

    #[test]
    fn nulls_are_invalid_or_fail_as_in_apache() {
        let null_scheme = RawAcl {
            scheme: None,
            ..entry(31, "", "x")
        };
        let null_id = |scheme| RawAcl {
            id: None,
            ..entry(31, scheme, "")
        };
        assert_eq!(run(&[null_scheme]), Err(FixupError::Invalid));
        assert_eq!(run(&[null_id("world")]), Err(FixupError::Null));
        assert_eq!(run(&[null_id("digest")]), Err(FixupError::Null));
        assert_eq!(run(&[null_id("sasl")]), Err(FixupError::Invalid));
        assert_eq!(run(&[null_id("auth")]).unwrap().len(), 2);
    }
}
