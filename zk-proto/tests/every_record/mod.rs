//! The list of all records, for tests that must leave none out.

/// Calls the macro `$then` with the name of every record type. A test in
/// `fixtures.rs` compares the list with the sources.
macro_rules! every_record {
    ($then:ident) => {
        $then! {
            Acl AclId AddWatchRequest AuthPacket CheckVersionRequest CheckWatchesRequest
            ClientInfo ConnectRequest ConnectResponse Create2Response CreateRequest
            CreateResponse CreateTtlRequest DeleteContainerRequest DeleteRequest
            ErrorResponse ExistsRequest ExistsResponse GetAclRequest GetAclResponse
            GetAllChildrenNumberRequest GetAllChildrenNumberResponse GetChildren2Request
            GetChildren2Response GetChildrenRequest GetChildrenResponse GetDataRequest
            GetDataResponse GetEphemeralsRequest GetEphemeralsResponse GetSaslRequest
            MultiHeader MultiRequest MultiResponse ReconfigRequest RemoveWatchesRequest
            ReplyHeader RequestHeader SetAclRequest SetAclResponse SetDataRequest
            SetDataResponse SetSaslResponse SetWatches SetWatches2 Stat SyncRequest
            SyncResponse WatcherEvent WhoAmIResponse
        }
    };
}
