//! Known delays: requests to a subject that is stopped for a known time, and tasks that sleep.
//!
//! Never judges how late a sleep ends: that depends on the runtime's timers and on the machine.

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::freeze;
use quadrant_suite::plan::{Action, How, Pace, Step};

use super::bench::{Bench, Interrupted, Rows, Trial, Unmeasured, group};
use crate::trial::Freeze;

/// The subject stands still for half of its window. The length is known from the times of the
/// signals, and only the driver sees it.
pub fn of_requests(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    const SHAPE: &str = "load.freeze.shape";
    const FAST: &str = "load.freeze.fast";
    /// A request that takes no longer was not delayed.
    const FAST_NS: u64 = 5_000_000;
    let window = bench.window([1_400, 1_000]);
    let trial = Trial {
        freeze: Some(Freeze { after: window / 5, lasting: window / 2 }),
        ..bench.echo(4, Some(1_000), window)
    };
    bench.for_each_subject(rows, &[SHAPE, FAST], |rows, subject| {
        let measured = bench.run(subject, &trial)?;
        let (Some((stopped, resumed)), Some(load)) = (measured.frozen, &measured.load) else {
            return Err(Unmeasured::Failed("it could not be stopped".to_owned()));
        };
        let frozen_ns = bench.clock.ns_between(stopped, resumed);
        let window_ns = measured.window_ns;
        let error = freeze::shape_error(&load.latency, frozen_ns, window_ns);
        rows.row(SHAPE).add(&subject.id, Cases::exact(error, load.requests));
        let error = freeze::fast_share_error(&load.latency, frozen_ns, window_ns, FAST_NS);
        rows.row(FAST).add(&subject.id, Cases::exact(error, load.requests));
        Ok(())
    })?;
    rows.row(SHAPE).note(format!(
        "as a share of the freeze, which lasts for half of a window of {} ms; the latencies of the \
         slowest half of the requests must be spread evenly from zero to its length",
        window.as_millis()
    ));
    Ok(())
}

/// No sleep may end early, nor be recorded as shorter than asked for.
pub fn of_tasks(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    const KEY: &str = "timers.early";
    /// No whole milliseconds, so that timers of 1 ms have to round them.
    const SLEEPS_US: [u64; 3] = [1_300, 4_700, 20_100];
    const TASKS: u32 = 4;
    let sleep = |(row, us): (usize, &u64)| {
        vec![Step { action: Action::Sleep { ns: us * 1_000, how: How::Await }, row: Some(row) }]
    };
    let name = |us: &u64| format!("sleep of {us} µs");
    let group = |(program, us)| group(&name(us), TASKS, program, Pace::BackToBack);
    let mut trial = bench.tasks(
        SLEEPS_US.iter().enumerate().map(sleep).collect(),
        SLEEPS_US.iter().enumerate().map(group).collect(),
        bench.window([500, 200]),
    );
    trial.plan.rows = SLEEPS_US.iter().map(name).collect();
    bench.for_each_subject(rows, &[KEY], |rows, subject| {
        let findings = bench.run(subject, &trial)?.findings;
        let (mut earliest_ns, mut sleeps) = (None, 0);
        for (index, us) in SLEEPS_US.iter().enumerate() {
            // Of the step, and of the operation around it.
            let histograms = [
                findings.rows.get(index).map(|row| &row.latency),
                findings.groups.get(index).map(|group| &group.latency),
            ];
            for histogram in histograms.into_iter().flatten().filter(|one| !one.is_empty()) {
                sleeps += histogram.count();
                let early_ns = (us * 1_000).saturating_sub(histogram.min());
                earliest_ns = earliest_ns.max(Some(early_ns));
            }
        }
        rows.row(KEY).add(&subject.id, Cases::exact(earliest_ns.map(|ns| ns as f64), sleeps));
        Ok(())
    })
}
