//! Recovery from transaction logs that have come to harm.

use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zk_env::{Disk, OpenMode};
use zk_proto::{SessionId, Xid, Zxid};

use crate::storage::fuzzing::{LOG_HEADER, encode_record, log_name};
use crate::storage::{DataDir, Recovered, Recovery, Still, recover, write_snapshot};
use crate::tree::{DataTree, SeededState};
use crate::txn::{Change, SetDataTxn, Txn, TxnBody, TxnHeader, encode_txn};

const HASHING: SeededState = SeededState(3);
/// Bytes of log that an input may ask for.
const MOST: usize = 1 << 20;

/// Reads the input as the life of a transaction log: transactions, new files, zeros, bytes of
/// any kind, flipped bits, sectors and ends that are lost. What is recovered from it is exactly
/// what an independent reader finds intact, and the same when it is recovered again; damage
/// that is not told of has cost no transaction unless it may have been a torn write.
///
/// `disk` is empty.
pub async fn log_bytes(input: &[u8], disk: Arc<dyn Disk>) {
    let mut history = History::new();
    let mut steps = input;
    while steps.has_remaining() && history.len() < MOST {
        history.step(&mut steps);
    }
    let dir = Path::new("data");
    let dir = DataDir::open(disk, dir, dir)
        .await
        .expect("a disk that works");
    let nothing = DataTree::new(HASHING);
    let written = write_snapshot(&dir, &mut Still(&nothing, Vec::new())).await;
    written.expect("a disk that works");
    for file in &history.files {
        put(&dir, file).await;
    }
    let Ok(recovered) = recovered(&dir).await else {
        return;
    };
    let intact = history.intact();
    let last = intact.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
    assert_eq!(recovered.last_zxid, last);
    let newest = intact.len().saturating_sub(recovered.committed.len());
    assert_eq!(Vec::from(recovered.committed), intact[newest..]);
    assert!(
        newest == 0 || intact.len() - newest == 500,
        "not all of them"
    );
    if history.is_one_bit_off {
        assert_eq!(last, Zxid(history.last), "lost without a word");
    }
    let again = self::recovered(&dir).await.expect("it was just recovered");
    assert_eq!(again.last_zxid, last);
    assert_eq!(again.tree.digest(), recovered.tree.digest());
}

async fn recovered(dir: &DataDir) -> Result<Recovered, crate::StorageError> {
    match recover(dir, HASHING).await? {
        Recovery::Data(recovered) => Ok(*recovered),
        Recovery::Empty => panic!("there is a snapshot"),
    }
}

async fn put(dir: &DataDir, file: &LogBytes) {
    let path = dir.log_dir().join(log_name(file.first));
    let opened = dir.disk.open(&path, OpenMode::Create).await;
    let opened = opened.expect("a disk that works");
    let bytes = Bytes::copy_from_slice(&file.bytes);
    opened.append(bytes).await.expect("a disk that works");
}

/// A file as it was written and harmed.
struct LogBytes {
    first: Zxid,
    bytes: Vec<u8>,
}

struct History {
    /// By the zxids in their names.
    files: Vec<LogBytes>,
    /// The last transaction that was written.
    last: i64,
    /// Whether nothing has happened but transactions, files and a single flipped bit.
    is_one_bit_off: bool,
    has_flipped: bool,
}

impl History {
    fn new() -> Self {
        let mut history = Self {
            files: Vec::new(),
            last: 0,
            is_one_bit_off: true,
            has_flipped: false,
        };
        history.begin_file();
        history
    }

    fn len(&self) -> usize {
        self.files.iter().map(|file| file.bytes.len()).sum()
    }

    fn begin_file(&mut self) {
        let first = Zxid(self.last + 1);
        if self.files.last().is_none_or(|file| file.first != first) {
            self.files.push(LogBytes {
                first,
                bytes: LOG_HEADER.to_vec(),
            });
        }
    }

    /// The newest file.
    fn newest(&mut self) -> &mut Vec<u8> {
        &mut self.files.last_mut().expect("there is one").bytes
    }

