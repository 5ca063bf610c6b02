//! `envi`: where the server runs, under Apache's names.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::server::VERSION;

/// What is unknown, or exists in a Java process only.
const NONE: &str = "<NA>";

pub(super) fn envi() -> String {
    let mut text = "Environment:\n".to_owned();
    for (key, value) in entries() {
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

pub(crate) fn entries() -> [(&'static str, String); 18] {
    let none = || NONE.to_owned();
    let var = |names: &[&str]| {
        let found = names.iter().find_map(|name| env::var(name).ok());
        found.unwrap_or_else(none)
    };
    let path = |path: Option<PathBuf>| path.map_or_else(none, |path| path.display().to_string());
    [
        ("zookeeper.version", VERSION.to_owned()),
        ("host.name", var(&["HOSTNAME", "COMPUTERNAME"])),
        ("java.version", NONE.to_owned()),
        ("java.vendor", NONE.to_owned()),
        ("java.home", NONE.to_owned()),
        ("java.class.path", NONE.to_owned()),
        (concat!("java.", "library.path"), NONE.to_owned()),
        ("java.io.tmpdir", path(Some(env::temp_dir()))),
        ("java.compiler", NONE.to_owned()),
        ("os.name", env::consts::OS.to_owned()),
        ("os.arch", env::consts::ARCH.to_owned()),
        ("os.version", NONE.to_owned()),
        ("user.name", var(&["USER", "USERNAME"])),
        ("user.home", var(&["HOME", "USERPROFILE"])),
        ("user.dir", path(env::current_dir().ok())),
        ("os.memory.free", NONE.to_owned()),
        ("os.memory.max", NONE.to_owned()),
        ("os.memory.total", NONE.to_owned()),
    ]
}
