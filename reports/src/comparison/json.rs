//! A comparison for programs: one JSON object, nothing rounded.
//!
//! Never says less than the tables do.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::outcome::metrics;
use super::{Change, ComparedCell, Comparison, Names, State};
use crate::record::Status;

pub(super) fn value(comparison: &Comparison, names: &Names) -> Value {
    let geometric_means: BTreeMap<String, Value> = metrics(&comparison.cells, &comparison.options)
        .into_iter()
        .map(|summary| {
            let mean = json!({ "ratio": summary.ratios.value(), "cells": summary.ratios.count() });
            (summary.name, mean)
        })
        .collect();
    let threshold = comparison.options.threshold;
    json!({
        "base": names.base,
        "new": names.new,
        "unlike": names.unlike,
        "metric": comparison.options.metric,
        "threshold": comparison.options.threshold,
        "counts": comparison.counts(),
        "pairs": comparison.pairs,
        "geometric_means": geometric_means,
        "cells": comparison.cells.iter().map(|one| cell(one, threshold)).collect::<Vec<_>>(),
    })
}

fn cell(cell: &ComparedCell, threshold: f64) -> Value {
    let case: BTreeMap<&str, &str> =
        cell.key.case.iter().map(|axis| (axis.axis.as_str(), axis.value.as_str())).collect();
    let metrics: BTreeMap<&str, Value> =
        cell.changes.iter().map(|(name, made)| (name.as_str(), change(made, threshold))).collect();
    json!({
        "scenario": cell.key.scenario,
        "case": case,
        "subject": cell.key.subject,
        "verdict": cell.verdict,
        "decided_by": cell.decided_by,
        "doubt": cell.doubt,
        "base": state(cell.base.as_ref()),
        "new": state(cell.new.as_ref()),
        "trials_with_warnings": { "base": cell.warned.0, "new": cell.warned.1 },
        "metrics": metrics,
    })
}

fn state(state: Option<&State>) -> Value {
    match state {
        None => Value::Null,
        Some(State::Measured) => json!({ "status": Status::Ok, "reason": null }),
        Some(State::Told { status, text }) => json!({ "status": status, "reason": text }),
    }
}

fn change(change: &Change, threshold: f64) -> Value {
    let interval = change.interval().map(|interval| [interval.low, interval.high]);
    json!({
        "base": change.base,
        "new": change.new,
        "basis": change.basis,
        "ratio": change.ratio(),
        "interval_99": interval,
        "verdict": change.verdict(threshold),
        "differs_by_less_than": change.below(threshold),
        "smallest_visible": change.smallest_visible(threshold),
    })
}
