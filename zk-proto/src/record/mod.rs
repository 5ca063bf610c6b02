//! The records of every client operation, an operation's request and reply
//! together, in files by theme. Requests borrow what they can, so that a client
//! encodes from its caller's arguments and a server decodes without copying.

mod acl;
mod auth;
mod children;
mod connect;
mod create;
mod data;
mod header;
mod multi;
mod watches;

pub use acl::{GetAclRequest, GetAclResponse, SetAclRequest, SetAclResponse};
pub use auth::{
    AuthPacket, ClientInfo, Credential, GetSaslRequest, SetSaslResponse, WhoAmIResponse,
};
pub use children::{
    GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetChildren2Request,
    GetChildren2Response, GetChildrenRequest, GetChildrenResponse, GetEphemeralsRequest,
    GetEphemeralsResponse,
};
pub use connect::{ConnectRequest, ConnectResponse};
pub use create::{
    Create2Response, CreateRequest, CreateResponse, CreateTtlRequest, DeleteContainerRequest,
    DeleteRequest,
};
pub use data::{
    CheckVersionRequest, ExistsRequest, ExistsResponse, GetDataRequest, GetDataResponse,
    ReconfigRequest, SetDataRequest, SetDataResponse, SyncRequest, SyncResponse,
};
pub use header::{MultiHeader, ReplyHeader, RequestHeader};
pub use multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
pub use watches::{
    AddWatchRequest, CheckWatchesRequest, ErrorResponse, RemoveWatchesRequest, SetWatches,
    SetWatches2, WatcherEvent,
};
