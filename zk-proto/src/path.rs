//! Znode paths: validation, parents and names, the chroot.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Why a path cannot name a znode.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid path {path:?}: {reason}")]
pub struct PathError {
    /// The path as given.
    pub path: String,
    /// What is wrong with it.
    pub reason: PathReason,
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathReason {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// Paths are absolute.
    #[error("it does not start with '/'")]
    NotAbsolute,
    /// Only the root ends with a slash.
    #[error("it ends with '/'")]
    TrailingSlash,
    /// Two slashes in a row.
    #[error("it has an empty component at byte {at}")]
    EmptyComponent {
        /// Where.
        at: usize,
    },
    /// A component `.` or `..`.
    #[error("it has a relative component at byte {at}")]
    Relative {
        /// Where.
        at: usize,
    },
    /// A character that ZooKeeper forbids: controls, everything beyond the basic
    /// plane, the private use area, U+FFF0 and above.
    #[error("it has the forbidden character {:?} at byte {at}", .character)]
    Forbidden {
        /// Which.
        character: char,
        /// Where.
        at: usize,
    },
}

/// Checks that `path` can name a znode, by the rules of Apache's `PathUtils`.
///
/// # Errors
///
/// Names the first thing that is wrong.
pub fn validate(path: &str) -> Result<(), PathError> {
    match check(path) {
        None => Ok(()),
        Some(reason) => Err(PathError {
            path: path.to_owned(),
            reason,
        }),
    }
}

/// As [`validate`], for a path to which the server will append a counter: it may
/// end with a slash.
///
/// # Errors
///
/// Names the first thing that is wrong.
pub fn validate_sequential(path: &str) -> Result<(), PathError> {
    validate(&[path, "1"].concat()).map_err(|error| PathError {
        path: path.to_owned(),
        ..error
    })
}

fn check(path: &str) -> Option<PathReason> {
    if path.is_empty() {
        return Some(PathReason::Empty);
    }
    let Some(relative) = path.strip_prefix('/') else {
        return Some(PathReason::NotAbsolute);
    };
    if relative.is_empty() {
        return None;
    }
    // Nearly every path is plain, which is quicker to see byte by byte.
    let is_plain = path.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && let Some((at, character)) = path.char_indices().find(|(_, c)| is_forbidden(*c))
    {
        return Some(PathReason::Forbidden { character, at });
    }
    let mut at = 1;
    for component in relative.split('/') {
        match component {
            "" if at == path.len() => return Some(PathReason::TrailingSlash),
            "" => return Some(PathReason::EmptyComponent { at }),
            "." | ".." => return Some(PathReason::Relative { at }),
            _ => at += component.len() + 1,
        }
    }
    None
}

/// Java checks UTF-16 units, so that everything beyond the basic plane falls
/// under its ban on surrogates.
const fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..=char::MAX)
}

/// The parent of `path`; `None` for the root.
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path.len() == 1 => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

/// The last component of `path`; empty for the root.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// `parent` and `name` as one path.
pub fn join(parent: &str, name: &str) -> String {
    if parent == "/" {
        format!("/{name}")
    } else {
        format!("{parent}/{name}")
    }
}

/// Whether `path` is `ancestor` or lies below it, by whole components.
pub fn is_within(path: &str, ancestor: &str) -> bool {
    ancestor == "/"
        || path
            .strip_prefix(ancestor)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path`, its parent, and so on up to the root.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| parent(path))
}

/// The counter at the end of a sequential znode's name, as Java's `%010d` writes
/// it. Beyond 2³¹−1 the server's counter turns negative and carries a sign; a dash
/// before ten digits that could be positive is taken for the prefix's own.
///
/// ```
/// use zk_proto::path::sequence;
/// assert_eq!(sequence("/jobs/job-0000000042"), Some(42));
/// assert_eq!(sequence("lock--2147483648"), Some(i32::MIN));
/// assert_eq!(sequence("config"), None);
/// ```
pub fn sequence(name: &str) -> Option<i32> {
    const WIDTH: usize = 10;
    let (head, counter) = name.split_at_checked(name.len().checked_sub(WIDTH)?)?;
    let digits = counter.strip_prefix('-').unwrap_or(counter);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i64 = counter.parse().ok()?;
    let is_signed = value > i64::from(i32::MAX) && head.ends_with('-');
    i32::try_from(if is_signed { -value } else { value }).ok()
}

/// The subtree a client is confined to. Client side only: the server sees full paths.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Chroot(Option<Arc<str>>);

impl Chroot {
    /// No chroot: paths are the server's own.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Confines to `path`; `/` means none. The znode is not created.
    ///
    /// # Errors
    ///
    /// `path` is not valid.
    pub fn new(path: &str) -> Result<Self, PathError> {
        validate(path)?;
        Ok(if path == "/" {
            Self(None)
        } else {
            Self(Some(path.into()))
        })
    }

    /// Confines further, to `path` as this chroot sees it.
    ///
    /// # Errors
    ///
    /// `path` is not valid.
    pub fn join(&self, path: &str) -> Result<Self, PathError> {
        validate(path)?;
        Self::new(&self.to_server(path))
    }

    /// The chroot as a server path.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("/")
    }

    /// The server's name for what the client calls `path`.
    pub fn to_server<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match (self.0.as_deref(), path) {
            (None, path) => Cow::Borrowed(path),
            (Some(root), "/") => Cow::Owned(root.to_owned()),
            (Some(root), path) => Cow::Owned([root, path].concat()),
        }
    }

    /// The client's name for the server's `path`; `None` if it lies outside. By
    /// whole components: `/apple` is not within `/app`.
    pub fn to_client<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some(root) = self.0.as_deref() else {
            return Some(path);
        };
        match path.strip_prefix(root)? {
            "" => Some("/"),
            rest if rest.starts_with('/') => Some(rest),
            _ => None,
        }
    }
}

impl fmt::Debug for Chroot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Chroot").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests;
