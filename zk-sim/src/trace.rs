//! A running hash of what was delivered, and the seeds derived from names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// FNV-1a with 64 bits: fixed for all time and the same on every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in `bytes` and their number, so that neighbours cannot run together.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.number(u64::from(address.port()));
    }

    pub(crate) fn time(&mut self, since_origin: Duration) {
        self.number(since_origin.as_secs());
        self.number(u64::from(since_origin.subsec_nanos()));
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// The seed of the stream that `parts` name under `seed`.
pub(crate) fn derive(seed: u64, parts: &[&str]) -> u64 {
    let mut hash = Hash::new();
    hash.number(seed);
    for part in parts {
        hash.bytes(part.as_bytes());
    }
    hash.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        let mut hash = Hash::new();
        hash.raw(b"foobar");
        assert_eq!(hash.value(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn names_do_not_run_together() {
        assert_ne!(derive(1, &["ab", "c"]), derive(1, &["a", "bc"]));
        assert_ne!(derive(1, &["a"]), derive(2, &["a"]));
    }
}
