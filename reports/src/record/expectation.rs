//! Expectations: what a scenario demands of its figures, and whether a record meets it.
//!
//! Never decides what follows from a broken one; that is the caller's and the exit code's.

use std::fmt;

use crate::record::{AxisValue, CheckedExpectation, GroupMetrics, Latency, Metrics};

/// One demand: `stalls.count = 0`. The value is in the record's units (nanoseconds, bytes).
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// One of [`metric_names`], or a figure of a named step or group: `steps.db.p99`.
    pub metric: String,
    pub comparison: Comparison,
    pub value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    AtMost,
    AtLeast,
    Below,
    Above,
}

/// What a metric counts, so that `5ms` can be read and written where it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    PerSecond,
    Nanoseconds,
    Bytes,
}

impl Expectation {
    /// A figure that does not exist (CPU per operation when none completed) is never as expected.
    pub fn check(&self, metrics: Option<&Metrics>, when: &[AxisValue]) -> CheckedExpectation {
        let seen = metrics.and_then(|metrics| metric_value(metrics, &self.metric));
        CheckedExpectation {
            expected: self.to_string(),
            when: when.to_vec(),
            seen,
            answer: None,
            met: seen.is_some_and(|seen| self.comparison.holds(seen, self.value)),
        }
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let expectation = Self {
            metric: words.next()?.to_owned(),
            comparison: Comparison::from_symbol(words.next()?)?,
            value: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(expectation)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.comparison, self.value)
    }
}

impl Comparison {
    pub const ALL: [Comparison; 5] = [
        Comparison::Equal,
        Comparison::AtMost,
        Comparison::AtLeast,
        Comparison::Below,
        Comparison::Above,
    ];

    pub fn symbol(self) -> &'static str {
        ["=", "<=", ">=", "<", ">"][self as usize]
    }

    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|comparison| comparison.symbol() == symbol)
    }

    pub fn holds(self, seen: f64, value: f64) -> bool {
        match self {
            Comparison::Equal => seen == value,
            Comparison::AtMost => seen <= value,
            Comparison::AtLeast => seen >= value,
            Comparison::Below => seen < value,
            Comparison::Above => seen > value,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// Every metric that needs no name from the scenario, in the record's order.
pub fn metric_names() -> Vec<&'static str> {
    METRICS.iter().map(|(name, ..)| *name).collect()
}

/// The unit of a metric that a scenario may ask for: one of [`metric_names`],
/// `steps.<step>.<latency>`, `steps.<step>.cancelled`, `groups.<group>.ops`, `groups.<group>.ops_per_sec` or
/// `groups.<group>.latency.<latency>`.
pub fn metric_unit(name: &str) -> Option<Unit> {
    metric(name).map(|(unit, _)| unit)
}

/// The value in the record's units; `None` for an unknown name and for a figure this trial has not.
pub fn metric_value(metrics: &Metrics, name: &str) -> Option<f64> {
    let (_, read) = metric(name)?;
    read(metrics).filter(|value| value.is_finite())
}

type ReadNamed<'n> = Box<dyn Fn(&Metrics) -> Option<f64> + 'n>;

fn metric(name: &str) -> Option<(Unit, ReadNamed<'_>)> {
    if let Some(&(_, unit, read)) = METRICS.iter().find(|(known, ..)| *known == name) {
        return Some((unit, Box::new(read)));
    }
    let (kind, rest) = name.split_once('.')?;
    let (owner, figure) = rest.rsplit_once('.')?;
    let owner = match (kind, figure) {
        ("steps", _) | ("groups", "ops" | "ops_per_sec") => owner,
        ("groups", _) => owner.strip_suffix(".latency")?,
        _ => return None,
    };
    fn group<'m>(metrics: &'m Metrics, name: &str) -> Option<&'m GroupMetrics> {
        metrics.groups.iter().find(|group| group.name == name)
    }
    let (unit, read): (Unit, ReadNamed) = match (kind, figure) {
        ("groups", "ops") => (Unit::Count, Box::new(move |m| Some(group(m, owner)?.ops as f64))),
        ("steps", "cancelled") => {
            (Unit::Count, Box::new(move |m| Some(*m.cancelled.get(owner)? as f64)))
        }
        ("groups", "ops_per_sec") => {
            (Unit::PerSecond, Box::new(move |m| Some(group(m, owner)?.ops_per_sec)))
        }
        ("groups", point) => {
            let point = latency_point(point)?;
            (Unit::Nanoseconds, Box::new(move |m| Some(point(&group(m, owner)?.latency_ns) as f64)))
        }
        (_, point) => {
            let point = latency_point(point)?;
            (Unit::Nanoseconds, Box::new(move |m| Some(point(m.steps.get(owner)?) as f64)))
        }
    };
    (!owner.is_empty()).then_some((unit, read))
}

