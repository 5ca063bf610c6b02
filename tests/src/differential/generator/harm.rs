//! What is not drawn because Apache does not stand it.

use zk_proto::path::is_within;
use zk_proto::record::MultiOp;

use super::super::model::Model;
use super::super::op::{Op, Request};

const QUOTA_ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATISTICS: &str = "/zookeeper_stats";

/// A znode that is created, set (with this data) or deleted (without).
type Write<'a> = (&'a str, Option<Option<&'a [u8]>>);

/// Whether the operation writes nonsense into a quota's statistics. Apache reads
/// those while it applies a transaction, and ends if it cannot.
pub(super) fn breaks_statistics(op: &Op) -> bool {
    writes(op).iter().any(|(path, data)| {
        let is_sound = |data: &[u8]| data.starts_with(b"count=");
        path.ends_with(STATISTICS) && data.is_some_and(|data| !data.is_some_and(is_sound))
    })
}

/// Whether one request of a pipeline is to be judged by a quota that another may
/// change. Apache judges by what has been applied, which is a race.
pub(super) fn races_for_quota(op: &Op, model: &Model) -> bool {
    let writes = writes(op);
    matches!(op, Op::Pipeline(..))
        && writes.len() > 1
        && writes.iter().any(|(path, _)| has_quota(path, model))
}

fn has_quota(path: &str, model: &Model) -> bool {
    is_within(path, QUOTA_ROOT)
        || model
            .paths()
            .filter_map(|limits| limits.strip_prefix(QUOTA_ROOT)?.strip_suffix(LIMITS))
            .any(|limited| is_within(path, limited))
}

fn writes(op: &Op) -> Vec<Write<'_>> {
    let mut writes = Vec::new();
    for request in op.requests().map_or(&[][..], |(_, requests)| requests) {
        match request.plain() {
            Request::Create(it) | Request::Create2(it) | Request::CreateContainer(it) => {
                writes.push((&*it.path, Some(it.data.as_deref())));
            }
            Request::CreateTtl(it) => writes.push((&*it.path, Some(it.data.as_deref()))),
            Request::SetData(it) => writes.push((&*it.path, Some(it.data.as_deref()))),
            Request::Delete(it) => writes.push((&*it.path, None)),
            Request::Multi(multi) => writes.extend(multi.ops.iter().filter_map(write)),
            _ => {}
        }
    }
    writes
}

fn write<'a>(op: &'a MultiOp<'_>) -> Option<Write<'a>> {
    Some(match op {
        MultiOp::Create(it) | MultiOp::Create2(it) | MultiOp::CreateContainer(it) => {
            (&*it.path, Some(it.data.as_deref()))
        }
        MultiOp::CreateTtl(it) => (&*it.path, Some(it.data.as_deref())),
        MultiOp::SetData(it) => (&*it.path, Some(it.data.as_deref())),
        MultiOp::Delete(it) => (&*it.path, None),
        MultiOp::Check(_) | MultiOp::GetData(_) | MultiOp::GetChildren(_) => return None,
    })
}
