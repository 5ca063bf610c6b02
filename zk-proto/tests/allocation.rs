//! Decoding allocates in proportion to the bytes that are there, whatever the
//! lengths and counts among them claim. A test binary of its own, without a test
//! harness, because it counts what the whole process allocates.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::record::*;
use zk_proto::{Acl, AclId, Decode, Encode, OpCode, Reader, Stat};

#[macro_use]
mod every_record;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Bytes allocated per byte of input. The worst are lists of one-byte names that
/// are not UTF-8: five bytes on the wire, a `String` and its buffer in memory.
const PER_BYTE: usize = 10;

/// The same for multi. How many operations there are shows only at the end, so
/// its list grows by doubling: counting what it outgrew, up to four times the
/// elements there are, each worth a bare result of nine bytes on the wire.
const PER_BYTE_OF_MULTI: usize = 4 * size_of::<MultiResult>() / 9;

/// What the first element of a growing list costs.
const START: usize = 4 * size_of::<MultiResult>();

/// Bytes allocated by `work`, those freed again included.
fn allocated_by(work: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_bytes;
    work();
    dhat::HeapStats::get().total_bytes - before
}

/// Decodes `input` as each record and judges what that allocates.
fn judge(input: BytesMut) {
    let input = input.freeze();
    macro_rules! each {
        ($($record:ident)*) => {
            $(judge_record(stringify!($record), &input, |input| {
                drop($record::decode(&mut Reader::new(input)));
            });)*
        };
    }
    every_record!(each);
}

fn judge_record(record: &str, input: &Bytes, decode: impl FnOnce(&Bytes)) {
    let allocated = allocated_by(|| decode(input));
    let limit = match record {
        "MultiRequest" | "MultiResponse" => START + PER_BYTE_OF_MULTI * input.len(),
        _ => PER_BYTE * input.len(),
    };
    assert!(
        allocated <= limit as u64,
        "{record} allocates {allocated} bytes for {} bytes of input, {:02x?}…",
        input.len(),
        &input[..input.len().min(64)],
    );
}

/// Numbers that a length or a count should not be, and some that it may.
const CLAIMS: [i32; 9] = [-1, -2, i32::MIN, 0, 1, 4, 7, 0x2_0000, i32::MAX];

/// A claim at every place where a record could have a length or a count, behind
/// fields that decode, in front of more claims.
fn hostile_inputs(len: usize, mut judge: impl FnMut(BytesMut)) {
    for claim in CLAIMS {
        for (field, rest) in [0, 1]
            .into_iter()
            .flat_map(|f| CLAIMS.map(|rest| (f, rest)))
        {
            for (words, odd_bytes) in (0..14).flat_map(|words| [(words, 0), (words, 1)]) {
                let mut input = BytesMut::new();
                input.put_bytes(0, odd_bytes);
                (0..words).for_each(|_| input.put_i32(field));
                input.put_i32(claim);
                while input.len() < len {
                    input.put_i32(rest);
                }
                input.truncate(len);
                judge(input);
            }
        }
    }
}

/// A list that is as long as its count says, of the smallest elements there are.
fn list(elements: usize, element: &[u8]) -> BytesMut {
    let mut input = BytesMut::new();
    input.put_i32(i32::try_from(elements).expect("a small list"));
    (0..elements).for_each(|_| input.put_slice(element));
    input
}

/// A multi of the smallest operations, or the smallest results, there are.
fn multi(op: OpCode, elements: usize, body: &[u8]) -> BytesMut {
    let header = MultiHeader {
        op: op.into(),
        done: false,
        err: 0,
    };
    let mut input = BytesMut::new();
    for _ in 0..elements {
        header.encode(&mut input);
        input.put_slice(body);
    }
    MultiHeader::END.encode(&mut input);
    input
}

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();

    // The measure itself: it sees an allocation that goes by the claim alone.
    let claimed = allocated_by(|| drop(black_box(Vec::<u8>::with_capacity(1 << 20))));
    assert_eq!(claimed, 1 << 20);

    for len in [20, 64, 4096] {
        hostile_inputs(len, judge);
    }
    for elements in [1, 100, 10_000] {
        judge(list(elements, &[0; 4])); // empty names
        judge(list(elements, &[0, 0, 0, 1, 0xff])); // names that are not UTF-8
        judge(list(elements, &[0; 8])); // empty identities
        judge(list(elements, &[0; 12])); // empty ACL entries
        judge(list(elements, &[0, 0, 0, 1, 0xff, 0, 0, 0, 1, 0xff]));
        for op in [OpCode::Delete, OpCode::Check] {
            judge(multi(op, elements, &[])); // results
            judge(multi(op, elements, &[0; 8])); // operations on ""
        }
        judge(multi(OpCode::GetData, elements, &[0; 5]));
        judge(multi(OpCode::Create, elements, &[0, 0, 0, 1, 0xff]));
        judge(multi(OpCode::Error, elements, &[0xff; 4]));
    }
    println!("decoding allocates a small multiple of its input");
}
