//! Metrics in Prometheus' text format, under the names of Apache's provider.

use std::fmt::Write as _;

use crate::four_letter::{Metric, Value, metrics};
use crate::net::{Serving, Shell};

/// All numbers there are. Like Apache's their help is their name.
pub(super) fn text(serving: &Serving, shell: &Shell) -> String {
    let mut text = String::new();
    for Metric { key, value } in metrics(serving, shell) {
        let kind = match value {
            Value::Text(_) => continue,
            Value::Gauge(_) | Value::Mean(_) => "gauge",
            Value::Counter(_) => "counter",
        };
        let _ = write!(
            text,
            "# HELP {key} {key}\n# TYPE {key} {kind}\n{key} {value}\n"
        );
    }
    text
}
