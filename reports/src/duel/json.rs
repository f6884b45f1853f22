//! A duel for programs: every case with its ratios and every turn.
//!
//! Never rounds and never leaves a turn out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{DuelCase, conclusion, ratio};
use crate::record::turns::{Start, Turn};

pub(super) fn value(cases: &[DuelCase], concern: f64) -> Value {
    let cases: Vec<Value> = cases.iter().map(|case| of(case, concern)).collect();
    json!({ "concern": concern, "cases": cases })
}

fn of(duel: &DuelCase, concern: f64) -> Value {
    let case: BTreeMap<&str, &str> =
        duel.case.iter().map(|axis| (axis.axis.as_str(), axis.value.as_str())).collect();
    let (starts, status, told) = match &duel.result {
        Ok(starts) => (starts.as_slice(), "ok".into(), None),
        Err(none) => (&[][..], json!(none.status), Some(none)),
    };
    let subjects: Vec<Value> = duel
        .subjects
        .iter()
        .enumerate()
        .map(|(subject, id)| {
            json!({
                "id": id,
                "throughput": against_first(starts, subject, concern, Turn::ops_per_sec),
                "conclusion": conclusion(starts, subject, concern).filter(|_| subject > 0),
                "cpu_per_op": against_first(starts, subject, concern, Turn::cpu_ns_per_op),
            })
        })
        .collect();
    json!({
        "scenario": duel.scenario,
        "case": case,
        "operation": duel.operation,
        "status": status,
        "reason": told.map(|none| &none.reason),
        "at_fault": told.and_then(|none| none.subject.as_ref()),
        "subjects": subjects,
        "warnings": duel.warnings,
        "starts": starts,
    })
}

fn against_first(
    starts: &[Start],
    subject: usize,
    concern: f64,
    figure: fn(&Turn) -> f64,
) -> Value {
    match ratio(starts, subject, figure) {
        Some(ratio) => json!({
            "ratio": ratio.value,
            "interval_99": [ratio.interval.low, ratio.interval.high],
            "verdict": ratio.verdict(concern),
        }),
        None => Value::Null,
    }
}
