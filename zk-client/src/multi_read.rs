//! Several reads in one request.

use bytes::Bytes;
use zk_proto::record::{GetChildrenRequest, GetDataRequest, MultiOp, MultiRequest, MultiResult};
use zk_proto::{ErrorCode, OpCode, Stat};

use crate::client::Client;
use crate::error::Error;
use crate::read;
use crate::reply::{Asked, RawReply, Reply};

/// The result of one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// Data and `Stat`; null data reads as empty.
    Data(Bytes, Stat),
    /// Names of children, in no order.
    Children(Vec<String>),
    /// This read failed; others may have succeeded.
    Error(ErrorCode),
}

/// Reads collected for one request. They are answered one by one and are no
/// snapshot. Servers before 3.6 are sent single reads instead.
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct MultiRead<'c> {
    client: &'c Client,
    ops: Vec<MultiOp<'static>>,
    invalid: Option<Error>,
}

impl<'c> MultiRead<'c> {
    pub(crate) const fn new(client: &'c Client) -> Self {
        Self {
            client,
            ops: Vec::new(),
            invalid: None,
        }
    }

    /// Reads data.
    pub fn get_data(self, path: &str) -> Self {
        self.add(path, |path| {
            MultiOp::GetData(GetDataRequest {
                path: path.into(),
                watch: false,
            })
        })
    }

    /// Lists children.
    pub fn get_children(self, path: &str) -> Self {
        self.add(path, |path| {
            MultiOp::GetChildren(GetChildrenRequest {
                path: path.into(),
                watch: false,
            })
        })
    }

    fn add(mut self, path: &str, op: impl FnOnce(String) -> MultiOp<'static>) -> Self {
        match self.client.server_path(path) {
            Ok(path) => self.ops.push(op(path.into_owned())),
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    /// Sends the reads; the results come in their order.
    ///
    /// # Errors
    ///
    /// An invalid path of any read, before anything is sent; else connection and
    /// session errors only.
    pub fn send(self) -> Reply<Vec<ReadResult>> {
        if let Some(error) = self.invalid {
            return Reply::failed(error);
        }
        let ops = self.ops.len();
        self.client
            .send(
                OpCode::MultiRead,
                "",
                None,
                &MultiRequest { ops: self.ops },
                read_results,
            )
            .unwrap_or_else(Reply::failed)
            .of(ops)
    }
}

fn read_results(raw: RawReply, asked: &Asked) -> Result<Vec<ReadResult>, Error> {
    let results = read::results(raw, asked)?;
    if results.len() != asked.ops {
        return Err(read::wrong_results(&results));
    }
    results.into_iter().map(read_result).collect()
}

fn read_result(result: MultiResult) -> Result<ReadResult, Error> {
    match result {
        MultiResult::GetData(got) => Ok(ReadResult::Data(got.data.unwrap_or_default(), got.stat)),
        MultiResult::GetChildren(got) => Ok(ReadResult::Children(got.children)),
        MultiResult::Error(code) => Ok(ReadResult::Error(code)),
        MultiResult::Create(_)
        | MultiResult::Create2(_)
        | MultiResult::Delete
        | MultiResult::SetData(_)
        | MultiResult::Check => Err(read::wrong_results(&[result])),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use zk_proto::record::{GetDataResponse, MultiResponse};
    use zk_proto::{Chroot, Encode};

    use super::*;

    /// The answer to two reads.
    fn read(results: Vec<MultiResult>) -> Result<Vec<ReadResult>, Error> {
        let mut body = BytesMut::new();
        MultiResponse { results }.encode(&mut body);
        let raw = RawReply {
            err: ErrorCode::Ok,
            body: body.freeze(),
        };
        let asked = Asked {
            path: "".into(),
            chroot: Chroot::none(),
            ops: 2,
        };
        read_results(raw, &asked)
    }

    fn data() -> MultiResult {
        MultiResult::GetData(GetDataResponse {
            data: None,
            stat: Stat::default(),
        })
    }

    #[test]
    fn each_read_has_its_own_result() {
        let results = read(vec![MultiResult::Error(ErrorCode::NoNode), data()]);
        let expected = [
            ReadResult::Error(ErrorCode::NoNode),
            ReadResult::Data(Bytes::new(), Stat::default()),
        ];
        assert_eq!(results.unwrap(), expected);
    }

    #[test]
    fn too_few_too_many_and_foreign_results_are_a_bad_reply() {
        for results in [
            vec![],
            vec![data()],
            vec![data(), data(), data()],
            vec![data(), MultiResult::Delete],
        ] {
            assert!(matches!(read(results), Err(Error::BadReply(_))));
        }
    }
}
