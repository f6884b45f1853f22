//! Expectations in words, and figures in their units.
//!
//! Never judges a figure.

use crate::number;
use crate::prose::clean;
use crate::record::expectation::{Comparison, Expectation, Unit, metric_unit};

/// `latency.p99 ≤ 5 ms` for `latency.p99 <= 5000000`.
pub(crate) fn expectation_text(expected: &str) -> String {
    let with_unit = |wanted: Expectation| with_value(&wanted, in_unit);
    Expectation::parse(expected).map_or_else(|| clean(expected), with_unit)
}

fn with_value(expectation: &Expectation, write: fn(&str, f64) -> String) -> String {
    let (symbol, metric) = (symbol(expectation.comparison), &expectation.metric);
    format!("{} {symbol} {}", clean(metric), write(metric, expectation.value))
}

pub(crate) fn symbol(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::AtMost => "≤",
        Comparison::AtLeast => "≥",
        _ => comparison.symbol(),
    }
}

/// What was expected and what was seen instead, with as many digits as it takes to see the
/// difference.
pub(crate) fn missed_text(expected: &str, seen: &[Option<f64>]) -> String {
    let values = || seen.iter().copied().flatten();
    let (Some(low), Some(high)) = (values().reduce(f64::min), values().reduce(f64::max)) else {
        return format!("{}, saw nothing to measure", expectation_text(expected));
    };
    let range = |metric: &str, write: fn(&str, f64) -> String| match (
        write(metric, low),
        write(metric, high),
    ) {
        (low, high) if low == high => low,
        (low, high) => format!("{low} … {high}"),
    };
    let Some(expectation) = Expectation::parse(expected) else {
        return format!("{}, saw {}", clean(expected), range("", in_unit));
    };
    let metric = expectation.metric.as_str();
    let wanted = in_unit(metric, expectation.value);
    let is_hidden = [low, high].iter().any(|value| in_unit(metric, *value) == wanted);
    let write = if is_hidden { exactly } else { in_unit };
    format!("{}, saw {}", with_value(&expectation, write), range(metric, write))
}

pub(crate) fn in_unit(metric: &str, value: f64) -> String {
    let whole = value.fract() == 0.0 && (0.0..1e6).contains(&value);
    match metric_unit(metric) {
        // A conversion of a float saturates, so nothing wraps.
        Some(Unit::Nanoseconds) => number::round_duration(value.round() as u64),
        Some(Unit::Bytes) => number::bytes(value.round() as u64),
        Some(Unit::PerSecond) => format!("{}/s", number::rate(value)),
        _ if whole => number::count(value as u64),
        _ => number::mean_count(value),
    }
}

/// All digits, in the unit of the record.
fn exactly(metric: &str, value: f64) -> String {
    let unit = match metric_unit(metric) {
        Some(Unit::Nanoseconds) => " ns",
        Some(Unit::Bytes) => " B",
        Some(Unit::PerSecond) => "/s",
        _ => "",
    };
    match value.fract() == 0.0 {
        true => format!("{}{unit}", number::grouped(value as u64)),
        false => format!("{value}{unit}"),
    }
}
