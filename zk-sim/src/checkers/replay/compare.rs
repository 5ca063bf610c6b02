//! When two replies say the same.

use bytes::Bytes;
use zk_proto::record::{
    GetAclResponse, GetChildren2Response, GetChildrenResponse, GetEphemeralsResponse,
    MultiResponse, MultiResult, WhoAmIResponse,
};
use zk_proto::{Decode, OpCode, Reader};

/// Whether both bodies say the same: byte for byte, except that the order is free in
/// which children, ephemerals, identities, and the ACL entries made of identities come.
pub(super) fn is_same(op: Option<OpCode>, expected: &Bytes, actual: &Bytes) -> bool {
    expected == actual || op.is_some_and(|op| is_reordered(op, expected, actual))
}

fn is_reordered(op: OpCode, a: &Bytes, b: &Bytes) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match op {
        OpCode::GetChildren => same_after(a, b, |reply: &mut GetChildrenResponse| {
            reply.children.sort();
        }),
        OpCode::GetChildren2 => same_after(a, b, |reply: &mut GetChildren2Response| {
            reply.children.sort();
        }),
        OpCode::GetEphemerals => same_after(a, b, |reply: &mut GetEphemeralsResponse| {
            reply.ephemerals.sort();
        }),
        OpCode::WhoAmI => same_after(a, b, |reply: &mut WhoAmIResponse| {
            let name =
                |info: &zk_proto::record::ClientInfo| (info.auth_scheme.clone(), info.user.clone());
            reply.client_info.sort_by_key(name);
        }),
        OpCode::GetAcl => same_after(a, b, |reply: &mut GetAclResponse| {
            reply
                .acl
                .sort_by_key(|entry| (entry.perms.0, entry.id.clone()));
        }),
        OpCode::MultiRead => same_after(a, b, |reply: &mut MultiResponse| {
            for result in &mut reply.results {
                if let MultiResult::GetChildren(reply) = result {
                    reply.children.sort();
                }
            }
        }),
        _ => false,
    }
}

fn same_after<'b, T: Decode<'b> + PartialEq>(
    a: &'b Bytes,
    b: &'b Bytes,
    normalise: impl Fn(&mut T),
) -> bool {
    let read = |body| {
        let mut reply = T::decode(&mut Reader::new(body)).ok()?;
        normalise(&mut reply);
        Some(reply)
    };
    let (a, b): (Option<T>, Option<T>) = (read(a), read(b));
    a.is_some() && a == b
}
