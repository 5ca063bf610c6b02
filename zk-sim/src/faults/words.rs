//! Faults in words, for timelines and for those who watch.

use std::fmt;

use super::FaultKind;

/// The name, and whom it concerns: `silence: client-1, server`.
impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Cut { a, b }
            | Self::Fin { a, b }
            | Self::Silence { a, b }
            | Self::Forget { a, b }
            | Self::Trickle { a, b } => write!(f, "{a}, {b}"),
            Self::SilenceOneWay { from, to } | Self::Garble { from, to } => {
                write!(f, "{from} to {to}")
            }
            Self::Slow { a, b, latency } => write!(f, "{a}, {b}, {latency:?}"),
            Self::Bandwidth {
                a,
                b,
                bytes_per_second,
            } => write!(f, "{a}, {b}, {bytes_per_second} bytes/s"),
            Self::Dns { name, how: _ } => f.write_str(name),
            Self::KillAt { place } => f.write_str(place),
            Self::KillWhen { host, place } => write!(f, "{host}, {place}"),
            Self::WallJump { host, ms } => write!(f, "{host}, {ms:+} ms"),
            Self::ClockRate { host, permille } => write!(f, "{host}, {permille} permille"),
            Self::ExpireSession { server, pick } => write!(f, "{server}, pick {pick}"),
            Self::SlowSync { host, takes } => write!(f, "{host}, {takes:?}"),
            Self::Isolate { host }
            | Self::Blackhole { host }
            | Self::AcceptQueueFull { host }
            | Self::Refuse { host }
            | Self::AcceptAndClose { host }
            | Self::Pause { host }
            | Self::Suspend { host }
            | Self::Kill { host }
            | Self::DropConnections { server: host }
            | Self::Restart { server: host }
            | Self::DiskError { host, how: _ }
            | Self::BitRot { host }
            | Self::NewDisk { host } => f.write_str(host),
        }
    }
}
