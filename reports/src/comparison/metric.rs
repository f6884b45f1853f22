//! Which figures of two runs are held against each other, and in which direction each is better.
//!
//! Never invents a figure: all of them are metrics that expectations know too.

use crate::number;
use crate::record::expectation::{Unit, metric_names, metric_unit};

pub const THROUGHPUT: &str = "ops_per_sec";
pub(super) const CPU: &str = "cpu_ns_per_op";
pub(super) const P99: &str = "latency.p99";
pub(super) const THREADS: &str = "threads.peak";
pub(super) const STALLS: &str = "stalls.count";

/// Looked at in every comparison; each is the column of its name.
const ALWAYS: [&str; 7] = [THROUGHPUT, "latency.p50", P99, "impact.p99", CPU, THREADS, STALLS];

#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The figure whose change decides about a cell. `None` for CPU time per operation,
    /// throughput or p99, whichever is the sharpest and not limited by the load.
    pub metric: Option<String>,
    /// A share: smaller changes are ignored.
    pub threshold: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { metric: None, threshold: 0.02 }
    }
}

impl Options {
    pub(super) fn metrics(&self) -> Vec<String> {
        let mut names = ALWAYS.map(str::to_owned).to_vec();
        names.extend(self.metric.clone().filter(|name| !ALWAYS.contains(&name.as_str())));
        names
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

/// `None` for what is no metric, and for what is neither good nor bad by itself.
pub fn better(metric: &str) -> Option<Better> {
    metric_unit(metric)?;
    match metric {
        "stalls.polls" | "threads.loops" | "threads.migrations" => None,
        "ops" | "ops_per_sec" | "concurrency.peak" | "concurrency.mean" => Some(Better::More),
        name if name.starts_with("groups.")
            && (name.ends_with(".ops") || name.ends_with(".ops_per_sec")) =>
        {
            Some(Better::More)
        }
        _ => Some(Better::Less),
    }
}

/// What can be asked for, in a sentence.
pub fn choices() -> String {
    let names: Vec<&str> =
        metric_names().into_iter().filter(|name| better(name).is_some()).collect();
    format!("{}, steps.NAME.p99, groups.NAME.ops_per_sec and the like", names.join(", "))
}

/// A value for tables: `184 k/s`, `351 µs`, `3`.
pub(super) fn shown(metric: &str, value: f64) -> String {
    match metric_unit(metric) {
        // A conversion of a float saturates, so nothing wraps.
        Some(Unit::Nanoseconds) => number::duration(value.round() as u64),
        Some(Unit::Bytes) => number::bytes(value.round() as u64),
        Some(Unit::PerSecond) => number::rate(value),
        // The geometric mean of 3, 3 and 3 is not quite 3.
        _ if (value - value.round()).abs() < 1e-9 * value.max(1.0) && value < 1e6 => {
            number::count(value.round() as u64)
        }
        _ => number::rate(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_looked_at_has_a_direction() {
        for name in ALWAYS {
            assert!(better(name).is_some(), "{name}");
        }
        for (name, expected) in [
            ("ops_per_sec", Some(Better::More)),
            ("groups.hasher.ops_per_sec", Some(Better::More)),
            ("groups.hasher.latency.p50", Some(Better::Less)),
            ("steps.db.p99", Some(Better::Less)),
            ("latency.p99", Some(Better::Less)),
            ("errors", Some(Better::Less)),
            ("concurrency.peak", Some(Better::More)),
            ("threads.loops", None),
            ("stalls.polls", None),
            ("speed", None),
        ] {
            assert_eq!(better(name), expected, "{name}");
        }
    }
}
