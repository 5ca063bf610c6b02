//! The records of the client protocol.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use zk_proto::record::*;

pub(crate) use super::data::{acl, acl_id, stat};
use super::data::{
    acls, cow_text, cow_texts, credential, error_code, int, long, null_or_acls, null_or_buffer,
    null_or_bytes, null_or_text, password, session_id, text, texts, xid, zxid,
};

/// A strategy for a record whose fields have strategies of their own. On the heap:
/// a multi of them all would be too much for a test's stack.
macro_rules! strategy {
    ($function:ident, $record:ident $(<$lt:lifetime>)? { $($field:ident: $strategy:expr),* $(,)? }) => {
        pub(crate) fn $function() -> BoxedStrategy<$record $(<$lt>)?> {
            ($($strategy,)*).prop_map(|($($field,)*)| $record { $($field),* }).boxed()
        }
    };
}

strategy!(
    request_header,
    RequestHeader {
        xid: xid(),
        op: int()
    }
);
strategy!(
    reply_header,
    ReplyHeader {
        xid: xid(),
        zxid: zxid(),
        err: error_code()
    }
);
strategy!(
    multi_header,
    MultiHeader {
        op: int(),
        done: any::<bool>(),
        err: int()
    }
);

strategy!(
    connect_request,
    ConnectRequest {
        protocol_version: int(),
        last_zxid_seen: zxid(),
        timeout_ms: int(),
        session_id: session_id(),
        password: password(),
        read_only: option::of(any::<bool>()),
    }
);
strategy!(
    connect_response,
    ConnectResponse {
        protocol_version: int(),
        timeout_ms: int(),
        session_id: session_id(),
        password: password(),
        read_only: option::of(any::<bool>()),
    }
);

