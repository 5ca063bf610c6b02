//! From a reply's bytes to the operation's value, in the caller's task.

use bytes::Bytes;
use zk_proto::record::{
    ClientInfo, Create2Response, CreateResponse, ExistsResponse, GetAclResponse,
    GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse, GetDataResponse,
    GetEphemeralsResponse, MultiResponse, MultiResult, WhoAmIResponse,
};
use zk_proto::{Acl, Chroot, Decode, DecodeError, DecodeReason, ErrorCode, Reader, Stat};

use crate::error::Error;
use crate::reply::{Asked, RawReply};

/// `T` from the body of a good reply. The record may borrow from the body, so the
/// value is made inside.
macro_rules! body {
    ($raw:expr, $asked:expr, $record:ty) => {{
        let body = $raw.ok($asked)?;
        <$record>::decode(&mut Reader::new(&body))?
    }};
}

/// The caller's name for a path of the server; it lies within the chroot, because
/// the request's did.
pub(crate) fn strip(chroot: &Chroot, path: &str) -> String {
    chroot.to_client(path).unwrap_or(path).to_owned()
}

pub(crate) fn nothing(raw: RawReply, asked: &Asked) -> Result<(), Error> {
    raw.ok(asked).map(drop)
}

pub(crate) fn created(raw: RawReply, asked: &Asked) -> Result<String, Error> {
    let body = raw.ok(asked)?;
    let created = CreateResponse::decode(&mut Reader::new(&body))?;
    Ok(strip(&asked.chroot, &created.path))
}

pub(crate) fn created2(raw: RawReply, asked: &Asked) -> Result<(String, Stat), Error> {
    let body = raw.ok(asked)?;
    let created = Create2Response::decode(&mut Reader::new(&body))?;
    Ok((strip(&asked.chroot, &created.path), created.stat))
}

pub(crate) fn created2_path(raw: RawReply, asked: &Asked) -> Result<String, Error> {
    created2(raw, asked).map(|(path, _)| path)
}

/// Any record that is a `Stat` alone.
pub(crate) fn stat(raw: RawReply, asked: &Asked) -> Result<Stat, Error> {
    Ok(body!(raw, asked, ExistsResponse).stat)
}

pub(crate) fn found(raw: RawReply, asked: &Asked) -> Result<Option<Stat>, Error> {
    match raw.err {
        ErrorCode::NoNode => Ok(None),
        _ => stat(raw, asked).map(Some),
    }
}

pub(crate) fn data(raw: RawReply, asked: &Asked) -> Result<(Bytes, Stat), Error> {
    let GetDataResponse { data, stat } = body!(raw, asked, GetDataResponse);
    Ok((data.unwrap_or_default(), stat))
}

pub(crate) fn children(raw: RawReply, asked: &Asked) -> Result<Vec<String>, Error> {
    Ok(body!(raw, asked, GetChildrenResponse).children)
}

pub(crate) fn children2(raw: RawReply, asked: &Asked) -> Result<(Vec<String>, Stat), Error> {
    let GetChildren2Response { children, stat } = body!(raw, asked, GetChildren2Response);
    Ok((children, stat))
}

pub(crate) fn number(raw: RawReply, asked: &Asked) -> Result<i32, Error> {
    Ok(body!(raw, asked, GetAllChildrenNumberResponse).total_number)
}

/// The prefix is text, so the server's answer may reach outside the chroot.
pub(crate) fn ephemerals(raw: RawReply, asked: &Asked) -> Result<Vec<String>, Error> {
    let paths = body!(raw, asked, GetEphemeralsResponse).ephemerals;
    Ok(paths
        .iter()
        .filter_map(|path| asked.chroot.to_client(path))
        .map(str::to_owned)
        .collect())
}

pub(crate) fn acl(raw: RawReply, asked: &Asked) -> Result<(Vec<Acl>, Stat), Error> {
    let GetAclResponse { acl, stat } = body!(raw, asked, GetAclResponse);
    Ok((acl, stat))
}

pub(crate) fn identities(raw: RawReply, asked: &Asked) -> Result<Vec<ClientInfo>, Error> {
    Ok(body!(raw, asked, WhoAmIResponse).client_info)
}

pub(crate) fn results(raw: RawReply, asked: &Asked) -> Result<Vec<MultiResult>, Error> {
    Ok(body!(raw, asked, MultiResponse).results)
}

/// A transaction of one check.
pub(crate) fn checked(raw: RawReply, asked: &Asked) -> Result<(), Error> {
    let results = results(raw, asked)?;
    match &results[..] {
        [MultiResult::Check] => Ok(()),
        [MultiResult::Error(code)] if *code != ErrorCode::Ok => Err(Error::Server {
            code: *code,
            path: asked.path.clone(),
        }),
        other => Err(wrong_results(other)),
    }
}

