//! Known delays of tasks: a sleep is never over too early, and neither is what is told of it.
//!
//! Late is a matter of the runtime's timers and of the machine, and not judged here.

use std::time::Duration;

use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_suite::plan::{Action, Group, How, Pace, Step};

use super::Part;
use super::bench::{Bench, Interrupted, Trial};
use super::extent::Extent;
use crate::adapters::subject::Subject;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "known delays of tasks", takes, measure };

/// Not round, so that a timer of 1 ms has to decide which way to go.
const SLEEPS_US: [u64; 3] = [1_300, 4_700, 20_100];
const TASKS: u32 = 4;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.timer_window + Duration::from_millis(90)) * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut early = Row::new(
        "timers.early",
        "sleeps of 1.3, 4.7 and 20.1 ms, the earliest too early by",
        // What the scale of the CPU's counter may be off by over the longest of them.
        Bound::AtMost(1_000.0),
        Unit::Nanoseconds,
    );
    for subject in bench.shuffled("timers") {
        match bench.run(subject, &trial(bench.extent.timer_window)) {
            Ok(measured) => add(subject, &measured, &mut early),
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut early])?,
        }
    }
    Ok(vec![early])
}

fn trial(window: Duration) -> Trial {
    let program = |(row, us): (usize, &u64)| {
        vec![Step { action: Action::Sleep { ns: us * 1_000, how: How::Await }, row: Some(row) }]
    };
    let programs = SLEEPS_US.iter().enumerate().map(program).collect();
    let group = |(program, us): (usize, &u64)| Group {
        name: format!("{us} µs"),
        count: TASKS,
        program,
        pace: Pace::BackToBack,
    };
    let groups = SLEEPS_US.iter().enumerate().map(group).collect();
    Trial {
        rows: SLEEPS_US.iter().map(|us| format!("sleep of {us} µs")).collect(),
        ..Trial::of_tasks(programs, groups, window)
    }
}

/// The step's own row, and the operation around it.
fn add(subject: &Subject, measured: &Measured, early: &mut Row) {
    let findings = &measured.findings;
    let (mut worst_ns, mut sleeps) = (None, 0);
    for (index, us) in SLEEPS_US.iter().enumerate() {
        let histograms = [
            findings.rows.get(index).map(|row| &row.latency),
            findings.groups.get(index).map(|group| &group.latency),
        ];
        for histogram in histograms.into_iter().flatten().filter(|one| !one.is_empty()) {
            sleeps += histogram.count();
            let early_ns = (us * 1_000).saturating_sub(histogram.min());
            worst_ns = worst_ns.max(Some(early_ns));
        }
    }
    early.add(&subject.id, worst_ns.map(|ns| ns as f64), sleeps);
}
