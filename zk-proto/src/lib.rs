//! The Apache ZooKeeper wire protocol: jute primitives, frames, the records of
//! every client operation, paths, ACLs and connect strings.
//!
//! There is no socket, runtime, thread or clock in here. A client writes a frame
//! and reads one like this:
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use zk_proto::{Decode, FrameDecoder, OpCode, Reader, ReplyHeader, RequestHeader, Xid, encode_frame};
//! use zk_proto::record::{GetDataRequest, GetDataResponse};
//!
//! let mut out = BytesMut::new();
//! let header = RequestHeader { xid: Xid(1), op: OpCode::GetData.into() };
//! encode_frame(&mut out, &(header, GetDataRequest { path: "/a".into(), watch: false }));
//!
//! let mut input = BytesMut::from(&out[..]); // bytes as they arrive
//! let mut frames = FrameDecoder::new(1_048_575);
//! while let Some(frame) = frames.decode(&mut input)? {
//!     let mut reader = Reader::new(&frame);
//!     let header = RequestHeader::decode(&mut reader)?;
//!     let body = GetDataRequest::decode(&mut reader)?;
//!     assert_eq!((header.xid, &*body.path), (Xid(1), "/a"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Decoding never panics, never recurses on input, and allocates no more than the
//! bytes that are there justify.

mod connect_string;
pub mod data;
mod error_code;
mod frame;
mod ids;
pub mod jute;
mod op_code;
pub mod path;
pub mod record;
#[cfg(feature = "sasl")]
pub mod sasl;

pub use connect_string::{ConnectString, ConnectStringError, HostPort};
pub use data::{
    Acl, AclId, CreateMode, CreateOptions, EventType, KeeperState, Perms, Stat, WatcherType,
};
pub use error_code::ErrorCode;
pub use frame::{DEFAULT_FRAME_LIMIT, FrameDecoder, FrameError, encode_frame};
pub use ids::{Password, SessionId, Xid, Zxid};
pub use jute::{Decode, DecodeError, DecodeReason, Encode, Reader};
pub use op_code::OpCode;
pub use path::{Chroot, PathError};
pub use record::{ReplyHeader, RequestHeader};