type Read = fn(&Metrics) -> Option<f64>;

const METRICS: [(&str, Unit, Read); 36] = {
    use Unit::{Bytes, Count, Nanoseconds, PerSecond};
    [
        ("ops", Count, |m| Some(m.ops as f64)),
        ("errors", Count, |m| Some(m.errors as f64)),
        ("ops_per_sec", PerSecond, |m| Some(m.ops_per_sec)),
        ("latency.min", Nanoseconds, |m| latency(m, |l| l.min)),
        ("latency.p50", Nanoseconds, |m| latency(m, |l| l.p50)),
        ("latency.p90", Nanoseconds, |m| latency(m, |l| l.p90)),
        ("latency.p99", Nanoseconds, |m| latency(m, |l| l.p99)),
        ("latency.p999", Nanoseconds, |m| latency(m, |l| l.p999)),
        ("latency.max", Nanoseconds, |m| latency(m, |l| l.max)),
        ("latency.mean", Nanoseconds, |m| latency(m, |l| l.mean)),
        ("concurrency.peak", Count, |m| Some(m.concurrency.peak as f64)),
        ("concurrency.mean", Count, |m| Some(m.concurrency.mean)),
        ("threads.peak", Count, |m| Some(m.threads.peak as f64)),
        ("threads.loops", Count, |m| Some(m.threads.loops as f64)),
        ("threads.kernel", Count, |m| Some(m.threads.kernel as f64)),
        ("threads.created", Count, |m| m.threads.created.map(|created| created as f64)),
        ("threads.migrations", Count, |m| m.threads.migrations.map(|moved| moved as f64)),
        ("stalls.count", Count, |m| Some(m.stalls.count as f64)),
        ("stalls.count_1ms", Count, |m| Some(m.stalls.count_1ms as f64)),
        ("stalls.count_100ms", Count, |m| Some(m.stalls.count_100ms as f64)),
        ("stalls.longest_ns", Nanoseconds, |m| Some(m.stalls.longest_ns as f64)),
        ("stalls.total_ns", Nanoseconds, |m| Some(m.stalls.total_ns as f64)),
        ("stalls.cpu_ns", Nanoseconds, |m| Some(m.stalls.cpu_ns as f64)),
        ("stalls.run_queue_ns", Nanoseconds, |m| Some(m.stalls.run_queue_ns as f64)),
        ("stalls.blocked_ns", Nanoseconds, |m| Some(m.stalls.blocked_ns as f64)),
        ("impact.p50", Nanoseconds, |m| Some(m.impact_ns.as_ref()?.p50 as f64)),
        ("impact.p99", Nanoseconds, |m| Some(m.impact_ns.as_ref()?.p99 as f64)),
        ("impact.mean", Nanoseconds, |m| Some(m.impact_ns.as_ref()?.mean as f64)),
        ("impact.max", Nanoseconds, |m| Some(m.impact_ns.as_ref()?.max as f64)),
        ("stalls.polls", Count, |m| Some(m.stalls.polls as f64)),
        ("cpu_ns_per_op", Nanoseconds, |m| (m.ops > 0).then(|| m.cpu_ns as f64 / m.ops as f64)),
        ("context_switches.voluntary", Count, |m| Some(m.context_switches.voluntary as f64)),
        ("context_switches.involuntary", Count, |m| Some(m.context_switches.involuntary as f64)),
        ("rss.start", Bytes, |m| Some(m.rss_bytes.start as f64)),
        ("rss.peak", Bytes, |m| Some(m.rss_bytes.peak as f64)),
        ("rss.per_connection", Bytes, |m| m.rss_per_connection().map(|bytes| bytes as f64)),
    ]
};

