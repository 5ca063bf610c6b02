//! Quotas: usage that keeps itself, limits that refuse.

use super::*;

const LIMITS: &str = "/zookeeper/quota/q/zookeeper_limits";
const USAGE: &str = "/zookeeper/quota/q/zookeeper_stats";

/// `/q` with one child, then limits and usage for it.
fn with_quota(config: ServerConfigBuilder, limits: &str) -> (Fixture, Client) {
    let mut s = Fixture::with(config);
    let c = s.client();
    for path in ["/q", "/q/a", "/zookeeper/quota/q", LIMITS, USAGE] {
        s.create(&c, path, 0);
    }
    assert_eq!(
        s.set_data(&c, LIMITS, limits.as_bytes(), -1).err,
        ErrorCode::Ok
    );
    (s, c)
}

fn usage(s: &mut Fixture, c: &Client) -> String {
    String::from_utf8(s.get_data(c, USAGE).unwrap().unwrap()).unwrap()
}

#[test]
fn usage_starts_from_what_is_there_and_follows_silently() {
    let (mut s, c) = with_quota(config(), "count=100,bytes=100");
    assert_eq!(usage(&mut s, &c), "count=2,bytes=2");
    let before = s.exists(&c, USAGE, true).unwrap();
    s.create(&c, "/q/b", 0);
    s.set_data(&c, "/q/b", b"12345", -1);
    assert_eq!(usage(&mut s, &c), "count=3,bytes=7");
    s.delete(&c, "/q/a", -1);
    assert_eq!(usage(&mut s, &c), "count=2,bytes=6");
    s.create(&c, "/other", 0);
    assert_eq!(usage(&mut s, &c), "count=2,bytes=6");
    let after = s.exists(&c, USAGE, false).unwrap();
    assert_eq!((after.mzxid, after.version), (before.mzxid, before.version));
    assert!(s.events(&c).is_empty());
}

#[test]
fn without_limits_usage_stands_still() {
    let (mut s, c) = with_quota(config(), "count=1,bytes=1");
    assert_eq!(s.delete(&c, LIMITS, -1), ErrorCode::Ok);
    s.create(&c, "/q/b", 0);
    assert_eq!(usage(&mut s, &c), "count=2,bytes=2");
}

#[test]
fn usage_that_was_overwritten_starts_anew() {
    let (mut s, c) = with_quota(config(), "count=100,bytes=100");
    s.set_data(&c, USAGE, b"nonsense", -1);
    s.create(&c, "/q/b", 0);
    assert_eq!(usage(&mut s, &c), "count=0,bytes=0");
}

#[test]
fn only_hard_limits_refuse_and_only_if_enforced() {
    let soft = "count=1,bytes=1";
    let hard = "count=1,bytes=1=;byteHardLimit=4;countHardLimit=3";
    for (enforce, limits, refused) in [
        (false, hard, false),
        (true, soft, false),
        (true, hard, true),
    ] {
        let expected = if refused {
            ErrorCode::QuotaExceeded
        } else {
            ErrorCode::Ok
        };
        let (mut s, c) = with_quota(config().enforce_quota(enforce), limits);
        s.create(&c, "/q/b", 0);
        let create = s.call(&c, OpCode::Create, &create("/q/c", 0));
        assert_eq!(create.err, expected, "{enforce} {limits}");
        let bytes = s.set_data(&c, "/q/b", b"123", -1);
        assert_eq!(bytes.err, expected, "{enforce} {limits}");
    }
}

#[test]
fn quota_comes_after_existence_and_before_version() {
    let hard = "count=-1,bytes=-1=;byteHardLimit=2;countHardLimit=2";
    let (mut s, c) = with_quota(config().enforce_quota(true), hard);
    let exists = s.call(&c, OpCode::Create, &create("/q/a", 0));
    assert_eq!(exists.err, ErrorCode::NodeExists);
    let full = s.call(&c, OpCode::Create, &create("/q/b", 0));
    assert_eq!(full.err, ErrorCode::QuotaExceeded);
    let wrong_version = s.set_data(&c, "/q/a", b"123", 99);
    assert_eq!(wrong_version.err, ErrorCode::QuotaExceeded);
    let shorter = s.set_data(&c, "/q/a", b"", 0);
    assert_eq!(shorter.err, ErrorCode::Ok);
}

#[test]
fn limits_that_cannot_be_read_fail_the_request() {
    let (mut s, c) = with_quota(config().enforce_quota(true), "nonsense");
    let reply = s.call(&c, OpCode::Create, &create("/q/b", 0));
    assert_eq!(reply.err, ErrorCode::MarshallingError);
    assert_eq!(reply.zxid, s.zxid());
    assert!(!s.is_closed(&c));
}

#[test]
fn the_root_can_have_usage_but_no_limits() {
    let mut s = Fixture::new();
    let c = s.client();
    let limits = create("/zookeeper/quota/zookeeper_limits", 0);
    let refused = s.call(&c, OpCode::Create, &limits);
    assert_eq!(refused.err, ErrorCode::BadArguments);
    s.create(&c, "/zookeeper/quota/zookeeper_stats", 0);
    let all = s.get_data(&c, "/zookeeper/quota/zookeeper_stats").unwrap();
    assert_eq!(all.unwrap(), b"count=5,bytes=1");
}
