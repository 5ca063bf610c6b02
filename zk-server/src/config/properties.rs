//! Java's `.properties` syntax, in which a `zoo.cfg` is written.

use std::iter::Peekable;
use std::str::Chars;

use crate::error::ConfigError;

/// One key with its value, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Property {
    pub(crate) key: String,
    /// Without white space around it.
    pub(crate) value: String,
}

/// Reads comments (`#`, `!`), continued lines, the separators `=`, `:` and white
/// space, and escapes. Of a key that is there twice the last value counts, as in
/// Java.
pub(crate) fn parse(text: &str) -> Result<Vec<Property>, ConfigError> {
    let mut properties: Vec<Property> = Vec::new();
    for (line, logical) in logical_lines(text) {
        let (key, value) = split(&logical);
        let key = unescape(key, line)?;
        let value = unescape(value, line)?.trim().to_owned();
        properties.retain(|earlier| earlier.key != key);
        properties.push(Property { key, value });
    }
    Ok(properties)
}

/// The text without the lines whose key is to go; comments and all others stay as they are.
/// Lines end with `\n`, the last one too.
pub(crate) fn without(text: &str, goes: impl Fn(&str) -> bool) -> Result<String, ConfigError> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut lines = natural_lines(text).into_iter().enumerate();
    let mut kept = String::new();
    while let Some((index, line)) = lines.next() {
        let mut raw = vec![line];
        let begin = line.trim_start_matches(is_blank);
        let mut goes_out = false;
        if !begin.is_empty() && !begin.starts_with(['#', '!']) {
            let mut joined = begin.to_owned();
            while ends_in_continuation(&joined) {
                joined.pop();
                let Some((_, next)) = lines.next() else { break };
                raw.push(next);
                joined.push_str(next.trim_start_matches(is_blank));
            }
            goes_out = goes(&unescape(split(&joined).0, index + 1)?);
        }
        if !goes_out {
            for line in raw {
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }
    Ok(kept)
}

/// Lines that say something, joined where they are continued, with the number of
/// the first one.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = natural_lines(text).into_iter().enumerate();
    let mut logical = Vec::new();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start_matches(is_blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = line.to_owned();
        while ends_in_continuation(&joined) {
            joined.pop();
            let Some((_, next)) = lines.next() else { break };
            joined.push_str(next.trim_start_matches(is_blank));
        }
        logical.push((index + 1, joined));
    }
    logical
}

/// Split at `\n`, `\r` and `\r\n`.
fn natural_lines(text: &str) -> Vec<&str> {
    let newlines = text.split('\n');
    newlines
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
        .collect()
}

/// White space inside a line, as Java's loader sees it.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// An odd number of backslashes at the end: the last one is not escaped.
fn ends_in_continuation(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Splits at the first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let is_separator = |c: char| {
        let separates = !escaped && (is_blank(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        separates
    };
    let end = line.find(is_separator).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str, line: usize) -> Result<String, ConfigError> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => plain.push(unicode(&mut chars, line)?),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Ok(plain)
}

/// What follows `\u`: four hexadecimal digits of a UTF-16 unit, or two such
/// escapes where one unit is not enough.
fn unicode(chars: &mut Peekable<Chars<'_>>, line: usize) -> Result<char, ConfigError> {
    let bad = |reason: &str| ConfigError::Syntax {
        line,
        reason: reason.to_owned(),
    };
    let mut units = vec![hex_unit(chars).ok_or_else(|| bad("\\u takes four hexadecimal digits"))?];
    if (0xd800..0xdc00).contains(&units[0]) && chars.next_if_eq(&'\\').is_some() {
        let low = chars.next_if_eq(&'u').and_then(|_| hex_unit(chars));
        units.push(low.ok_or_else(|| bad("half of a surrogate pair"))?);
    }
    let decoded = String::from_utf16(&units).map_err(|_| bad("half of a surrogate pair"))?;
    decoded
        .chars()
        .next()
        .ok_or_else(|| bad("half of a surrogate pair"))
}

fn hex_unit(chars: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars.next()?.to_digit(16)?;
        unit = unit * 16 + u16::try_from(digit).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let properties = parse(text).unwrap();
        properties.into_iter().map(|p| (p.key, p.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let [pair] = pairs(text).try_into().unwrap();
        pair
    }

    #[test]
    fn every_separator_is_understood() {
        for text in [
            "a=b",
            "a:b",
            "a b",
            "a = b",
            " \t a\t:  b  ",
            "a =b",
            "a\u{c}b",
        ] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("server.1=h:2888:3888;2181").1, "h:2888:3888;2181");
        assert_eq!(one("alone"), ("alone".into(), String::new()));
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        assert_eq!(pairs("# a=b\n  ! c=d\n\n \t \r\n"), []);
        assert_eq!(one("a=b # not a comment").1, "b # not a comment");
    }

    #[test]
    fn a_backslash_at_the_end_continues_a_line() {
        assert_eq!(one("a=b\\\n   c").1, "bc");
        assert_eq!(one("a=b\\\n# c").1, "b# c", "no comment inside a line");
        assert_eq!(
            pairs("a=b\\\\\nc=d").len(),
            2,
            "an escaped backslash continues nothing"
        );
        assert_eq!(one("a=b\\").1, "b");
        assert_eq!(pairs("a=b\rc=d\r\ne=f").len(), 3);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(one(r"a\=b\:c\ d=\tx\u0041\q").0, "a=b:c d");
        assert_eq!(one(r"a=x\u0041\q\\").1, r"xAq\");
        assert_eq!(one(r"a=\ud83d\ude00").1, "😀");
    }

    #[test]
    fn a_bad_escape_names_its_line() {
        for text in [
            "a=b\nc=\\u12g4",
            "a=b\nc=\\u12",
            "a=b\nc=\\ud800",
            "a=b\nc=\\ud800\\n",
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                matches!(error, ConfigError::Syntax { line: 2, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn lines_are_taken_out_and_the_rest_stays() {
        let text = "# servers\r\nserver.1=a\\\n  :1:2\n\ntickTime = 5\nserver\\.2 b\n!end";
        let kept = without(text, |key| key.starts_with("server.")).unwrap();
        assert_eq!(kept, "# servers\n\ntickTime = 5\n!end\n");
        assert_eq!(without("", |_| true).unwrap(), "\n");
    }

    #[test]
    fn the_last_of_two_values_counts() {
        assert_eq!(one("a=1\na=2"), ("a".into(), "2".into()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn what_stays_says_the_same(text in any::<String>()) {
            if let (Ok(all), Ok(kept)) = (parse(&text), without(&text, |key| key.len() > 3)) {
                let stays = all.into_iter().filter(|property| property.key.len() <= 3);
                prop_assert_eq!(parse(&kept).unwrap(), stays.collect::<Vec<_>>());
            }
        }
    }
}
