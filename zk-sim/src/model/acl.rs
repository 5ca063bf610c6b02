//! Who somebody is, and what he may do.

use std::net::Ipv6Addr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use bytes::Bytes;
use sha1::{Digest, Sha1};
use zk_proto::record::{Credential, GetSaslRequest, SetSaslResponse};
use zk_proto::{Acl, AclId, Decode, DecodeError, ErrorCode, Perms, Reader};

use super::Answer;
use super::error::{Refusal, ensure};
use super::request::{RawAcl, Text};

/// Adds to `known` what the body of an auth packet proves, and says what it is answered.
/// None if it cannot be read, for which a server hangs up.
pub fn authenticate(
    known: &mut Vec<AclId>,
    body: &Bytes,
    super_digest: Option<&str>,
) -> Option<ErrorCode> {
    let (scheme, secret) = auth_packet(&mut Reader::new(body)).ok()?;
    Some(match (scheme.as_deref(), secret) {
        (Some("ip"), _) => ErrorCode::Ok,
        (Some("digest"), Some(secret)) => {
            let id = digest_of(&String::from_utf8_lossy(&secret));
            if super_digest == Some(&*id) {
                add(known, AclId::new("super", ""));
            }
            add(known, AclId::new("digest", id));
            ErrorCode::Ok
        }
        (_, _) => ErrorCode::AuthFailed,
    })
}

/// Either may be null.
fn auth_packet<'a>(body: &mut Reader<'a>) -> Result<(Text<'a>, Option<Bytes>), DecodeError> {
    let _type = i32::decode(body)?;
    Ok((Decode::decode(body)?, Decode::decode(body)?))
}

/// A step of a SASL exchange with a server that knows no SASL: any token is answered
/// with none, and a client without one is hung up on, as is one that makes no sense.
pub fn sasl(body: &Bytes) -> Option<Answer> {
    let request = GetSaslRequest::decode(&mut Reader::new(body)).ok()?;
    request.token.0?;
    let token = Credential(None);
    Some(Answer::of(&SetSaslResponse { token }))
}

/// The hash covers the whole secret, which need not have a colon.
fn digest_of(secret: &str) -> String {
    let user = secret.split(':').next().unwrap_or_default();
    let hash = STANDARD.encode(Sha1::digest(secret));
    format!("{user}:{hash}")
}

fn add(known: &mut Vec<AclId>, id: AclId) {
    if !known.contains(&id) {
        known.push(id);
    }
}

/// Whether one of `identities` has one of the permissions `wanted`.
pub(super) fn allows(acl: &[Acl], wanted: Perms, identities: &[AclId]) -> bool {
    let is_super = identities.iter().any(|id| id.scheme == "super");
    acl.is_empty()
        || is_super
        || acl.iter().any(|entry| {
            let (granted, id) = (entry.perms, &entry.id);
            granted.intersects(wanted) && identities_match(id, identities)
        })
}

fn identities_match(granted: &AclId, identities: &[AclId]) -> bool {
    if granted.scheme == "world" {
        return granted.id == "anyone";
    }
    let mut same_scheme = identities.iter().filter(|id| id.scheme == granted.scheme);
    match &*granted.scheme {
        "ip" => same_scheme.any(|id| is_in_net(&id.id, &granted.id)),
        _ => same_scheme.any(|id| id.id == granted.id),
    }
}

/// The list as it is stored.
pub(super) fn fix_up(
    acl: Option<&[RawAcl<'_>]>,
    identities: &[AclId],
) -> Result<Vec<Acl>, Refusal> {
    let given = acl.unwrap_or(&[]);
    ensure(!given.is_empty(), ErrorCode::InvalidAcl)?;
    let mut fixed = Vec::new();
    for (at, entry) in given.iter().enumerate() {
        if !given[..at].contains(entry) {
            fix_entry(entry, identities, &mut fixed)?;
        }
    }
    Ok(fixed)
}

fn fix_entry(
    entry: &RawAcl<'_>,
    identities: &[AclId],
    fixed: &mut Vec<Acl>,
) -> Result<(), Refusal> {
    let perms = Perms(entry.perms);
    let Some(scheme) = &entry.scheme else {
        return Err(ErrorCode::InvalidAcl.into());
    };
    if scheme == "auth" {
        // Only digests count as proved; an address is no proof.
        let proved = identities.iter().filter(|id| id.scheme == "digest");
        let before = fixed.len();
        fixed.extend(proved.map(|id| Acl::new(perms, id.clone())));
        return ensure(fixed.len() > before, ErrorCode::InvalidAcl);
    }
    let known = matches!(&**scheme, "world" | "digest" | "ip");
    ensure(known, ErrorCode::InvalidAcl)?;
    let Some(id) = &entry.id else {
        return Err(ErrorCode::MarshallingError.into());
    };
    let is_valid = match &**scheme {
        "world" => id == "anyone",
        "digest" => is_digest(id),
        _ => net_of(id).is_some(),
    };
    ensure(is_valid, ErrorCode::InvalidAcl)?;
    fixed.push(Acl::new(perms, AclId::new(&**scheme, &**id)));
    Ok(())
}

/// Two parts around a colon, where empty ones at the end do not count.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// Address bytes, and how many of their bits count.
fn net_of(id: &str) -> Option<(Vec<u8>, usize)> {
    let (address, bits) = match id.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (id, None),
    };
    let bytes = address_of(address)?;
    let width = bytes.len() * 8;
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= width)?,
        None => width,
    };
    Some((bytes, bits))
}

fn address_of(text: &str) -> Option<Vec<u8>> {
    if !text.contains(':') {
        let parts: Vec<u8> = text
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        return (parts.len() == 4).then_some(parts);
    }
    let is_plain = !text.contains('.');
    let address: Ipv6Addr = text.parse().ok().filter(|_| is_plain)?;
    Some(address.octets().to_vec())
}

fn is_in_net(address: &str, net: &str) -> bool {
    let (Some((address, _)), Some((net, bits))) = (net_of(address), net_of(net)) else {
        return false;
    };
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] & (0x80 >> (at % 8)) != 0;
    address.len() == net.len() && (0..bits).all(|at| bit(&address, at) == bit(&net, at))
}

/// The list as those see it who may not administer it.
pub(super) fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mask = |entry: &Acl| {
        let mut entry = entry.clone();
        if entry.id.scheme == "digest"
            && let Some((user, _)) = entry.id.id.split_once(':')
        {
            entry.id.id = format!("{user}:x");
        }
        entry
    };
    acl.iter().map(mask).collect()
}

/// What whoAmI calls an identity.
pub(super) fn user_of(id: &AclId) -> String {
    match &*id.scheme {
        "digest" => id.id.split(':').next().unwrap_or_default().to_owned(),
        "ip" => id.id.clone(),
        _ => String::new(),
    }
}
