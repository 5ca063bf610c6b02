//! DIGEST-MD5 (RFC 2831) as Java speaks it, authentication alone (`qop=auth`):
//! nothing after the exchange is signed or encrypted. MD5 is no hash to rely on;
//! this is for what Apache's servers offer, and belongs inside TLS.

mod client;
mod server;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

pub use client::{DigestMd5Client, Proof};
pub use server::DigestMd5Server;

use super::Secret;

/// The longest token from a server, and from a client, that the RFC allows.
const MAX_CHALLENGE: usize = 2048;
const MAX_RESPONSE: usize = 4096;

/// Every exchange is the first with its nonce.
const NONCE_COUNT: &str = "00000001";

/// Random bytes in a nonce of Java's.
pub const NONCE_BYTES: usize = 30;

/// A nonce from random bytes.
pub fn nonce(random: &[u8; NONCE_BYTES]) -> String {
    STANDARD.encode(random)
}

/// What both sides put into the hash.
struct Exchange<'e> {
    user: &'e str,
    realm: &'e str,
    password: &'e Secret,
    nonce: &'e str,
    cnonce: &'e str,
    /// `None` if absent, which hashes differently from an empty one.
    authzid: Option<&'e str>,
    digest_uri: &'e str,
}

/// Whose proof is computed.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

impl Exchange<'_> {
    /// The hexadecimal proof of knowing the password.
    fn proof(&self, side: Side) -> String {
        let mut a1 = Md5::new();
        a1.update(self.secret_hash());
        for part in [self.nonce, self.cnonce] {
            a1.update(b":");
            a1.update(part);
        }
        if let Some(authzid) = self.authzid {
            a1.update(b":");
            a1.update(authzid);
        }
        let verb = match side {
            Side::Client => "AUTHENTICATE:",
            Side::Server => ":",
        };
        let a2 = Md5::new().chain_update(verb).chain_update(self.digest_uri);
        let mut proof = Md5::new();
        proof.update(hex(&a1.finalize()));
        for part in [self.nonce, NONCE_COUNT, self.cnonce, "auth"] {
            proof.update(b":");
            proof.update(part);
        }
        proof.update(b":");
        proof.update(hex(&a2.finalize()));
        hex(&proof.finalize())
    }

    fn secret_hash(&self) -> [u8; 16] {
        let mut password = latin1(self.password.expose());
        let mut hash = Md5::new();
        hash.update(latin1(self.user));
        hash.update(b":");
        hash.update(latin1(self.realm));
        hash.update(b":");
        hash.update(&password);
        password.zeroize();
        hash.finalize().into()
    }
}

/// Each of these texts is hashed as Latin-1 if that can hold it, and otherwise as UTF-8.
fn latin1(text: &str) -> Vec<u8> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    bytes.unwrap_or_else(|_| text.as_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

/// Whether two proofs are the same, in a time that does not tell how far they are.
fn is_same(expected: &str, given: &[u8]) -> bool {
    expected.as_bytes().ct_eq(given).into()
}

#[cfg(test)]
mod tests;
