//! What servers keep and send one another: logs, snapshots, packets.

use std::collections::BTreeMap;

type Seeds = BTreeMap<String, Vec<u8>>;

fn named<const N: usize>(seeds: [(&str, Vec<u8>); N]) -> Seeds {
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed))
        .collect()
}

/// F9: the steps of a log's life: a kind, a number, a place or length.
pub(crate) fn log() -> Seeds {
    const TXN: u8 = 0;
    const FILE: u8 = 2;
    const FLIP: u8 = 3;
    const LOSE_SECTOR: u8 = 4;
    const CUT: u8 = 5;
    const ZEROS: u8 = 6;
    const BYTES: u8 = 7;

    let step = |kind: u8, number: u8, at: u16| [&[kind, number], &at.to_be_bytes()[..]].concat();
    let txns = |count: u16| -> Vec<u8> {
        let txn = |number| step(TXN, (number % 3) as u8, number * 97);
        (0..count).flat_map(txn).collect()
    };
    let garbage = [step(BYTES, 0, 40), vec![0x5a; 40]].concat();
    let checked = [step(BYTES, 1, 40), vec![0; 15], vec![1], vec![0; 24]].concat();
    named([
        ("files", [txns(4), step(FILE, 0, 0), txns(3)].concat()),
        ("padded", [txns(3), step(ZEROS, 0, 4000)].concat()),
        ("flipped", [txns(6), step(FLIP, 0, 3333)].concat()),
        // Of znodes that hold zeros.
        (
            "flipped-between-zeros",
            [step(TXN, 0, 2900), step(FLIP, 0, 999)].concat(),
        ),
        (
            "flipped-in-the-first-file",
            [txns(4), step(FILE, 0, 0), txns(3), step(FLIP, 0, 777)].concat(),
        ),
        ("sector-lost", [txns(9), step(LOSE_SECTOR, 0, 3)].concat()),
        (
            "sector-lost-at-the-end",
            [step(TXN, 1, 2000), step(LOSE_SECTOR, 0, 2)].concat(),
        ),
        ("cut", [txns(5), step(CUT, 0, 700)].concat()),
        ("cut-in-the-header", [txns(5), step(CUT, 0, 9)].concat()),
        (
            "cut-then-gone-on",
            [txns(5), step(CUT, 0, 700), step(FILE, 0, 0), txns(2)].concat(),
        ),
        ("garbage-behind", [txns(3), garbage.clone()].concat()),
        ("garbage-between", [txns(3), garbage, txns(2)].concat()),
        ("no-transaction", [checked, txns(2)].concat()),
    ])
}

/// Bytes as jute has them.
#[derive(Default)]
struct Jute(Vec<u8>);

