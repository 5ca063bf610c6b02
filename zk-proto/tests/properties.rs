//! What holds of every record, whatever it carries.

use std::cell::OnceCell;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use zk_proto::record::*;
use zk_proto::{Acl, AclId, Decode, DecodeError, DecodeReason, Encode, Reader, Stat};

#[macro_use]
mod every_record;
#[path = "../../fuzz/harness/records.rs"]
mod records;
mod strategies;

/// Encodes, with `behind` after the value, decodes, compares. Bytes behind the
/// value stay unread.
fn round_trip<'a, T: Decode<'a> + Encode + Debug + PartialEq>(
    value: &T,
    behind: &[u8],
    wire: &'a OnceCell<Bytes>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<(), TestCaseError> {
    let mut out = encoded(value);
    prop_assert!(out.len() >= T::MIN_LEN);
    out.extend_from_slice(behind);
    let mut reader = Reader::new(wire.get_or_init(|| out.freeze()));
    prop_assert_eq!(&decode(&mut reader)?, value);
    prop_assert_eq!(&reader.rest()[..], behind);
    Ok(())
}

fn encoded(value: &impl Encode) -> BytesMut {
    let mut out = BytesMut::new();
    value.encode(&mut out);
    out
}

/// `whole` without its last bytes, once for every number of them.
fn cuts(whole: &Bytes) -> Vec<Bytes> {
    (0..whole.len()).map(|left| whole.slice(..left)).collect()
}

/// Each of `cuts` gives an error that names a place and says what is missing there.
fn cut_off<'a, T: Debug>(
    cuts: &'a [Bytes],
    decode: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<(), TestCaseError> {
    for cut in cuts {
        let Err(error) = decode(&mut Reader::new(cut)) else {
            return Err(TestCaseError::fail(format!(
                "decodes from {} bytes",
                cut.len()
            )));
        };
        prop_assert!(
            !error.record.is_empty() && !error.field.is_empty(),
            "{error}"
        );
        prop_assert!(
            matches!(error.reason, DecodeReason::Truncated { needed, left } if needed > left),
            "{error}"
        );
    }
    Ok(())
}

macro_rules! properties {
    ($($record:ident $strategy:ident),* $(,)?) => {
        $(mod $strategy {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(100))]

                #[test]
                fn round_trips(value in strategies::$strategy()) {
                    round_trip(&value, &[0, 1, 0xff], &OnceCell::new(), $record::decode)?;
                }

                #[test]
                fn cut_off_anywhere_is_an_error_that_names_the_place(
                    value in strategies::$strategy(),
                ) {
                    cut_off(&cuts(&encoded(&value).freeze()), $record::decode)?;
                }
            }
        })*

        const WITH_PROPERTIES: &[&str] = &[$(stringify!($record)),*];
    };
}

properties! {
    Acl acl,
    AclId acl_id,
    AddWatchRequest add_watch_request,
    AuthPacket auth_packet,
    CheckVersionRequest check_version_request,
    CheckWatchesRequest check_watches_request,
    ClientInfo client_info,
    Create2Response create2_response,
    CreateRequest create_request,
    CreateResponse create_response,
    CreateTtlRequest create_ttl_request,
    DeleteContainerRequest delete_container_request,
    DeleteRequest delete_request,
    ErrorResponse error_response,
    ExistsRequest exists_request,
    ExistsResponse exists_response,
    GetAclRequest get_acl_request,
    GetAclResponse get_acl_response,
    GetAllChildrenNumberRequest get_all_children_number_request,
    GetAllChildrenNumberResponse get_all_children_number_response,
    GetChildren2Request get_children2_request,
    GetChildren2Response get_children2_response,
    GetChildrenRequest get_children_request,
    GetChildrenResponse get_children_response,
    GetDataRequest get_data_request,
    GetDataResponse get_data_response,
    GetEphemeralsRequest get_ephemerals_request,
    GetEphemeralsResponse get_ephemerals_response,
    GetSaslRequest get_sasl_request,
    MultiHeader multi_header,
    MultiRequest multi_request,
    MultiResponse multi_response,
    ReconfigRequest reconfig_request,
    RemoveWatchesRequest remove_watches_request,
    ReplyHeader reply_header,
    RequestHeader request_header,
    SetAclRequest set_acl_request,
    SetAclResponse set_acl_response,
    SetDataRequest set_data_request,
    SetDataResponse set_data_response,
    SetSaslResponse set_sasl_response,
    SetWatches set_watches,
    SetWatches2 set_watches2,
    Stat stat,
    SyncRequest sync_request,
    SyncResponse sync_response,
    WatcherEvent watcher_event,
    WhoAmIResponse who_am_i_response,
}

/// The handshake's records end in a byte that may be missing: without it they
/// are their other valid form, and a byte behind them would be taken for it.
macro_rules! handshake_properties {
    ($($record:ident $strategy:ident),* $(,)?) => {
        $(mod $strategy {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(100))]

                #[test]
                fn round_trips(value in strategies::$strategy()) {
                    round_trip(&value, &[], &OnceCell::new(), $record::decode)?;
                }

                #[test]
                fn cut_off_anywhere_is_the_older_form_or_an_error_that_names_the_place(
                    value in strategies::$strategy(),
                ) {
                    let older = $record { read_only: None, ..value.clone() };
                    let without_trailer = encoded(&older).freeze();
                    prop_assert_eq!(
                        &encoded(&value)[..without_trailer.len()],
                        &without_trailer[..]
                    );
                    prop_assert_eq!($record::decode(&mut Reader::new(&without_trailer)), Ok(older));
                    cut_off(&cuts(&without_trailer), $record::decode)?;
                }
            }
        })*

        const WITH_HANDSHAKE_PROPERTIES: &[&str] = &[$(stringify!($record)),*];
    };
}

handshake_properties! {
    ConnectRequest connect_request,
    ConnectResponse connect_response,
}

#[test]
fn every_record_has_its_properties() {
    macro_rules! names {
        ($($record:ident)*) => { [$(stringify!($record)),*] };
    }
    let mut covered = [WITH_PROPERTIES, WITH_HANDSHAKE_PROPERTIES].concat();
    covered.sort_unstable();
    assert_eq!(covered, every_record!(names));
}

/// A record's bytes with a few of them overwritten, most likely at its lengths
/// and counts, whose bytes are mostly zero.
fn damaged(bytes: Vec<u8>, damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes;
    for (index, byte) in damage {
        if !bytes.is_empty() {
            let at = index.index(bytes.len());
            bytes[at] = *byte;
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        records::check(&bytes);
    }

    #[test]
    fn mostly_zero_bytes_never_panic(
        bytes in vec(prop_oneof![6 => Just(0), 1 => Just(0xff), 1 => Just(1), 2 => any::<u8>()], 0..120),
    ) {
        records::check(&bytes);
    }

    #[test]
    fn damaged_records_never_panic(
        request in strategies::multi_request(),
        response in strategies::multi_response(),
        watches in strategies::set_watches2(),
        damage in vec(any::<(prop::sample::Index, u8)>(), 0..6),
    ) {
        for whole in [encoded(&request), encoded(&response), encoded(&watches)] {
            records::check(&damaged(whole.to_vec(), &damage));
        }
    }
}
