//! Writes the seeds of the corpus, most of them from the captured frames in
//! `zk-proto/testdata`.
//! Inputs that a fuzzer found, or that broke something, are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

#[path = "../../zk-proto/tests/fixtures/fixture_file.rs"]
mod fixture_file;
mod storage;

use fixture_file::{Direction, Fixture};

/// Seeds start with this, in contrast to inputs that a fuzzer named.
const PREFIX: &str = "seed-";

const LENGTH_WORD: usize = 4;

/// Seeds of one record. More add bytes, not paths through the decoder.
const PER_RECORD: usize = 3;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let testdata = root.join("zk-proto/testdata");
    let fixtures: Vec<_> = fixture_file::FILES
        .iter()
        .rev()
        .flat_map(|file| fixture_file::read(&testdata, file))
        .collect();
    write(&root.join("fuzz/corpus/frames"), frames(&fixtures))?;
    write(&root.join("fuzz/corpus/records"), records(&fixtures))?;
    write(&root.join("fuzz/corpus/server"), server(&fixtures))?;
    write(&root.join("fuzz/corpus/client"), client())?;
    write(&root.join("fuzz/corpus/log"), storage::log())?;
    write(&root.join("fuzz/corpus/snapshot"), storage::snapshot())?;
    write(&root.join("fuzz/corpus/wire"), storage::wire())?;
    write(&root.join("fuzz/corpus/packets"), storage::packets())
}

/// Replaces a target's seeds.
fn write(corpus: &Path, seeds: BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    fs::create_dir_all(corpus)?;
    for old in fs::read_dir(corpus)? {
        let old = old?;
        if old.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(old.path())?;
        }
    }
    for (name, input) in &seeds {
        fs::write(
            corpus.join(format!("{PREFIX}{}", name.replace('/', "-"))),
            input,
        )?;
    }
    println!("{}: {} seeds", corpus.display(), seeds.len());
    Ok(())
}

/// F1: streams of a few frames each, behind the two bytes for limit and pieces.
fn frames(fixtures: &[Fixture]) -> BTreeMap<String, Vec<u8>> {
    let appendix = |direction| -> Vec<u8> {
        let frames = fixtures.iter().filter(|fixture| {
            fixture.place.starts_with("appendix-a") && fixture.direction == direction
        });
        frames.flat_map(|fixture| fixture.frame.clone()).collect()
    };
    let requests = appendix(Direction::Request);
    let replies = appendix(Direction::Reply);
    let seed = |limit: u8, stream: &[u8]| [&[limit, 7], stream].concat();
    BTreeMap::from([
        ("requests".to_owned(), seed(0xff, &requests)),
        ("replies".to_owned(), seed(0xff, &replies)),
        ("over-the-limit".to_owned(), seed(2, &requests)),
        (
            "cut-off".to_owned(),
            seed(0xff, &requests[..requests.len() - 3]),
        ),
        (
            "at-the-limit".to_owned(),
            seed(1, &[&[0, 0, 0, 16], &[9; 16][..]].concat()),
        ),
        ("empty-frames".to_owned(), seed(1, &[0; 12])),
        (
            "negative".to_owned(),
            seed(0xff, &[0, 0, 0, 1, 9, 0xff, 0xff, 0xff, 0xff]),
        ),
    ])
}

/// F2: bodies of every record, a few of each.
fn records(fixtures: &[Fixture]) -> BTreeMap<String, Vec<u8>> {
    let mut seen = BTreeSet::new();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seeds = BTreeMap::new();
    for fixture in fixtures {
        let body = fixture.frame[header_len(fixture)..].to_vec();
        let taken = taken.entry(&fixture.record).or_default();
        if *taken < PER_RECORD && !body.is_empty() && seen.insert(body.clone()) {
            *taken += 1;
            seeds.insert(format!("{}-{}", fixture.record, fixture.name), body);
        }
    }
    seeds
}

/// F3: what one connection after the other sent to Apache 3.9.5, a step for each
/// frame; and connections with steps of all kinds.
fn server(fixtures: &[Fixture]) -> BTreeMap<String, Vec<u8>> {
    const VANISH: u8 = 6;
    const WAIT: u8 = 9;

    let mut connections: Vec<(&str, Vec<&[u8]>)> = Vec::new();
    let requests = fixtures.iter().filter(|fixture| {
        fixture.place.starts_with("apache-3.9.5") && fixture.direction == Direction::Request
    });
    for request in requests {
        if request.record == "ConnectRequest" {
            connections.push((&request.name, Vec::new()));
        }
        if let Some((_, frames)) = connections.last_mut() {
            frames.push(&request.frame);
        }
    }
    let mut seeds: BTreeMap<_, _> = connections
        .iter()
        .map(|(name, frames)| ((*name).to_owned(), send_frames(0, frames)))
        .collect();
    let of = |name| {
        &*connections
            .iter()
            .find(|(n, _)| *n == name)
            .expect("it was captured")
            .1
    };
    let watches = of("connect/for-watches");
    let (early, late) = of("connect/for-nodes").split_at(10);
    let several = [
        send_frames(0, early),
        send_frames(1, watches),
        vec![WAIT, 20],
        send_frames(0, late),
        vec![VANISH, WAIT, 250, VANISH + 1],
        send_bytes(0, &watches.concat()),
    ];
    // A watch left by each of two connections of one session, then its end.
    const RESUME: u8 = 12;
    const CLOSE_SESSION: [u8; 12] = [0, 0, 0, 8, 0, 0, 0, 99, 0xff, 0xff, 0xff, 0xf5];
    let watch = of("connect/for-persistent-watches");
    let resumed = [
        send_frames(0, watches),
        vec![RESUME + 1, 0],
        send_frames(1, &watch[1..]),
        vec![RESUME, 1],
        send_frames(0, &watch[1..]),
        send_frames(0, &[&CLOSE_SESSION]),
        vec![RESUME + 2, 0],
    ];
    seeds.insert("resumed".to_owned(), resumed.concat());
    seeds.insert("several".to_owned(), several.concat());
    seeds
}

