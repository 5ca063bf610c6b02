use proptest::prelude::*;
use zk_proto::{AclId, Perms};

use super::*;

fn unhex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_hexdigit)
        .map(|digit| (digit as char).to_digit(16).expect("a digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn encoded(txn: &Txn) -> Bytes {
    let mut out = BytesMut::new();
    encode_txn(txn, &mut out);
    out.freeze()
}

/// Payloads of log records that a live Apache 3.9.5 has written.
const CREATE: &str = "0100001905850000 00000003 0000000100000002 000001a1fbd735fd 00000001 00000002 2f61 \
    00000000 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00 00000001 \
    00000002 00000002049cd9f2";
const FAILED_MULTI: &str = "0100001905850000 00000007 0000000100000006 000001a1fbd73643 0000000e 00000002 \
    00000001 0000002d 00000004 2f612f6d 00000001 31 00000001 0000001f 00000005 776f726c64 \
    00000006 616e796f6e65 00 00000003 ffffffff 00000004 ffffff9b 00000002 00000001d2c8a0dc";
const CLOSE_SESSION: &str = "0100001905850000 00000009 0000000100000007 000001a1fbd73660 fffffff5 00000001 \
    00000004 2f612f65 00000002 00000001853617e2";
const CREATE_SESSION: &str = "0100001905850000 00000000 0000000100000001 000001a1fbd735c1 fffffff6 00004e20 \
    00000002 0000000051c6d660";

#[test]
fn what_apache_wrote_is_read_and_written_again_byte_for_byte() {
    for vector in [CREATE, FAILED_MULTI, CLOSE_SESSION, CREATE_SESSION] {
        let bytes = unhex(vector);
        let txn = decode_txn(&bytes).expect("Apache wrote it");
        assert!(txn.digest.is_some(), "{txn:?}");
        assert_eq!(encoded(&txn), bytes, "{txn:?}");
        assert_eq!(zxid_of(&bytes), Some(txn.header.zxid));
    }
    let txn = decode_txn(&unhex(FAILED_MULTI)).expect("Apache wrote it");
    let TxnBody::FailedMulti { prepared, errors } = txn.body else {
        panic!("{txn:?}");
    };
    assert_eq!(prepared.len(), 1);
    assert_eq!(errors, [ErrorCode::NoNode]);
}

#[test]
fn a_session_may_be_closed_without_a_list() {
    let header = &unhex(CLOSE_SESSION)[..32];
    for (rest, digest) in [
        ("", None),
        ("00000002 0000000051c6d660", Some(TreeDigest(0x51c6_d660))),
        (
            "00000000 00000002 0000000051c6d660",
            Some(TreeDigest(0x51c6_d660)),
        ),
    ] {
        let bytes = Bytes::from([header, &unhex(rest)].concat());
        let txn = decode_txn(&bytes).expect("a header is enough");
        assert_eq!(txn.body, TxnBody::CloseSession { paths: Vec::new() });
        assert_eq!(txn.digest, digest);
    }
}

#[test]
fn a_check_outside_of_a_multi_is_refused_as_apache_refuses_it() {
    let mut bytes = BytesMut::from(&unhex(CREATE)[..28]);
    (13_i32, ("/a".to_owned(), 1_i32)).encode(&mut bytes);
    let error = decode_txn(&bytes.freeze()).expect_err("type 13 has no record");
    assert_eq!(error.reason, DecodeReason::UnknownValue(13));
}

fn paths() -> impl Strategy<Value = Arc<str>> {
    "/[a-zü]{0,6}(/[a-z]{1,5}){0,2}".prop_map(Arc::from)
}

fn data() -> impl Strategy<Value = Option<Box<[u8]>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40).prop_map(Box::from))
}

fn acls() -> impl Strategy<Value = AclList> {
    let entry = (any::<i32>(), "[a-z]{0,5}", "[a-z:]{0,9}")
        .prop_map(|(perms, scheme, id)| Acl::new(Perms(perms), AclId::new(scheme, id)));
    proptest::collection::vec(entry, 0..4).prop_map(Arc::from)
}

fn creates() -> impl Strategy<Value = CreateTxn> {
    let kinds = prop_oneof![
        Just(EphemeralType::Void),
        Just(EphemeralType::Normal(SessionId(7))),
        Just(EphemeralType::Container),
        (1_i64..1 << 40).prop_map(|ttl_ms| EphemeralType::Ttl { ttl_ms }),
    ];
    (paths(), data(), acls(), kinds, any::<i32>(), any::<bool>()).prop_map(
        |(path, data, acl, ephemeral, parent_cversion, reply_stat)| CreateTxn {
            path,
            data,
            acl,
            ephemeral,
            parent_cversion,
            reply_stat: reply_stat
                || matches!(
                    ephemeral,
                    EphemeralType::Container | EphemeralType::Ttl { .. }
                ),
        },
    )
}

fn set_datas() -> impl Strategy<Value = SetDataTxn> {
    (paths(), data(), any::<i32>()).prop_map(|(path, data, version)| SetDataTxn {
        path,
        data,
        version,
    })
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        creates().prop_map(Change::Create),
        (paths(), any::<bool>()).prop_map(|(path, by_reaper)| Change::Delete { path, by_reaper }),
        set_datas().prop_map(Change::SetData),
        (paths(), any::<i32>()).prop_map(|(path, version)| Change::CheckVersion { path, version }),
    ]
}

fn bodies() -> impl Strategy<Value = TxnBody> {
    let multi = || proptest::collection::vec(changes(), 0..4);
    let alone = changes().prop_filter("no check stands alone", |change| {
        !matches!(change, Change::CheckVersion { .. })
    });
    let errors = proptest::collection::vec((-130_i32..-1).prop_map(ErrorCode::from), 1..4);
    prop_oneof![
        any::<i32>().prop_map(|timeout_ms| TxnBody::CreateSession { timeout_ms }),
        proptest::collection::vec(paths(), 0..4).prop_map(|paths| TxnBody::CloseSession { paths }),
        alone.prop_map(TxnBody::Change),
        (paths(), acls(), any::<i32>()).prop_map(|(path, acl, aversion)| TxnBody::SetAcl(
            SetAclTxn {
                path,
                acl,
                aversion
            }
        )),
        multi().prop_map(TxnBody::Multi),
        (multi(), errors).prop_map(|(prepared, errors)| TxnBody::FailedMulti { prepared, errors }),
        set_datas().prop_map(TxnBody::Reconfig),
        any::<i32>().prop_map(|code| TxnBody::Error(code.into())),
    ]
}

proptest! {
    #[test]
    fn every_transaction_survives_its_bytes(
        body in bodies(),
        (cxid, zxid, time_ms) in any::<(i32, i64, i64)>(),
        digest in proptest::option::of(any::<i64>().prop_map(TreeDigest)),
    ) {
        let header = TxnHeader {
            client: SessionId(7),
            cxid: Xid(cxid),
            zxid: Zxid(zxid),
            time_ms,
        };
        let txn = Txn { header, body, digest };
        prop_assert_eq!(decode_txn(&encoded(&txn)), Ok(txn));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120), number in -12_i32..26) {
        let _ = decode_txn(&Bytes::from(bytes.clone()));
        let mut typed = BytesMut::from(&[0; 28][..]);
        number.encode(&mut typed);
        typed.extend_from_slice(&bytes);
        let _ = decode_txn(&typed.freeze());
    }
}