impl Jute {
    fn int(mut self, number: i32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn long(mut self, number: i64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn counted(mut self, bytes: &[u8]) -> Self {
        self = self.int(i32::try_from(bytes.len()).expect("short"));
        self.0.extend(bytes);
        self
    }

    /// Path, data, the number of the ACL, zxids, times, versions, owner, last zxid.
    fn node(self, path: &str, data: &[u8], acl: i64, owner: i64) -> Self {
        let node = self.counted(path.as_bytes()).counted(data).long(acl);
        let node = node.long(5).long(6).long(1000).long(2000);
        node.int(1).int(2).int(3).long(owner).long(7)
    }

    /// A checksum of everything so far, and the path that ends a section.
    fn seal(self) -> Self {
        let checksum = adler32(&self.0);
        self.long(checksum).counted(b"/")
    }
}

fn adler32(bytes: &[u8]) -> i64 {
    let (a, b) = bytes.iter().fold((1_i64, 0_i64), |(a, b), byte| {
        let a = (a + i64::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

/// Sessions, ACLs and znodes of every kind, behind `before`.
fn body(before: &[u8]) -> Jute {
    const CONTAINER: i64 = i64::MIN;
    const TTL: i64 = (0xff << 56) | 60_000;
    Jute(before.to_vec())
        .int(2)
        .long(5)
        .int(6000)
        .long(-1)
        .int(4000)
        .int(2)
        .long(1)
        .int(1)
        .int(1)
        .counted(b"ip")
        .counted(b"10.0.0.1")
        .long(2)
        .int(0)
        .node("", b"", -1, 0)
        .node("/a", b"data", 1, CONTAINER)
        .node("/a/mine", b"", -1, 5)
        .node("/t", b"\xff\0", 2, TTL)
        .node("/zookeeper", b"", -1, 0)
        .node("/zookeeper/quota", b"", -1, 0)
        .node("/zookeeper/quota/a", b"", -1, 0)
        .node(
            "/zookeeper/quota/a/zookeeper_limits",
            b"count=3,bytes=-1",
            -1,
            0,
        )
        .node(
            "/zookeeper/quota/a/zookeeper_stats",
            b"count=1,bytes=4",
            -1,
            0,
        )
        .counted(b"/")
}

/// F10: files, with and without what later releases have added.
pub(crate) fn snapshot() -> Seeds {
    const HEADER: &[u8] = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
    let sealed = || body(HEADER).seal();
    let with_digest = || sealed().long(9).int(2).long(77).seal();
    let whole = with_digest().long(7).seal().0;
    let mut cut = whole.clone();
    cut.truncate(200);
    named([
        ("without-seals", body(HEADER).0),
        ("sealed", sealed().0),
        ("with-digest", with_digest().0),
        ("with-zxid-alone", sealed().long(7).seal().0),
        ("whole", whole),
        ("cut", cut),
        (
            "nothing",
            Jute(HEADER.to_vec()).int(0).int(0).counted(b"/").0,
        ),
    ])
}

/// F10: what follows a SNAP, behind the bytes for limit and pieces.
pub(crate) fn wire() -> Seeds {
    let whole = body(&[0xff, 7]).counted(b"BenWasHere");
    let mut behind = whole.0.clone();
    behind.extend(b"\0\0\0\x0a and more");
    let mut limited = whole.0.clone();
    limited[0] = 0;
    let null_acl = Jute(vec![0xff, 7])
        .int(0)
        .int(1)
        .long(1)
        .int(-1)
        .counted(b"/");
    let entries = Jute(vec![1, 7]).int(0).int(1).long(1).int(2);
    let entry = |list: Jute| list.int(31).counted(b"ip").counted(b"1.2");
    named([
        ("whole", whole.0),
        ("behind", behind),
        ("over-the-limit", limited),
        (
            "other-signature",
            body(&[0xff, 7]).counted(b"BenWasThere").0,
        ),
        ("negative", Jute(vec![0xff, 7]).int(-1).0),
        ("null-acl", null_acl.counted(b"BenWasHere").0),
        ("acl-over-the-limit", entry(entry(entries)).counted(b"/").0),
    ])
}

/// Packets behind the bytes for limit and pieces.
pub(crate) fn packets() -> Seeds {
    let packet = |kind, zxid| Jute(Vec::new()).int(kind).long(zxid);
    let follower_info = packet(11, 1 << 32)
        .counted(b"\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\0")
        .int(-1);
    let ack_epoch = packet(18, 7).counted(&[0xff; 4]).int(-1);
    let diff = packet(13, 7).int(-1).int(-1);
    let request = Jute(Vec::new()).long(5).int(1).int(14).0;
    let request = packet(1, -1)
        .counted(&request)
        .int(1)
        .counted(b"digest")
        .counted(b"u:p");
    let ping = packet(5, -1)
        .counted(b"\0\0\0\0\0\0\0\x05\0\0\x0f\xa0")
        .int(0);
    let unknown = packet(99, 0).int(-1).int(-1);
    let all = [follower_info, ack_epoch, diff, request, ping, unknown]
        .map(|packet| packet.0)
        .concat();
    let seed = |limit: u8, stream: &[u8]| [&[limit, 7], stream].concat();
    let too_long = packet(2, 1).int(17).int(-1);
    let too_many = packet(2, 1).int(-1).int(2000);
    named([
        ("all", seed(0xff, &all)),
        ("cut-off", seed(0xff, &all[..all.len() - 3])),
        ("over-the-limit", seed(1, &too_long.0)),
        ("too-many-ids", seed(0xff, &too_many.0)),
        ("no-length", seed(0xff, &packet(2, 1).int(-2).0)),
        (
            "no-text",
            seed(
                0xff,
                &packet(1, 0).int(-1).int(1).counted(&[0xff; 9]).int(-1).0,
            ),
        ),
    ])
}
