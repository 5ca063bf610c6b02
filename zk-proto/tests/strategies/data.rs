//! Values that records carry.

use std::borrow::Cow;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use zk_proto::data::Perms;
use zk_proto::record::Credential;
use zk_proto::{Acl, AclId, ErrorCode, Password, SessionId, Stat, Xid, Zxid};

/// Numbers, with the ones that have a meaning of their own more often.
pub(super) fn int() -> impl Strategy<Value = i32> {
    prop_oneof![
        3 => any::<i32>(),
        1 => prop_oneof![Just(-1), Just(0), Just(1), Just(i32::MIN), Just(i32::MAX)],
    ]
}

pub(super) fn long() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => any::<i64>(),
        1 => prop_oneof![Just(-1), Just(0), Just(1), Just(i64::MIN), Just(i64::MAX)],
    ]
}

/// Text of any kind: a path is checked elsewhere, not by its record.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "(/[a-z0-9_-]{1,8}){1,4}",
        1 => any::<String>(),
        1 => Just(String::new()),
    ]
}

pub(super) fn cow_text() -> impl Strategy<Value = Cow<'static, str>> {
    text().prop_map(Cow::Owned)
}

pub(super) fn null_or_text() -> impl Strategy<Value = Option<Cow<'static, str>>> {
    option::of(cow_text())
}

pub(super) fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..5)
}

pub(super) fn cow_texts() -> impl Strategy<Value = Vec<Cow<'static, str>>> {
    vec(cow_text(), 0..5)
}

fn buffer() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 250..300)]
}

pub(super) fn null_or_bytes() -> impl Strategy<Value = Option<Bytes>> {
    option::of(buffer().prop_map(Bytes::from))
}

pub(super) fn null_or_buffer() -> impl Strategy<Value = Option<Cow<'static, [u8]>>> {
    option::of(buffer().prop_map(Cow::Owned))
}

pub(super) fn credential() -> impl Strategy<Value = Credential<'static>> {
    null_or_buffer().prop_map(Credential)
}

pub(super) fn zxid() -> impl Strategy<Value = Zxid> {
    long().prop_map(Zxid)
}

pub(super) fn xid() -> impl Strategy<Value = Xid> {
    int().prop_map(Xid)
}

pub(super) fn session_id() -> impl Strategy<Value = SessionId> {
    long().prop_map(SessionId)
}

/// Sixteen bytes by custom, any number by the protocol.
pub(super) fn password() -> impl Strategy<Value = Password> {
    prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 0..20)].prop_map(Password::new)
}

/// A code with a name is never `Other`.
pub(super) fn error_code() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![
        proptest::sample::select(ErrorCode::NAMED),
        int().prop_map(ErrorCode::from),
    ]
}

pub(crate) fn acl_id() -> impl Strategy<Value = AclId> {
    (text(), text()).prop_map(|(scheme, id)| AclId { scheme, id })
}

pub(crate) fn acl() -> impl Strategy<Value = Acl> {
    (int(), acl_id()).prop_map(|(perms, id)| Acl::new(Perms(perms), id))
}

pub(super) fn acls() -> impl Strategy<Value = Vec<Acl>> {
    vec(acl(), 0..4)
}

pub(super) fn null_or_acls() -> impl Strategy<Value = Option<Vec<Acl>>> {
    option::of(acls())
}

pub(crate) fn stat() -> impl Strategy<Value = Stat> {
    let zxids = [zxid(), zxid(), zxid()];
    let times = [long(), long()];
    let ints = [int(), int(), int(), int(), int()];
    (zxids, times, ints, session_id()).prop_map(
        |([czxid, mzxid, pzxid], [ctime, mtime], ints, ephemeral_owner)| {
            let [version, cversion, aversion, data_length, num_children] = ints;
            Stat {
                czxid,
                mzxid,
                ctime,
                mtime,
                version,
                cversion,
                aversion,
                ephemeral_owner,
                data_length,
                num_children,
                pzxid,
            }
        },
    )
}
