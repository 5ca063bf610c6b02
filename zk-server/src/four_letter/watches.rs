//! `wchs`, `wchc` and `wchp`. Like Apache they show data watches only.

use std::fmt::Write as _;

use crate::net::Serving;

pub(super) fn wchs(serving: &Serving) -> String {
    let summary = serving.zks.watch_summary();
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        summary.connections, summary.paths, summary.watches
    )
}

pub(super) fn wchc(serving: &Serving) -> String {
    let mut text = String::new();
    for (session, paths) in serving.zks.watches_by_session() {
        let _ = writeln!(text, "{session}");
        for path in paths {
            let _ = writeln!(text, "\t{path}");
        }
    }
    text.push('\n');
    text
}

pub(super) fn wchp(serving: &Serving) -> String {
    let mut text = String::new();
    for (path, sessions) in serving.zks.watches_by_path() {
        let _ = writeln!(text, "{path}");
        for session in sessions {
            let _ = writeln!(text, "\t{session}");
        }
    }
    text.push('\n');
    text
}