/// Results that do not fit the operations asked for, in number or in kind.
pub(crate) fn wrong_results(results: &[MultiResult]) -> Error {
    let count = i64::try_from(results.len()).unwrap_or(i64::MAX);
    Error::BadReply(DecodeError {
        record: "MultiResponse",
        field: "results",
        reason: DecodeReason::UnknownValue(count),
    })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use zk_proto::Encode;
    use zk_proto::data::Perms;

    use super::*;

    fn good(body: &impl Encode) -> RawReply {
        let mut bytes = BytesMut::new();
        body.encode(&mut bytes);
        RawReply {
            err: ErrorCode::Ok,
            body: bytes.freeze(),
        }
    }

    fn refused(err: ErrorCode) -> RawReply {
        RawReply {
            err,
            body: Bytes::new(),
        }
    }

    fn asked(chroot: &str) -> Asked {
        Asked {
            path: "/a".into(),
            chroot: Chroot::new(chroot).unwrap(),
            ops: 1,
        }
    }

    #[test]
    fn a_verdict_names_the_callers_path() {
        let error = created(refused(ErrorCode::NodeExists), &asked("/app")).unwrap_err();
        let expected = Error::Server {
            code: ErrorCode::NodeExists,
            path: "/a".into(),
        };
        assert_eq!(error, expected);
    }

    #[test]
    fn a_created_path_is_shown_below_the_chroot() {
        let created = created(good(&"/app/a0000000007"), &asked("/app"));
        assert_eq!(created.unwrap(), "/a0000000007");
        let stat = Stat::default();
        let created = created2(good(&("/app/a", stat)), &asked("/app"));
        assert_eq!(created.unwrap(), ("/a".into(), stat));
    }

    #[test]
    fn a_path_of_a_neighbour_of_the_chroot_is_left_whole() {
        assert_eq!(strip(&asked("/app").chroot, "/apple/a"), "/apple/a");
    }

    #[test]
    fn missing_is_an_answer_to_exists_and_an_error_to_everything_else() {
        assert_eq!(found(refused(ErrorCode::NoNode), &asked("/")), Ok(None));
        assert!(found(refused(ErrorCode::NoAuth), &asked("/")).is_err());
        assert!(data(refused(ErrorCode::NoNode), &asked("/")).is_err());
    }

    #[test]
    fn null_data_reads_as_empty() {
        let null = (None::<Bytes>, Stat::default());
        let (bytes, _) = data(good(&null), &asked("/")).unwrap();
        assert!(bytes.is_empty());
    }

    #[test]
    fn ephemerals_outside_the_chroot_are_left_out() {
        let paths: Vec<String> = ["/app/x", "/apple/y", "/z"].map(str::to_owned).to_vec();
        let below = ephemerals(good(&paths), &asked("/app"));
        assert_eq!(below.unwrap(), ["/x"]);
    }

    #[test]
    fn a_body_that_cannot_be_read_is_a_bad_reply_of_something_applied() {
        let raw = || RawReply {
            err: ErrorCode::Ok,
            body: Bytes::from_static(b"\x7f\xff"),
        };
        let asked = asked("/");
        let errors = [
            created(raw(), &asked).unwrap_err(),
            created2(raw(), &asked).unwrap_err(),
            stat(raw(), &asked).unwrap_err(),
            data(raw(), &asked).unwrap_err(),
            children(raw(), &asked).unwrap_err(),
            children2(raw(), &asked).unwrap_err(),
            number(raw(), &asked).unwrap_err(),
            acl(raw(), &asked).unwrap_err(),
            identities(raw(), &asked).unwrap_err(),
            results(raw(), &asked).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::BadReply(_)), "{error}");
            assert_eq!(error.outcome(), crate::Outcome::Applied);
        }
    }

    #[test]
    fn a_check_has_exactly_one_result() {
        let check =
            |results: Vec<MultiResult>| checked(good(&MultiResponse { results }), &asked("/"));
        assert_eq!(check(vec![MultiResult::Check]), Ok(()));
        let bad_version = check(vec![MultiResult::Error(ErrorCode::BadVersion)]).unwrap_err();
        assert_eq!(bad_version.code(), Some(ErrorCode::BadVersion));
        for wrong in [
            vec![],
            vec![MultiResult::Check, MultiResult::Check],
            vec![MultiResult::Delete],
            vec![MultiResult::Error(ErrorCode::Ok)],
        ] {
            assert!(matches!(check(wrong), Err(Error::BadReply(_))));
        }
    }

    #[test]
    fn an_acl_comes_with_its_stat() {
        let entry = Acl::new(Perms::READ, zk_proto::AclId::anyone());
        let body = (vec![entry.clone()], Stat::default());
        assert_eq!(acl(good(&body), &asked("/")).unwrap().0, [entry]);
    }
}
