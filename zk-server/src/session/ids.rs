//! Session ids and the passwords that belong to them.

use zk_proto::{Password, SessionId};

/// The value that marks containers in Apache's files and is no session's id.
const CONTAINER_OWNER: i64 = i64::MIN;

/// Hands out session ids: the server's id in the high byte, 40 bits of
/// milliseconds, then a counter that runs on into them.
#[derive(Debug)]
pub(crate) struct SessionIds {
    next: i64,
}

impl SessionIds {
    /// Ids of the server `server_id`. `start_ms` has an arbitrary origin: Apache
    /// takes the machine's uptime.
    pub(crate) const fn new(server_id: u8, start_ms: i64) -> Self {
        // A logical shift, so that the high byte is the server's (ZOOKEEPER-1622).
        let time = ((start_ms as u64) << 24) >> 8;
        let first = (time | (server_id as u64) << 56) as i64;
        Self {
            next: if first == CONTAINER_OWNER {
                first + 1
            } else {
                first
            },
        }
    }

    /// The high byte of a session's id: the server it began at.
    pub(crate) const fn server_of(session: SessionId) -> u8 {
        (session.0.cast_unsigned() >> 56) as u8
    }

    /// The server whose ids these are.
    pub(crate) const fn server(&self) -> u8 {
        Self::server_of(SessionId(self.next))
    }

    /// An id that was not handed out before.
    pub(crate) const fn next(&mut self) -> SessionId {
        let id = SessionId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }
}

/// The password of a session: a function of its id that every server of an
/// ensemble can compute, `java.util.Random` seeded with the id. It keeps honest
/// clients from mixing up sessions and protects nothing from others.
pub(crate) fn password(session: SessionId) -> Password {
    const SUPER_SECRET: i64 = 0xb341_5c00;
    const MULTIPLIER: u64 = 0x5_deec_e66d;
    const MASK: u64 = (1 << 48) - 1;

    let mut state = ((session.0 ^ SUPER_SECRET) as u64 ^ MULTIPLIER) & MASK;
    let mut bytes = Vec::with_capacity(16);
    for _ in 0..4 {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        bytes.extend_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    Password::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_java() {
        let password = password(SessionId(0x0100_001c_dd44_0000));
        let expected = 0x7eb3_258b_33d2_0da7_8c1d_c134_34a5_7731_u128.to_be_bytes();
        assert_eq!(password.as_bytes(), expected);
    }

    #[test]
    fn ids_hold_server_and_time_and_count_up() {
        let mut ids = SessionIds::new(1, 0x00ab_1234_5678_9abc);
        assert_eq!(ids.next(), SessionId(0x0134_5678_9abc_0000));
        assert_eq!(ids.next(), SessionId(0x0134_5678_9abc_0001));
        let mut high = SessionIds::new(0xfe, -1);
        assert_eq!(high.next().0 as u64, 0xfeff_ffff_ffff_0000);
    }

    #[test]
    fn the_mark_of_containers_is_skipped() {
        assert_eq!(SessionIds::new(0x80, 0).next(), SessionId(i64::MIN + 1));
    }
}