/// Of nothing completed there is no latency, though the record holds zeros.
fn latency(metrics: &Metrics, read: fn(&Latency) -> u64) -> Option<f64> {
    (!metrics.latency_ns.histogram.is_empty()).then(|| read(&metrics.latency_ns) as f64)
}

fn latency_point(name: &str) -> Option<fn(&Latency) -> u64> {
    Some(match name {
        "min" => |l| l.min,
        "p50" => |l| l.p50,
        "p90" => |l| l.p90,
        "p99" => |l| l.p99,
        "p999" => |l| l.p999,
        "max" => |l| l.max,
        "mean" => |l| l.mean,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn reads_back_what_it_writes() {
        for comparison in Comparison::ALL {
            let expectation =
                Expectation { metric: "latency.p99".into(), comparison, value: 5_000_000.0 };
            let text = expectation.to_string();
            assert_eq!(text, format!("latency.p99 {comparison} 5000000"));
            assert_eq!(Expectation::parse(&text), Some(expectation));
        }
        assert_eq!(Expectation::parse("stalls.count = 0 today"), None);
        assert_eq!(Expectation::parse("stalls.count ~ 0"), None);
    }

    #[test]
    fn at_most_and_at_least_include_their_boundary() {
        let held = |seen| Comparison::ALL.map(|comparison| comparison.holds(seen, 2.0));
        assert_eq!(held(1.0), [false, true, false, true, false]);
        assert_eq!(held(2.0), [true, true, true, false, false]);
        assert_eq!(held(3.0), [false, false, true, false, true]);
    }

    #[test]
    fn every_name_has_a_unit_and_is_unique() {
        for (index, name) in metric_names().iter().enumerate() {
            assert!(metric_unit(name).is_some(), "{name}");
            assert!(!metric_names()[..index].contains(name), "{name}");
        }
        assert_eq!(metric_unit("steps.db.p99"), Some(Unit::Nanoseconds));
        assert_eq!(metric_unit("groups.hasher.ops"), Some(Unit::Count));
        assert_eq!(metric_unit("groups.hasher.latency.p50"), Some(Unit::Nanoseconds));
        for wrong in ["", "p99", "steps.p99", "groups.ops", "steps.db.p98", "stalls"] {
            assert_eq!(metric_unit(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_listed_name_reads_its_own_figure() {
        let record = sample::open_loop().remove(0);
        let mut metrics = record.metrics.unwrap();
        (metrics.rss_bytes.before_load, metrics.rss_bytes.with_load) = (Some(0), Some(50_000));
        for name in metric_names() {
            assert!(metric_value(&metrics, name).is_some(), "{name}");
        }
        for (name, value) in [
            ("ops", 2_000.0),
            ("cpu_ns_per_op", 5_400.0),
            ("threads.loops", 2.0),
            ("concurrency.mean", 12.4),
            ("rss.peak", (11 << 20) as f64),
            ("rss.per_connection", 1_000.0),
            ("groups.hasher.ops_per_sec", 18.1),
            ("groups.hasher.latency.p99", metrics.groups[0].latency_ns.p99 as f64),
            ("steps.db.p50", metrics.steps["db"].p50 as f64),
        ] {
            assert_eq!(metric_value(&metrics, name), Some(value), "{name}");
        }
        for name in ["steps.cache.p50", "groups.nobody.ops", "nonsense", ""] {
            assert_eq!(metric_value(&metrics, name), None, "{name}");
        }
    }

    #[test]
    fn a_missing_figure_is_never_as_expected() {
        let mut metrics = sample::metrics(0.0, 5);
        metrics.latency_ns = Latency::from(quadrant_suite::histogram::Histogram::default());
        for metric in ["latency.p99", "cpu_ns_per_op"] {
            let expectation =
                Expectation { metric: metric.into(), comparison: Comparison::AtMost, value: 1e9 };
            let checked = expectation.check(Some(&metrics), &[]);
            assert_eq!((checked.seen, checked.met), (None, false));
        }
    }
}
