//! What the server's input is made of.

use std::time::Duration;

use bytes::Buf;
use zk_proto::Zxid;

/// One thing that the server does.
#[derive(Debug)]
pub(crate) enum Step<'i> {
    /// Grants the session asked for, or a new one.
    Grant {
        is_read_only: bool,
        timeout: Duration,
    },
    /// Says that the session is gone.
    Expire,
    /// Answers the oldest request with its record, or with an error.
    Answer { err: i32, zxid: Change },
    /// Answers whatever comes, for so long.
    Serve(Duration),
    /// Answers the oldest request as a server that does not know its operation, and
    /// closes the connection.
    Unknown,
    /// Answers the oldest request with this for a record.
    Reply { zxid: Change, body: &'i [u8] },
    /// An event for one of the paths watched.
    Event { kind: i32, path: &'static str },
    /// Whatever this is, as a frame whose length word is right.
    Frame(&'i [u8]),
    /// Whatever this is.
    Bytes(&'i [u8]),
    /// The connection ends.
    Close,
    /// Time passes.
    Wait(Duration),
}

/// What happens to the zxid that replies carry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    By(u8),
    /// Back in time, which no sound server does.
    Back,
}

impl Change {
    pub(crate) fn apply(self, zxid: Zxid) -> Zxid {
        match self {
            Self::By(more) => Zxid(zxid.0.saturating_add(more.into())),
            Self::Back => Zxid(1),
        }
    }

    fn next(input: &mut &[u8]) -> Option<Self> {
        Some(match input.try_get_u8().ok()? {
            u8::MAX => Self::Back,
            more => Self::By(more),
        })
    }
}

const TENTH: Duration = Duration::from_millis(100);
const PATHS: [&str; 4] = ["/a", "/a/missing", "/a/b/c", ""];

impl<'i> Step<'i> {
    /// The next one; a byte that says which, and what belongs to it.
    pub(crate) fn next(input: &mut &'i [u8]) -> Option<Self> {
        Some(match input.try_get_u8().ok()? % 12 {
            kind @ (0 | 1) => Self::Grant {
                is_read_only: kind == 1,
                timeout: TENTH * u32::from(input.try_get_u8().ok()?),
            },
            2 => Self::Expire,
            3 => Self::Answer {
                err: -i32::from(input.try_get_u8().ok()?),
                zxid: Change::next(input)?,
            },
            4 => Self::Serve(TENTH * u32::from(input.try_get_u8().ok()?)),
            5 => Self::Reply {
                zxid: Change::next(input)?,
                body: counted(input)?,
            },
            6 => Self::Event {
                kind: i32::from(input.try_get_i8().ok()?),
                path: PATHS[usize::from(input.try_get_u8().ok()?) % PATHS.len()],
            },
            7 => Self::Frame(counted(input)?),
            8 => Self::Bytes(counted(input)?),
            9 => Self::Close,
            10 => Self::Unknown,
            _ => Self::Wait(TENTH * u32::from(input.try_get_u8().ok()?)),
        })
    }
}

/// Bytes behind their number, or what there is of them.
fn counted<'i>(input: &mut &'i [u8]) -> Option<&'i [u8]> {
    let length = usize::from(input.try_get_u16().ok()?).min(input.len());
    let (bytes, rest) = input.split_at(length);
    *input = rest;
    Some(bytes)
}
