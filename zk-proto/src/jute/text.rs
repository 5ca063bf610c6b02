//! Text that may not be UTF-8, read as Java reads it.

use std::borrow::Cow;

/// Invalid UTF-8 becomes U+FFFD, once for every sequence that Java's decoder takes
/// for one, so that a text and its echo match those of an Apache server.
pub(super) fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replace_malformed(bytes)),
    }
}

fn replace_malformed(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    while let Some(chunk) = bytes.utf8_chunks().next() {
        text.push_str(chunk.valid());
        bytes = &bytes[chunk.valid().len()..];
        let malformed = chunk.invalid().len();
        if malformed > 0 {
            text.push(char::REPLACEMENT_CHARACTER);
            bytes = &bytes[surrogate_len(bytes).unwrap_or(malformed)..];
        }
    }
    text
}

/// Half a surrogate pair is one malformed sequence to Java, although its own encoder
/// writes such halves for every character beyond the basic plane. To Rust each of
/// its bytes is malformed by itself.
const fn surrogate_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => Some(3),
        [0xed, 0xa0..=0xbf, ..] => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_text_reads_as_in_java() {
        // Right side: `new String(bytes, UTF_8)` of OpenJDK 17, `?` for U+FFFD.
        let cases: [(&[u8], &str); 16] = [
            (b"/a", "/a"),
            ("é\u{1f600}".as_bytes(), "é\u{1f600}"),
            (b"/\xff", "/?"),
            (b"\x80\x80", "??"),
            (b"\xc0\x80", "??"),
            (b"\xc2A", "?A"),
            (b"\xe0\x80\x80", "???"),
            (b"\xe1\x80A", "?A"),
            (b"\xf0\x90\x80", "?"),
            (b"\xf4\x90\x80\x80", "????"),
            (b"\xf8A", "?A"),
            (b"\xed\xa0\x80", "?"),
            (b"\xed\xbf\xbf\xed\xa0", "??"),
            (b"\xed\xa0A", "?A"),
            (b"A\xed\xa0\xbd\xed\xb8\x80B", "A??B"),
            (b"\xed", "?"),
        ];
        for (bytes, java) in cases {
            assert_eq!(
                decode_text(bytes).replace('\u{fffd}', "?"),
                java,
                "{bytes:x?}"
            );
        }
    }
}
