//! The ways in which a server can be wrong.

use zk_env::EnvRng;

use super::super::clients::one_of;

/// What a connection is in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Nothing: the server is what it says.
    Honest,
    /// Closed at once (C29).
    AcceptAndClose,
    /// Accepted and never spoken to (C14).
    Silent,
    /// A byte now and then (C14).
    Drip,
    /// The connection ends in the middle of what the server has to say (C12).
    Cut,
    /// A handshake with something odd about it (C28).
    OddHandshake,
    /// Refuses whoever has seen anything, as one does that is behind (C08, C30).
    Behind,
    /// Takes the client on, and answers from the past (C08).
    Past,
    /// Says it is read-only (C19).
    ReadOnly,
    /// Refuses credentials (C25).
    RefusesCredentials,
    /// Knows no operation but the oldest, and closes at the others (C07).
    Old,
    /// An answer under another number (C10).
    WrongXid,
    /// The same answer twice (C10).
    Twice,
    /// An answer nobody asked for (C10).
    Unsolicited,
    /// Lengths no frame has (C11).
    BadLength,
    /// A body that promises more than it holds (C11).
    BadBody,
    /// Too few or too many results of a multi, or of another kind (C38).
    BadMulti,
    /// Bytes without a meaning.
    Noise,
}

impl Script {
    const ALL: [Self; 18] = [
        Self::Honest,
        Self::AcceptAndClose,
        Self::Silent,
        Self::Drip,
        Self::Cut,
        Self::OddHandshake,
        Self::Behind,
        Self::Past,
        Self::ReadOnly,
        Self::RefusesCredentials,
        Self::Old,
        Self::WrongXid,
        Self::Twice,
        Self::Unsolicited,
        Self::BadLength,
        Self::BadBody,
        Self::BadMulti,
        Self::Noise,
    ];

    pub(super) fn draw(rng: &mut EnvRng) -> Self {
        match rng.below(4) {
            0 => Self::Honest,
            _ => *one_of(rng, &Self::ALL),
        }
    }

    /// Under which it is counted as reached.
    pub(super) const fn place(self) -> &'static str {
        match self {
            Self::Honest => "liar: honest",
            Self::AcceptAndClose => "liar: closes at once",
            Self::Silent => "liar: silent",
            Self::Drip => "liar: a byte now and then",
            Self::Cut => "liar: cut in the middle",
            Self::OddHandshake => "liar: odd handshake",
            Self::Behind => "liar: behind",
            Self::Past => "liar: answers from the past",
            Self::ReadOnly => "liar: read-only",
            Self::RefusesCredentials => "liar: refuses credentials",
            Self::Old => "liar: old",
            Self::WrongXid => "liar: wrong xid",
            Self::Twice => "liar: answers twice",
            Self::Unsolicited => "liar: unsolicited answer",
            Self::BadLength => "liar: bad length",
            Self::BadBody => "liar: bad body",
            Self::BadMulti => "liar: bad multi",
            Self::Noise => "liar: noise",
        }
    }
}