strategy!(create_request, CreateRequest<'static> {
    path: cow_text(),
    data: null_or_buffer(),
    acl: null_or_acls(),
    flags: int(),
});
strategy!(create_ttl_request, CreateTtlRequest<'static> {
    path: cow_text(),
    data: null_or_buffer(),
    acl: null_or_acls(),
    flags: int(),
    ttl_ms: long(),
});
strategy!(create_response, CreateResponse<'static> { path: cow_text() });
strategy!(create2_response, Create2Response<'static> { path: cow_text(), stat: stat() });
strategy!(delete_request, DeleteRequest<'static> { path: cow_text(), version: int() });
strategy!(delete_container_request, DeleteContainerRequest<'static> { path: null_or_buffer() });

strategy!(exists_request, ExistsRequest<'static> { path: cow_text(), watch: any::<bool>() });
strategy!(exists_response, ExistsResponse { stat: stat() });
strategy!(get_data_request, GetDataRequest<'static> { path: cow_text(), watch: any::<bool>() });
strategy!(
    get_data_response,
    GetDataResponse {
        data: null_or_bytes(),
        stat: stat()
    }
);
strategy!(set_data_request, SetDataRequest<'static> {
    path: cow_text(),
    data: null_or_buffer(),
    version: int(),
});
strategy!(set_data_response, SetDataResponse { stat: stat() });
strategy!(check_version_request, CheckVersionRequest<'static> { path: cow_text(), version: int() });
strategy!(sync_request, SyncRequest<'static> { path: cow_text() });
strategy!(sync_response, SyncResponse<'static> { path: cow_text() });
strategy!(reconfig_request, ReconfigRequest<'static> {
    joining_servers: null_or_text(),
    leaving_servers: null_or_text(),
    new_members: null_or_text(),
    config_id: long(),
});

strategy!(get_children_request, GetChildrenRequest<'static> {
    path: cow_text(),
    watch: any::<bool>(),
});
strategy!(
    get_children_response,
    GetChildrenResponse { children: texts() }
);
strategy!(get_children2_request, GetChildren2Request<'static> {
    path: cow_text(),
    watch: any::<bool>(),
});
strategy!(
    get_children2_response,
    GetChildren2Response {
        children: texts(),
        stat: stat()
    }
);
strategy!(get_all_children_number_request, GetAllChildrenNumberRequest<'static> {
    path: cow_text(),
});
strategy!(
    get_all_children_number_response,
    GetAllChildrenNumberResponse {
        total_number: int()
    }
);
strategy!(get_ephemerals_request, GetEphemeralsRequest<'static> { prefix_path: null_or_text() });
strategy!(
    get_ephemerals_response,
    GetEphemeralsResponse {
        ephemerals: texts()
    }
);

strategy!(get_acl_request, GetAclRequest<'static> { path: cow_text() });
strategy!(
    get_acl_response,
    GetAclResponse {
        acl: acls(),
        stat: stat()
    }
);
strategy!(set_acl_request, SetAclRequest<'static> {
    path: cow_text(),
    acl: null_or_acls(),
    version: int(),
});
strategy!(set_acl_response, SetAclResponse { stat: stat() });

strategy!(auth_packet, AuthPacket<'static> {
    kind: int(),
    scheme: cow_text(),
    auth: credential(),
});
strategy!(get_sasl_request, GetSaslRequest<'static> { token: credential() });
strategy!(set_sasl_response, SetSaslResponse<'static> { token: credential() });
strategy!(
    client_info,
    ClientInfo {
        auth_scheme: text(),
        user: text()
    }
);
strategy!(
    who_am_i_response,
    WhoAmIResponse {
        client_info: vec(client_info(), 0..4)
    }
);

strategy!(watcher_event, WatcherEvent<'static> {
    event_type: int(),
    state: int(),
    path: cow_text(),
});
strategy!(set_watches, SetWatches<'static> {
    relative_zxid: zxid(),
    data_watches: cow_texts(),
    exist_watches: cow_texts(),
    child_watches: cow_texts(),
});
strategy!(set_watches2, SetWatches2<'static> {
    relative_zxid: zxid(),
    data_watches: cow_texts(),
    exist_watches: cow_texts(),
    child_watches: cow_texts(),
    persistent_watches: cow_texts(),
    persistent_recursive_watches: cow_texts(),
});
strategy!(add_watch_request, AddWatchRequest<'static> { path: cow_text(), mode: int() });
strategy!(check_watches_request, CheckWatchesRequest<'static> {
    path: cow_text(),
    watcher_type: int(),
});
strategy!(remove_watches_request, RemoveWatchesRequest<'static> {
    path: cow_text(),
    watcher_type: int(),
});
strategy!(error_response, ErrorResponse { err: int() });

fn multi_op() -> impl Strategy<Value = MultiOp<'static>> {
    prop_oneof![
        create_request().prop_map(MultiOp::Create),
        create_request().prop_map(MultiOp::Create2),
        create_request().prop_map(MultiOp::CreateContainer),
        create_ttl_request().prop_map(MultiOp::CreateTtl),
        delete_request().prop_map(MultiOp::Delete),
        set_data_request().prop_map(MultiOp::SetData),
        check_version_request().prop_map(MultiOp::Check),
        get_data_request().prop_map(MultiOp::GetData),
        get_children_request().prop_map(MultiOp::GetChildren),
    ]
}

fn multi_result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        create_response().prop_map(MultiResult::Create),
        create2_response().prop_map(MultiResult::Create2),
        Just(MultiResult::Delete),
        set_data_response().prop_map(MultiResult::SetData),
        Just(MultiResult::Check),
        get_data_response().prop_map(MultiResult::GetData),
        get_children_response().prop_map(MultiResult::GetChildren),
        error_code().prop_map(MultiResult::Error),
    ]
}

strategy!(multi_request, MultiRequest<'static> { ops: vec(multi_op(), 0..5) });
strategy!(
    multi_response,
    MultiResponse {
        results: vec(multi_result(), 0..5)
    }
);
