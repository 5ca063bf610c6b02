//! `monitor`: the numbers of `mntr`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::four_letter::{Metric, Value, metrics};
use crate::net::{Serving, Shell};

pub(in crate::admin) fn monitor(serving: &Serving, shell: &Shell) -> BTreeMap<&'static str, Json> {
    let metrics = metrics(serving, shell).into_iter();
    metrics
        .map(|Metric { key, value }| (key, json(value)))
        .collect()
}

fn json(value: Value) -> Json {
    match value {
        Value::Text(text) => text.into(),
        Value::Gauge(number) => number.into(),
        Value::Counter(number) => number.into(),
        Value::Mean(ten_thousandths) => mean(ten_thousandths).into(),
    }
}

/// A mean in ten-thousandths as a number.
pub(super) fn mean(ten_thousandths: u64) -> f64 {
    ten_thousandths as f64 / 10_000.0
}
