//! Quotas: limits that clients write below `/zookeeper/quota`, and the usage the
//! tree keeps beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

/// Where limits and usage live: those of `/a` in `/zookeeper/quota/a`.
pub(crate) const QUOTA_ROOT: &str = "/zookeeper/quota";
/// The name of a limits znode.
pub(crate) const LIMIT_NODE: &str = "zookeeper_limits";
/// The name of a usage znode.
pub(crate) const USAGE_NODE: &str = "zookeeper_stats";

/// The limits znode of the subtree at `prefix`.
pub(crate) fn limit_path(prefix: &str) -> String {
    [QUOTA_ROOT, prefix, "/", LIMIT_NODE].concat()
}

/// The usage znode of the subtree at `prefix`.
pub(crate) fn usage_path(prefix: &str) -> String {
    [QUOTA_ROOT, prefix, "/", USAGE_NODE].concat()
}

/// The subtrees that have limits (Apache's `PathTrie`).
#[derive(Debug, Default)]
pub(crate) struct QuotaPrefixes(BTreeSet<String>);

impl QuotaPrefixes {
    /// Limits for the subtree at `path` have been created. As in Apache the root
    /// itself cannot have any.
    pub(crate) fn add(&mut self, path: &str) {
        let prefix = collapsed(path);
        if !prefix.is_empty() {
            self.0.insert(prefix);
        }
    }

    /// They have been deleted.
    pub(crate) fn remove(&mut self, path: &str) {
        self.0.remove(&collapsed(path));
    }

    /// All of them.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    /// The nearest subtree with limits that contains `path`.
    pub(crate) fn max_prefix(&self, path: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let path = collapsed(path);
        let mut prefix = path.as_str();
        while !prefix.is_empty() {
            if let Some(found) = self.0.get(prefix) {
                return Some(found);
            }
            prefix = &prefix[..prefix.rfind('/').unwrap_or(0)];
        }
        None
    }
}

/// The path without its blank components, which Apache's trie leaves out.
fn collapsed(path: &str) -> String {
    path.split('/')
        .filter(|component| !component.trim_matches(' ').is_empty())
        .fold(String::with_capacity(path.len()), |mut all, component| {
            all.push('/');
            all.push_str(component);
            all
        })
}

/// The text of a limits or usage znode: `count=2,bytes=10=;countHardLimit=5`
/// (Apache's `StatsTrack`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuotaText(BTreeMap<String, i64>);

/// A limits or usage znode that does not hold what it should.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("not a list of names and numbers")]
pub(crate) struct QuotaSyntaxError;

const COUNT: &str = "count";
const BYTES: &str = "bytes";

impl QuotaText {
    /// Usage of a subtree.
    pub(crate) fn usage(count: i64, bytes: i64) -> Self {
        Self(BTreeMap::from([
            (COUNT.to_owned(), count),
            (BYTES.to_owned(), bytes),
        ]))
    }

    /// Reads a znode's data, by the rules of Apache's parser: runs of `,` and `;`
    /// separate, trailing `=` do not count, an empty number is −1.
    pub(crate) fn parse(data: Option<&[u8]>) -> Result<Self, QuotaSyntaxError> {
        let text = String::from_utf8_lossy(data.ok_or(QuotaSyntaxError)?);
        let is_separator = |c| c == ',' || c == ';';
        let pairs: BTreeMap<_, _> = text
            .split(is_separator)
            .filter(|pair| !pair.is_empty())
            .map(parse_pair)
            .collect::<Result<_, _>>()?;
        if text.starts_with(is_separator) && !pairs.is_empty() {
            return Err(QuotaSyntaxError);
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(-1)
    }

    /// Znodes, −1 if not set.
    pub(crate) fn count(&self) -> i64 {
        self.get(COUNT)
    }

    /// Bytes of data, −1 if not set.
    pub(crate) fn bytes(&self) -> i64 {
        self.get(BYTES)
    }

    /// Znodes above which creates are refused, −1 if not set.
    pub(crate) fn count_hard_limit(&self) -> i64 {
        self.get("countHardLimit")
    }

    /// Bytes above which writes are refused, −1 if not set.
    pub(crate) fn byte_hard_limit(&self) -> i64 {
        self.get("byteHardLimit")
    }

    /// The same with that much more in use.
    #[must_use]
    pub(crate) fn plus(mut self, count: i64, bytes: i64) -> Self {
        let sums = [
            (COUNT, self.count().wrapping_add(count)),
            (BYTES, self.bytes().wrapping_add(bytes)),
        ];
        for (name, sum) in sums {
            self.0.insert(name.to_owned(), sum);
        }
        self
    }
}

fn parse_pair(pair: &str) -> Result<(String, i64), QuotaSyntaxError> {
    let (name, rest) = pair
        .trim_end_matches('=')
        .split_once('=')
        .ok_or(QuotaSyntaxError)?;
    let number = rest.split('=').next().unwrap_or(rest);
    let value = if number.is_empty() {
        -1
    } else {
        number.parse().map_err(|_| QuotaSyntaxError)?
    };
    Ok((name.to_owned(), value))
}

/// Count first, bytes second; the `=` after them hides the rest from parsers
/// before 3.5.
impl fmt::Display for QuotaText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.count(), self.bytes())?;
        let mut others = self
            .0
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), COUNT | BYTES))
            .peekable();
        if others.peek().is_some() {
            f.write_str("=")?;
        }
        others.try_for_each(|(name, value)| write!(f, ";{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, QuotaSyntaxError> {
        QuotaText::parse(Some(text.as_bytes())).map(|quota| quota.to_string())
    }

    #[test]
    fn texts_are_read_and_written_as_apache_does() {
        assert_eq!(parse("count=2,bytes=10").unwrap(), "count=2,bytes=10");
        assert_eq!(
            parse("bytes=5;count=1,countHardLimit=9;byteHardLimit=").unwrap_err(),
            QuotaSyntaxError
        );
        assert_eq!(
            parse("count=4,bytes=5=;countHardLimit=10;byteHardLimit=11").unwrap(),
            "count=4,bytes=5=;byteHardLimit=11;countHardLimit=10"
        );
        assert_eq!(parse("").unwrap(), "count=-1,bytes=-1");
        assert_eq!(parse(";;").unwrap(), "count=-1,bytes=-1");
        assert_eq!(parse("count==7").unwrap(), "count=-1,bytes=-1");
        assert_eq!(parse("count=1,,bytes=2;").unwrap(), "count=1,bytes=2");
        for wrong in [",count=1", "count", "count=x", "=", "count="] {
            assert_eq!(parse(wrong), Err(QuotaSyntaxError), "{wrong}");
        }
        assert_eq!(QuotaText::parse(None), Err(QuotaSyntaxError));
    }

    #[test]
    fn the_nearest_limits_count() {
        let mut prefixes = QuotaPrefixes::default();
        assert_eq!(prefixes.max_prefix("/a/b"), None);
        prefixes.add("/a");
        prefixes.add("/a/b/c");
        prefixes.add("");
        assert_eq!(prefixes.max_prefix("/a/b"), Some("/a"));
        assert_eq!(prefixes.max_prefix("/a/b/c/d"), Some("/a/b/c"));
        assert_eq!(prefixes.max_prefix("/ab"), None);
        assert_eq!(prefixes.max_prefix("/"), None);
        prefixes.remove("/a");
        assert_eq!(prefixes.max_prefix("/a/b"), None);
        assert_eq!(prefixes.max_prefix("/a/b/c"), Some("/a/b/c"));
    }
}
