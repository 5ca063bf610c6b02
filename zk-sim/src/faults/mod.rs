//! Faults as data: what goes wrong, from when on, for how long.

pub mod apply;
mod cast;
mod crash_points;
pub mod mix;
mod words;

use std::fmt;
use std::time::Duration;

pub use cast::{FOLLOWER, LEADER};
pub use crash_points::{CRASH_POINTS, CrashPoint, RECONFIG_CRASH_POINTS};

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When, since the chaos began.
    pub at: Duration,
    /// For how long. Faults that are over in an instant ignore it.
    pub lasts: Duration,
    /// What.
    pub kind: FaultKind,
}

/// What can go wrong. Hosts are named.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "fields are hosts, and what the variant's line says"
)]
pub enum FaultKind {
    /// Connections between the two are reset at both ends, new ones refused.
    Cut { a: String, b: String },
    /// Connections between the two end with a FIN at both ends; new ones work.
    Fin { a: String, b: String },
    /// Nothing sent between the two arrives until it is over; then it does.
    Silence { a: String, b: String },
    /// The same in one direction.
    SilenceOneWay { from: String, to: String },
    /// Connections between the two are dead for good and nobody is told: what is
    /// sent vanishes, also after the fault. New ones hang meanwhile.
    Forget { a: String, b: String },
    /// The host is silent towards every other.
    Isolate { host: String },
    /// Segments between the two take this long.
    Slow {
        a: String,
        b: String,
        latency: Duration,
    },
    /// At most this many bytes a second in each direction between the two.
    Bandwidth {
        a: String,
        b: String,
        bytes_per_second: u64,
    },
    /// Segments between the two arrive a byte at a time.
    Trickle { a: String, b: String },
    /// A bit of some segments from one to the other is flipped.
    Garble { from: String, to: String },
    /// Connects to the host hang; connections there are work on.
    Blackhole { host: String },
    /// Connects to the host hang, as its queue is full, and are taken up afterwards.
    AcceptQueueFull { host: String },
    /// Connects to the host are refused.
    Refuse { host: String },
    /// The host accepts connections and closes them at once.
    AcceptAndClose { host: String },
    /// Lookups of the name fail, hang, find nothing, or find dead addresses first.
    Dns { name: String, how: DnsFault },
    /// Nothing on the host runs; clocks go on.
    Pause { host: String },
    /// The machine sleeps: nothing runs, and the monotonic clock stands still
    /// while boot and wall clock go on.
    Suspend { host: String },
    /// Everything on the host is gone at once, without a FIN. Starts anew when the
    /// fault is over.
    Kill { host: String },
    /// Whichever host next comes to this place in the code is killed there, see
    /// [`CRASH_POINTS`]. Starts anew when the fault is over.
    KillAt { place: &'static str },
    /// The host is killed as soon as any host comes to this place, as those are that have their
    /// power from the same line. Starts anew when the fault is over.
    KillWhen { host: String, place: &'static str },
    /// The wall clock is off by this many milliseconds, until it is over.
    WallJump { host: String, ms: i64 },
    /// The clocks of the host run at this rate, in thousandths.
    ClockRate { host: String, permille: u32 },
    /// The server drops every connection without a word.
    DropConnections { server: String },
    /// The server ends a session, picked by this number, as if it had timed out.
    ExpireSession { server: String, pick: u64 },
    /// The server is stopped politely and started again when the fault is over.
    Restart { server: String },
    /// Disk calls of the host fail.
    DiskError { host: String, how: DiskFault },
    /// Every sync of the host's disk takes this long.
    SlowSync { host: String, takes: Duration },
    /// A bit of what the host's disk holds is flipped.
    BitRot { host: String },
    /// The host dies, and starts with an empty disk when the fault is over. As long as a voter
    /// with a new disk has not been filled by a leader, another is only killed: more than that
    /// an ensemble need not survive.
    NewDisk { host: String },
}

/// What is wrong with name lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// An error.
    Fails,
    /// No answer while the fault lasts.
    Hangs,
    /// A name without addresses.
    Empty,
    /// Nineteen addresses at which nobody is, and the right one.
    Many,
    /// The name has another address, at which nobody is.
    Moved,
}

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Input/output error on writes.
    WriteFails,
    /// Input/output error on syncs; what was to be synced may be lost.
    SyncFails,
    /// Input/output error on reads.
    ReadFails,
    /// No space.
    Full,
}

impl FaultKind {
    /// The names of all kinds.
    pub const NAMES: &[&str] = &[
        "accept and close",
        "accept queue full",
        "bandwidth",
        "bit rot",
        "blackhole",
        "clock rate",
        "cut",
        "disk full",
        "disk read fails",
        "disk sync fails",
        "disk write fails",
        "dns empty",
        "dns fails",
        "dns hangs",
        "dns many",
        "dns moved",
        "drop connections",
        "expire session",
        "fin",
        "forget",
        "garble",
        "isolate",
        "kill",
        "kill at",
        "kill when",
        "new disk",
        "one-way silence",
        "pause",
        "refuse",
        "restart",
        "silence",
        "slow",
        "slow sync",
        "suspend",
        "trickle",
        "wall jump",
    ];

    /// Its name in reports: the variant's, in words.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "cut",
            Self::Fin { .. } => "fin",
            Self::Silence { .. } => "silence",
            Self::SilenceOneWay { .. } => "one-way silence",
            Self::Forget { .. } => "forget",
            Self::Isolate { .. } => "isolate",
            Self::Slow { .. } => "slow",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Trickle { .. } => "trickle",
            Self::Garble { .. } => "garble",
            Self::Blackhole { .. } => "blackhole",
            Self::AcceptQueueFull { .. } => "accept queue full",
            Self::Refuse { .. } => "refuse",
            Self::AcceptAndClose { .. } => "accept and close",
            Self::Dns { how, .. } => match how {
                DnsFault::Fails => "dns fails",
                DnsFault::Hangs => "dns hangs",
                DnsFault::Empty => "dns empty",
                DnsFault::Many => "dns many",
                DnsFault::Moved => "dns moved",
            },
            Self::Pause { .. } => "pause",
            Self::Suspend { .. } => "suspend",
            Self::Kill { .. } => "kill",
            Self::KillAt { .. } => "kill at",
            Self::KillWhen { .. } => "kill when",
            Self::WallJump { .. } => "wall jump",
            Self::ClockRate { .. } => "clock rate",
            Self::DropConnections { .. } => "drop connections",
            Self::ExpireSession { .. } => "expire session",
            Self::Restart { .. } => "restart",
            Self::DiskError { how, .. } => match how {
                DiskFault::WriteFails => "disk write fails",
                DiskFault::SyncFails => "disk sync fails",
                DiskFault::ReadFails => "disk read fails",
                DiskFault::Full => "disk full",
            },
            Self::SlowSync { .. } => "slow sync",
            Self::BitRot { .. } => "bit rot",
            Self::NewDisk { .. } => "new disk",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?} for {:?}", self.kind, self.at, self.lasts)
    }
}
