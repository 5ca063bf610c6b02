//! The grammar of RFC 2831's tokens: `name=value` or `name="quoted"`, separated by
//! commas.

use super::SaslError;

/// Directives in a token: more than the RFC defines.
const MAX_DIRECTIVES: usize = 64;

/// The directives of one token, in order. Names are lower case.
#[derive(Debug)]
pub(super) struct Directives(Vec<(String, Vec<u8>)>);

impl Directives {
    /// Reads a token of at most `limit` bytes.
    pub(super) fn parse(token: &[u8], limit: usize) -> Result<Self, SaslError> {
        if token.len() > limit {
            return Err(SaslError::Malformed("too long"));
        }
        let (mut directives, mut rest) = (Vec::new(), token);
        loop {
            // Empty elements are legal: `a=1,,b=2`.
            rest = skip(rest, |byte| is_space(byte) || byte == b',');
            if rest.is_empty() {
                return Ok(Self(directives));
            }
            if directives.len() == MAX_DIRECTIVES {
                return Err(SaslError::Malformed("too many directives"));
            }
            let (name, after) = name(rest)?;
            let (value, after) = value(after)?;
            rest = skip(after, is_space);
            if !rest.is_empty() && rest[0] != b',' {
                return Err(SaslError::Malformed("no comma after a value"));
            }
            directives.push((name, value));
        }
    }

    /// The value of a directive that may be there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&[u8]>, SaslError> {
        let mut found = self.all(name);
        let first = found.next();
        if found.next().is_some() {
            return Err(SaslError::Malformed("a directive twice"));
        }
        Ok(first)
    }

    /// As `one`, as text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, SaslError> {
        let text = self.one(name)?.map(std::str::from_utf8).transpose();
        text.map_err(|_| SaslError::Malformed("not UTF-8"))
    }

    /// As `text`, of a directive that has to be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, SaslError> {
        let missing = SaslError::Malformed("a directive is missing");
        self.text(name)?.ok_or(missing)
    }

    pub(super) fn all<'d>(&'d self, name: &str) -> impl Iterator<Item = &'d [u8]> {
        self.0
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value.as_slice())
    }
}

fn name(bytes: &[u8]) -> Result<(String, &[u8]), SaslError> {
    let end = bytes.iter().take_while(|byte| is_token(**byte)).count();
    let (name, rest) = bytes.split_at(end);
    let rest = skip(rest, is_space);
    match rest.split_first() {
        Some((b'=', rest)) if end > 0 => {
            let name = name
                .iter()
                .map(|byte| char::from(byte.to_ascii_lowercase()));
            Ok((name.collect(), skip(rest, is_space)))
        }
        _ => Err(SaslError::Malformed("no name=value")),
    }
}

fn value(bytes: &[u8]) -> Result<(Vec<u8>, &[u8]), SaslError> {
    let Some((b'"', mut rest)) = bytes.split_first() else {
        let end = bytes.iter().take_while(|byte| is_token(**byte)).count();
        if end == 0 {
            return Err(SaslError::Malformed("an empty value"));
        }
        let (value, rest) = bytes.split_at(end);
        return Ok((value.to_vec(), rest));
    };
    let mut value = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Ok((value, after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return Err(SaslError::Malformed("a quote without its end")),
        }
    }
}

/// Appends `name="value"`, with a comma before it unless it is the first.
pub(super) fn push_quoted(token: &mut String, name: &str, value: &str) {
    push(token, name, "\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            token.push('\\');
        }
        token.push(c);
    }
    token.push('"');
}

/// Appends `name=value`, likewise.
pub(super) fn push(token: &mut String, name: &str, value: &str) {
    if !token.is_empty() {
        token.push(',');
    }
    token.push_str(name);
    token.push('=');
    token.push_str(value);
}

fn skip(bytes: &[u8], is_skipped: impl Fn(u8) -> bool) -> &[u8] {
    let start = bytes.iter().take_while(|byte| is_skipped(**byte)).count();
    &bytes[start..]
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A little more than the RFC's `token`, whose separators do no harm in here.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b'=' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(token: &str) -> Result<Directives, SaslError> {
        Directives::parse(token.as_bytes(), 2048)
    }

    #[test]
    fn directives_are_read_as_the_grammar_has_them() {
        let read = parse(" Realm = \"a\\\"b\\\\c,d\" ,,qop=auth,realm=x\t,").unwrap();
        assert_eq!(
            read.all("realm").collect::<Vec<_>>(),
            [&b"a\"b\\c,d"[..], b"x"]
        );
        assert_eq!(read.text("qop"), Ok(Some("auth")));
        assert_eq!(read.text("nonce"), Ok(None));
        assert!(read.one("realm").is_err(), "twice");
        assert!(read.needed("nonce").is_err());
    }

    #[test]
    fn what_the_grammar_does_not_have_is_refused() {
        for token in [
            "a", "=1", "a=", "a=\"", "a=\"\\", "a=\"\\\"", "a=1 b=2", "a=\"1\"2", "\u{e9}=1",
        ] {
            assert!(parse(token).is_err(), "{token:?}");
        }
        assert!(Directives::parse(&[b','; 2049], 2048).is_err());
        assert!(parse(&"a=1,".repeat(MAX_DIRECTIVES)).is_ok());
        assert!(parse(&"a=1,".repeat(MAX_DIRECTIVES + 1)).is_err());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut token = String::new();
        push_quoted(&mut token, "username", "a\"b\\c");
        push(&mut token, "nc", "00000001");
        assert_eq!(token, r#"username="a\"b\\c",nc=00000001"#);
        assert_eq!(parse(&token).unwrap().text("username"), Ok(Some("a\"b\\c")));
    }
}
