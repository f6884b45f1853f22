//! False alarms: stalls of subjects in which nothing stalls, under a quiet echo load and under all
//! that they can take.
//!
//! A watcher beside each of them tells what the machine itself did. Nothing is left out for it:
//! standstills that it saw are told beside the figure.

use std::time::Duration;

use quadrant_reports::selftest::alarms::{Alarms, Standstill, count};
use quadrant_reports::selftest::row::{Bound, Row, Together, Unit};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, Unmeasured, WORKERS};
use super::extent::Extent;
use super::watcher::Watch;
use crate::adapters::subject::Subject;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "false alarms", takes, measure };

const MS: u64 = 1_000_000;
/// Connections, their requests a second, and workers; without a rate as many as can be answered.
/// There two workers would wait for each other.
const QUIET: (u32, Option<u64>, u32) = (8, Some(1_000), WORKERS);
const BUSY: (u32, Option<u64>, u32) = (64, None, 1);

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.quiet + Duration::from_millis(250)) * 2 * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let short = Row::new(
        "alarms.1ms",
        "false alarms ≥ 1 ms, all subjects together",
        Bound::AtMost(0.2),
        Unit::PerSecond,
    );
    let long = Row::new(
        "alarms.10ms",
        "false alarms ≥ 10 ms that did not wait for a CPU",
        Bound::AtMost(0.0),
        Unit::Count,
    );
    let mut rows = measure_under(bench, QUIET, short, long, Alarms::false_alarms)?;
    // On a CPU that never rests whoever else wants it makes a poll wait, and that is no mistake.
    let short = Row::new(
        "load.alarms.1ms",
        "under load: those ≥ 1 ms that did not wait for a CPU",
        Bound::AtMost(0.2),
        Unit::PerSecond,
    );
    let long = Row::new(
        "load.alarms.10ms",
        "under load: those ≥ 10 ms that did not wait for a CPU",
        Bound::AtMost(0.0),
        Unit::Count,
    );
    rows.extend(measure_under(bench, BUSY, short, long, |alarms| alarms.unexplained)?);
    Ok(rows)
}

fn measure_under(
    bench: &Bench,
    (connections, rate_per_sec, workers): (u32, Option<u64>, u32),
    short: Row,
    long: Row,
    are_false: fn(Alarms) -> u64,
) -> Result<Vec<Row>, Interrupted> {
    let mut short = Tally::new(short, MS, are_false);
    let mut long = Tally::new(long, 10 * MS, |alarms| alarms.unexplained);
    for subject in bench.shuffled("alarms") {
        let mut trial = Trial::of_echo(connections, rate_per_sec, bench.extent.quiet);
        trial.threshold = Duration::from_nanos(MS);
        trial.workers = workers;
        let mut cpus = bench.division(&trial).subject;
        cpus.truncate(WATCHED_MAX);
        let watch = Watch::begin(&bench.executable, &cpus, bench.clock);
        let ended = bench.run(subject, &trial);
        let seen = watch.and_then(Watch::end).map_err(|error| {
            format!("the watcher of the machine failed, so alarms cannot be told apart: {error}")
        });
        let both = match (ended, seen) {
            (Err(unmeasured), _) => Err(unmeasured),
            (Ok(_), Err(reason)) => Err(Unmeasured::Failed(reason)),
            (Ok(measured), Ok(seen)) => Ok((measured, seen)),
        };
        match both {
            Ok((measured, seen)) => {
                short.add_rate(bench, subject, &measured, &seen);
                long.add_count(bench, subject, &measured, &seen);
            }
            Err(unmeasured) => {
                unmeasured.tell(&subject.id, [&mut short.row, &mut long.row])?;
            }
        }
    }
    short.judge_together();
    Ok(vec![short.finish(), long.finish()])
}

/// More watchers than this would be a load of their own.
const WATCHED_MAX: usize = 8;

struct Tally {
    row: Row,
    least_ns: u64,
    /// How many of them are.
    are_false: fn(Alarms) -> u64,
    alarms: Alarms,
    seconds: f64,
}

impl Tally {
    fn new(row: Row, least_ns: u64, are_false: fn(Alarms) -> u64) -> Self {
        Self { row, least_ns, are_false, alarms: Alarms::default(), seconds: 0.0 }
    }

    fn count(&mut self, bench: &Bench, measured: &Measured, seen: &[Standstill]) -> (Alarms, f64) {
        let alarms = count(&measured.stall_log, seen, bench.clock, self.least_ns);
        let seconds = measured.window_ns as f64 / 1e9;
        self.alarms.add(alarms);
        self.seconds += seconds;
        (alarms, seconds)
    }

    fn add_rate(
        &mut self,
        bench: &Bench,
        subject: &Subject,
        measured: &Measured,
        seen: &[Standstill],
    ) {
        let (alarms, seconds) = self.count(bench, measured, seen);
        let polls = measured.stalls.polls;
        let rate = (seconds > 0.0).then(|| (self.are_false)(alarms) as f64 / seconds);
        self.row.add(&subject.id, rate, polls);
    }

    fn add_count(
        &mut self,
        bench: &Bench,
        subject: &Subject,
        measured: &Measured,
        seen: &[Standstill],
    ) {
        let (alarms, _) = self.count(bench, measured, seen);
        self.row.add(&subject.id, Some((self.are_false)(alarms) as f64), measured.stalls.polls);
    }

    /// One subject's few seconds are too short for a rate of one in five.
    fn judge_together(&mut self) {
        if self.seconds > 0.0 {
            let value = (self.are_false)(self.alarms) as f64 / self.seconds;
            self.row.together = Some(Together { value, interval: None });
        }
    }

    fn finish(mut self) -> Row {
        let Alarms { standstills, neighbours, unexplained, longest } = self.alarms;
        if self.seconds > 0.0 {
            self.row.note(format!(
                "of polls, in {:.0} s: {unexplained} without a reason, {neighbours} waited for a \
                 CPU; not counted: {standstills} while a watcher saw the machine stand still",
                self.seconds
            ));
        }
        if let Some(longest) = longest {
            let ms = |ns: u64| ns as f64 / 1e6;
            self.row.note(format!(
                "the longest without a reason: {:.1} ms, of which {:.1} ms computing and {:.1} ms \
                 waiting for a CPU",
                ms(longest.ns),
                ms(longest.cpu_ns),
                ms(longest.run_queue_ns)
            ));
        }
        self.row
    }
}
