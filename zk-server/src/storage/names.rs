//! The names of logs and snapshots, which begin with their kind and end with a zxid.

use std::ffi::OsStr;

use zk_proto::Zxid;

/// The directory below `dataDir` and `dataLogDir` that has the format's version.
pub(crate) const VERSION_DIR: &str = "version-2";

/// How a snapshot was compressed, which its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Snappy,
}

/// `log.1f`
pub(crate) fn log_name(zxid: Zxid) -> String {
    format!("log.{:x}", zxid.0)
}

/// `snapshot.1f`
pub(crate) fn snapshot_name(zxid: Zxid) -> String {
    format!("snapshot.{:x}", zxid.0)
}

/// `replacing.1f`, a snapshot that takes the place of everything else.
pub(crate) fn replacing_name(zxid: Zxid) -> String {
    format!("{REPLACING}{:x}", zxid.0)
}

/// The zxid of a snapshot that takes the place of everything else.
pub(crate) fn replacing_zxid(name: &OsStr) -> Option<Zxid> {
    parse(name.to_str()?.strip_prefix(REPLACING)?)
}

/// Whether it is a snapshot that was never finished.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    let is_ours = text.starts_with("snapshot.") || text.starts_with(REPLACING);
    is_ours && text.ends_with(".tmp")
}

const REPLACING: &str = "replacing.";

/// The zxid of a log's first transaction.
pub(crate) fn log_zxid(name: &OsStr) -> Option<Zxid> {
    parse(name.to_str()?.strip_prefix("log.")?)
}

/// The last zxid that a snapshot has for sure, and how it is compressed. A name that
/// goes on in another way belongs to a snapshot that was never finished.
pub(crate) fn snapshot_zxid(name: &OsStr) -> Option<(Zxid, Compression)> {
    let rest = name.to_str()?.strip_prefix("snapshot.")?;
    let (zxid, compression) = match rest.split_once('.') {
        None => (rest, Compression::None),
        Some((zxid, "gz")) => (zxid, Compression::Gzip),
        Some((zxid, "snappy")) => (zxid, Compression::Snappy),
        Some(_) => return None,
    };
    Some((parse(zxid)?, compression))
}

fn parse(hex: &str) -> Option<Zxid> {
    let is_number = !hex.is_empty() && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| i64::from_str_radix(hex, 16).ok().map(Zxid))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_zxid() {
        assert_eq!(log_name(Zxid(0x1_0000_000a)), "log.10000000a");
        assert_eq!(
            log_zxid(OsStr::new("log.10000000a")),
            Some(Zxid(0x1_0000_000a))
        );
        for other in ["log.", "log.x", "log.1.tmp", "log.+1", "logs", "snapshot.1"] {
            assert_eq!(log_zxid(OsStr::new(other)), None, "{other}");
        }
        let snapshot = |name: &str| snapshot_zxid(OsStr::new(name));
        assert_eq!(snapshot("snapshot.0"), Some((Zxid(0), Compression::None)));
        assert_eq!(
            snapshot("snapshot.ff.gz"),
            Some((Zxid(255), Compression::Gzip))
        );
        assert_eq!(
            snapshot("snapshot.1.snappy"),
            Some((Zxid(1), Compression::Snappy))
        );
        assert_eq!(snapshot("snapshot.1.tmp"), None);
        assert_eq!(replacing_name(Zxid(31)), "replacing.1f");
        let replacing = |name: &str| replacing_zxid(OsStr::new(name));
        assert_eq!(replacing("replacing.1f"), Some(Zxid(31)));
        assert_eq!(replacing("replacing.1f.tmp"), None);
        for name in ["snapshot.1.tmp", "replacing.1.tmp"] {
            assert!(is_unfinished(OsStr::new(name)), "{name}");
        }
        for name in ["snapshot.1", "replacing.1", "acceptedEpoch.tmp", "log.1"] {
            assert!(!is_unfinished(OsStr::new(name)), "{name}");
        }
    }
}
