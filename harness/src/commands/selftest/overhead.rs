//! What a trial takes beyond its warm-up and its window: starting, connecting, hearing the
//! outcome, cleaning up.
//!
//! Runs nothing itself: the trials of all other parts were timed.

use std::collections::BTreeMap;
use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::row::{Bound, Row, Unit};

use super::Part;
use super::bench::{Bench, Interrupted};
use super::extent::Extent;

pub(super) const PART: Part = Part { name: "overhead of trials", takes, measure };

fn takes(_: &Extent, _: u32) -> Duration {
    Duration::ZERO
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut row = Row::new(
        "trial.overhead",
        "overhead of a trial, median",
        Bound::AtMost(50e6),
        Unit::Nanoseconds,
    );
    let mut by_subject: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for overhead in bench.overheads() {
        by_subject.entry(overhead.subject).or_default().push(overhead.ns as f64);
    }
    if by_subject.is_empty() {
        row.cannot("no trial with a window of its own came to its end");
    }
    for (subject, all_ns) in &by_subject {
        row.add_cases(subject, Cases::quantile(all_ns.clone(), 0.5));
    }
    let longest = by_subject.values().flatten().copied().reduce(f64::max);
    if let Some(longest) = longest {
        row.note(format!("the longest of all: {:.0} ms", longest / 1e6));
    }
    Ok(vec![row])
}
