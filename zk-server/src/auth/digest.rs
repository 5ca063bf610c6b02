//! Scheme `digest`: a user and the hash of user and password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The id behind credentials, usually `user:password`. The hash covers the whole
/// text, and the user is what stands before the first colon.
pub(super) fn identity(credentials: &[u8]) -> String {
    let text = String::from_utf8_lossy(credentials);
    let hash = STANDARD.encode(Sha1::digest(text.as_bytes()));
    format!("{}:{hash}", user_name(&text))
}

/// Whether an ACL may hold `id`: two parts, where empty ones at the end do not
/// count, as Java's `split` has it.
pub(super) fn is_valid(id: &str) -> bool {
    id.trim_end_matches(':').matches(':').count() == 1
}

/// The user's name in an id.
pub(super) fn user_name(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_those_of_apache() {
        assert_eq!(identity(b"own:er"), "own:WB9qmW9kBoTSnXyoit3HXD1EF4E=");
        assert_eq!(identity(b""), ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
        assert!(identity(b"a:b:c").starts_with("a:"));
        assert!(identity(b"lonely").starts_with("lonely:"));
    }

    #[test]
    fn an_id_has_two_parts() {
        for valid in ["u:h", ":h", "u:h:", "u:h::"] {
            assert!(is_valid(valid), "{valid}");
        }
        for wrong in ["", "u", "u:", ":", "::", "a:b:c"] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_user_stands_before_the_colon() {
        assert_eq!(user_name("own:WB9"), "own");
        assert_eq!(user_name(":WB9"), "");
    }
}