/// A step of the server's target: bytes for a connection.
fn send_bytes(slot: u8, bytes: &[u8]) -> Vec<u8> {
    const SEND: u8 = 0;
    step(SEND + slot, bytes)
}

/// Steps that leave the length word to the target.
fn send_frames(slot: u8, frames: &[&[u8]]) -> Vec<u8> {
    const SEND_FRAME: u8 = 3;
    frames
        .iter()
        .flat_map(|frame| step(SEND_FRAME + slot, &frame[LENGTH_WORD..]))
        .collect()
}

fn step(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("bytes that fit a step");
    [&[kind], &length.to_be_bytes()[..], bytes].concat()
}

/// F4: a server's steps, by their numbers in the target's script.
fn client() -> BTreeMap<String, Vec<u8>> {
    const GRANT: [u8; 2] = [0, 40];
    const GRANT_READ_ONLY: [u8; 2] = [1, 40];
    const EXPIRE: [u8; 1] = [2];
    const NO_NODE: [u8; 3] = [3, 101, 1];
    const AUTH_FAILED: [u8; 3] = [3, 115, 0];
    const UNIMPLEMENTED: [u8; 3] = [3, 6, 0];
    const UNKNOWN: [u8; 1] = [10];
    const BACK_IN_TIME: [u8; 3] = [3, 0, 255];
    const AUTH: [u8; 3] = [3, 0, 0];
    const SERVE: [u8; 2] = [4, 2];
    const EMPTY_REPLY: [u8; 4] = [5, 1, 0, 0];
    const NODE_DELETED: [u8; 3] = [6, 2, 0];
    const EMPTY_FRAME: [u8; 3] = [7, 0, 0];
    const NEGATIVE_FRAME: [u8; 7] = [8, 0, 4, 255, 255, 255, 255];
    const CLOSE: [u8; 1] = [9];
    const WAIT: [u8; 2] = [11, 5];

    let scripts: [(&str, &[&[u8]]); 14] = [
        ("honest", &[&GRANT, &SERVE, &SERVE, &SERVE, &SERVE]),
        ("read-only", &[&GRANT_READ_ONLY, &SERVE, &WAIT, &SERVE]),
        (
            "reconnect",
            &[
                &GRANT, &SERVE, &CLOSE, &GRANT, &SERVE, &CLOSE, &GRANT, &SERVE,
            ],
        ),
        (
            "reconnect-in-flight",
            &[
                &GRANT, &AUTH, &WAIT, &CLOSE, &GRANT, &AUTH, &AUTH, &CLOSE, &GRANT,
            ],
        ),
        (
            "expired",
            &[&GRANT, &SERVE, &CLOSE, &EXPIRE, &GRANT, &SERVE],
        ),
        (
            "events",
            &[
                &GRANT,
                &SERVE,
                &NODE_DELETED,
                &SERVE,
                &NODE_DELETED,
                &NODE_DELETED,
            ],
        ),
        (
            "errors",
            &[
                &GRANT, &AUTH, &NO_NODE, &NO_NODE, &NO_NODE, &SERVE, &NO_NODE, &SERVE,
            ],
        ),
        ("auth-failed", &[&GRANT, &AUTH_FAILED, &CLOSE]),
        (
            "unimplemented",
            &[&GRANT, &AUTH, &UNIMPLEMENTED, &UNIMPLEMENTED, &SERVE],
        ),
        (
            "unknown",
            &[
                &GRANT, &AUTH, &AUTH, &UNKNOWN, &GRANT, &SERVE, &UNKNOWN, &GRANT, &SERVE,
            ],
        ),
        (
            "back-in-time",
            &[&GRANT, &SERVE, &BACK_IN_TIME, &GRANT, &SERVE],
        ),
        (
            "garbage",
            &[
                &GRANT,
                &AUTH,
                &EMPTY_REPLY,
                &EMPTY_FRAME,
                &GRANT,
                &AUTH,
                &NEGATIVE_FRAME,
            ],
        ),
        ("silent", &[&GRANT, &AUTH, &WAIT, &WAIT]),
        (
            "no-session",
            &[&EMPTY_FRAME, &NEGATIVE_FRAME, &EXPIRE, &CLOSE],
        ),
    ];
    scripts
        .into_iter()
        .map(|(name, steps)| (name.to_owned(), steps.concat()))
        .collect()
}

/// Bytes of length word and header in front of a body.
fn header_len(fixture: &Fixture) -> usize {
    const REQUEST_HEADER: usize = 8;
    const REPLY_HEADER: usize = 16;
    LENGTH_WORD
        + match (&*fixture.record, fixture.direction) {
            ("ConnectRequest" | "ConnectResponse", _) => 0,
            (_, Direction::Request) => REQUEST_HEADER,
            (_, Direction::Reply | Direction::Event) => REPLY_HEADER,
        }
}
