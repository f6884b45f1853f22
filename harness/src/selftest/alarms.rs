//! False alarms: stalls of subjects in which nothing stalls, under a quiet echo load.
//!
//! A watcher beside each of them tells what the machine itself did. Nothing is left out for it:
//! standstills that it saw are told beside the figure.

use std::time::Duration;

use quadrant_reports::selftest::alarms::{Alarms, Standstill, count};
use quadrant_reports::selftest::row::{Bound, Row, Unit};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, Unmeasured};
use super::extent::Extent;
use super::watcher::Watch;
use crate::adapters::subject::Subject;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "false alarms", takes, measure };

const MS: u64 = 1_000_000;
const CONNECTIONS: u32 = 8;
const RATE_PER_SEC: u64 = 1_000;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.quiet + Duration::from_millis(250)) * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut short = Tally::new(
        Row::new(
            "alarms.1ms",
            "false alarms ≥ 1 ms, all subjects together",
            Bound::AtMost(0.2),
            Unit::PerSecond,
        ),
        MS,
    );
    let mut long = Tally::new(
        Row::new(
            "alarms.10ms",
            "false alarms ≥ 10 ms that did not wait for a CPU",
            Bound::AtMost(0.0),
            Unit::Count,
        ),
        10 * MS,
    );
    for subject in bench.shuffled("alarms") {
        let mut trial = Trial::of_echo(CONNECTIONS, Some(RATE_PER_SEC), bench.extent.quiet);
        trial.threshold = Duration::from_nanos(MS);
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
    alarms: Alarms,
    seconds: f64,
}

impl Tally {
    fn new(row: Row, least_ns: u64) -> Self {
        Self { row, least_ns, alarms: Alarms::default(), seconds: 0.0 }
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
        let rate = (seconds > 0.0).then(|| alarms.false_alarms() as f64 / seconds);
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
        self.row.add(&subject.id, Some(alarms.unexplained as f64), measured.stalls.polls);
    }

    /// One subject's few seconds are too short for a rate of one in five.
    fn judge_together(&mut self) {
        if self.seconds > 0.0 {
            self.row.together = Some(self.alarms.false_alarms() as f64 / self.seconds);
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