    /// What takes from what is there is of any file, by its number.
    fn any(&mut self, number: u8) -> &mut Vec<u8> {
        let count = self.files.len();
        &mut self.files[usize::from(number) % count].bytes
    }

    fn step(&mut self, steps: &mut &[u8]) {
        let kind = steps.get_u8();
        let number = steps.try_get_u8().unwrap_or(0);
        let at = usize::from(steps.try_get_u16().unwrap_or(0));
        match kind % 8 {
            0 | 1 => self.append_txn(number, at),
            2 => self.begin_file(),
            3 => {
                let bytes = self.any(number);
                let index = at / 8 % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(index) {
                    *byte ^= 1 << (at % 8);
                }
                self.is_one_bit_off &= !self.has_flipped;
                self.has_flipped = true;
            }
            4 => {
                let bytes = self.any(number);
                let sectors = bytes.len().div_ceil(512).max(1);
                let from = at % sectors * 512;
                let to = (from + 512).min(bytes.len());
                bytes[from..to].fill(0);
                self.is_one_bit_off = false;
            }
            5 => {
                let bytes = self.any(number);
                let len = bytes.len();
                bytes.truncate(at % (len + 1));
                self.is_one_bit_off = false;
            }
            6 => {
                let zeros = at % 4096;
                let newest = self.newest();
                newest.resize(newest.len() + zeros, 0);
                self.is_one_bit_off = false;
            }
            _ => self.append_bytes(number, at, steps),
        }
    }

    /// Of any length, and with zeros in it or not.
    fn append_txn(&mut self, number: u8, len: usize) {
        self.last += 1;
        let txn = Txn {
            header: TxnHeader {
                client: SessionId(5),
                cxid: Xid(0),
                zxid: Zxid(self.last),
                time_ms: 1000,
            },
            body: TxnBody::Change(Change::SetData(SetDataTxn {
                path: "/n".into(),
                data: Some(vec![number % 3; len % 3000].into()),
                version: 1,
            })),
            digest: None,
        };
        let (mut payload, mut record) = (BytesMut::new(), BytesMut::new());
        encode_txn(&txn, &mut payload);
        encode_record(&payload, &mut record);
        self.newest().extend_from_slice(&record);
    }

    /// As they are, or as a record's payload, so that its checksum fits.
    fn append_bytes(&mut self, number: u8, len: usize, steps: &mut &[u8]) {
        let (bytes, rest) = steps.split_at(len.min(steps.len()));
        *steps = rest;
        let mut record = BytesMut::new();
        if number.is_multiple_of(2) {
            record.put_slice(bytes);
        } else {
            encode_record(bytes, &mut record);
        }
        self.newest().extend_from_slice(&record);
        self.is_one_bit_off = false;
    }

    /// Transactions as another reader finds them, each file up to the first that is none.
    fn intact(&self) -> Vec<(Zxid, Bytes)> {
        let mut txns: Vec<(Zxid, Bytes)> = Vec::new();
        for file in &self.files {
            let Some((header, mut rest)) = file.bytes.split_at_checked(LOG_HEADER.len()) else {
                continue;
            };
            if header.iter().all(|byte| *byte == 0) {
                continue;
            }
            while let Some((payload, behind)) = intact_record(rest) {
                rest = behind;
                let zxid = Zxid((&payload[12..]).get_i64());
                if txns.last().is_none_or(|(last, _)| zxid > *last) {
                    txns.push((zxid, Bytes::copy_from_slice(payload)));
                }
            }
        }
        txns
    }
}

/// The payload of the record at the beginning, and what is behind it.
fn intact_record(mut bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let checksum = bytes.try_get_i64().ok()?;
    let len = usize::try_from(bytes.try_get_i32().ok()?).ok()?;
    let payload = bytes.get(..len).filter(|payload| payload.len() >= 32)?;
    let (end, behind) = bytes[len..].split_first()?;
    (*end == b'B' && checksum == adler32(payload)).then_some((payload, behind))
}

/// By the definition.
fn adler32(bytes: &[u8]) -> i64 {
    let (mut a, mut b) = (1_i64, 0_i64);
    for byte in bytes {
        a = (a + i64::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    b << 16 | a
}
