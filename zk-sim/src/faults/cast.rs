//! Faults of hosts that are known by what they do.

use super::FaultKind;

/// In the place of a host: whoever leads when the fault begins.
pub const LEADER: &str = "leader";
/// In the place of a host: some voter that does not lead when the fault begins.
pub const FOLLOWER: &str = "follower";

impl FaultKind {
    /// The same with other hosts.
    #[must_use]
    pub fn with_hosts(&self, cast: impl Fn(&str) -> String) -> Self {
        let mut kind = self.clone();
        match &mut kind {
            Self::Cut { a, b }
            | Self::Fin { a, b }
            | Self::Silence { a, b }
            | Self::SilenceOneWay { from: a, to: b }
            | Self::Forget { a, b }
            | Self::Slow { a, b, .. }
            | Self::Bandwidth { a, b, .. }
            | Self::Trickle { a, b }
            | Self::Garble { from: a, to: b } => {
                *a = cast(a);
                *b = cast(b);
            }
            Self::Isolate { host }
            | Self::Blackhole { host }
            | Self::AcceptQueueFull { host }
            | Self::Refuse { host }
            | Self::AcceptAndClose { host }
            | Self::Dns { name: host, .. }
            | Self::Pause { host }
            | Self::Suspend { host }
            | Self::Kill { host }
            | Self::KillWhen { host, .. }
            | Self::WallJump { host, .. }
            | Self::ClockRate { host, .. }
            | Self::DropConnections { server: host }
            | Self::ExpireSession { server: host, .. }
            | Self::Restart { server: host }
            | Self::DiskError { host, .. }
            | Self::SlowSync { host, .. }
            | Self::BitRot { host }
            | Self::NewDisk { host } => *host = cast(host),
            Self::KillAt { .. } => {}
        }
        kind
    }
}
