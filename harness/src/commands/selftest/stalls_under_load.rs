//! Stalls on purpose in a server that is kept busy: there the loop hardly rests between polls, and
//! it is the driver that sends the pings.
//!
//! One worker, so that the stalls have one loop and no company on its CPU.

use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::impact;
use quadrant_reports::selftest::injections::Injections;
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_suite::description::Workers;
use quadrant_suite::injection::Injection;
use quadrant_suite::plan::{Action, Group, Pace};

use super::bench::{Bench, Interrupted, Trial, step};
use super::extent::Extent;
use super::stalls::{FELT_NS, NOT_HELD_UP};
use super::{Part, draw};
use crate::adapters::subject::Subject;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "stalls under load", takes, measure };

const CONNECTIONS: u32 = 64;
const THRESHOLDS_MS: [u64; 2] = [1, 10];
/// Between two of them the load takes up its pace again.
const PAUSE_TIMES: u64 = 5;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    let of = |index| draw::time_for(&injections(0, extent, index), 1);
    (0..THRESHOLDS_MS.len()).map(of).sum::<Duration>() * subjects
}

fn injections(seed: u64, extent: &Extent, index: usize) -> Vec<Injection> {
    let threshold = Duration::from_millis(THRESHOLDS_MS[index]);
    let mut drawn = draw::injections(seed, PART.name, threshold, extent.loaded_stalls[index]);
    for injection in &mut drawn {
        injection.after_ns *= PAUSE_TIMES;
    }
    drawn
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut rows = Rows::new();
    for index in 0..THRESHOLDS_MS.len() {
        let trial = trial(injections(bench.seed(), &bench.extent, index), index);
        for subject in bench.shuffled(PART.name) {
            match bench.run(subject, &trial) {
                Ok(measured) => rows.add(bench, subject, index, &measured),
                Err(unmeasured) => unmeasured.tell(&subject.id, rows.of(index))?,
            }
        }
    }
    Ok(rows.finish())
}

fn trial(injections: Vec<Injection>, index: usize) -> Trial {
    let most = draw::time_at_most(&injections, 1);
    let mut trial = Trial::of_echo(CONNECTIONS, None, most);
    trial.groups.push(Group {
        name: "staller".to_owned(),
        count: 1,
        program: trial.programs.len(),
        pace: Pace::Repeat { times: 1 },
    });
    trial.programs.push(vec![step(Action::Inject { injections })]);
    trial.threshold = Duration::from_millis(THRESHOLDS_MS[index]);
    trial.workers = 1;
    trial
}

struct Rows {
    found: [Row; 2],
    lengths: [Row; 2],
    /// Of the second threshold alone, as is the next: of a short stall the time since the thread's
    /// times were last read is too large a part.
    causes: Row,
    felt: Row,
}

impl Rows {
    fn new() -> Self {
        let row = |key: String, what: String, bound| Row::new(key, what, bound, Unit::Share);
        let found = |ms| {
            row(
                format!("load.stalls.found.{ms}ms"),
                format!("under load: stalls of ≥ 1.5 θ found, θ = {ms} ms"),
                Bound::AtLeast(0.995),
            )
        };
        let length = |ms| {
            row(
                format!("load.stalls.length.{ms}ms"),
                format!("under load: error of their length, p95, θ = {ms} ms"),
                Bound::AtMost(0.02),
            )
        };
        Self {
            found: THRESHOLDS_MS.map(found),
            lengths: THRESHOLDS_MS.map(length),
            causes: row(
                "load.stalls.cause".to_owned(),
                "under load: error of the time of the cause, p95".to_owned(),
                Bound::AtMost(0.05),
            ),
            felt: row(
                "load.impact.found".to_owned(),
                "under load: stalls ≥ 5 ms felt by a ping".to_owned(),
                Bound::AtLeast(0.99),
            ),
        }
    }

    /// The rows that a trial at that threshold has figures for.
    fn of(&mut self, index: usize) -> impl Iterator<Item = &mut Row> {
        let last = [&mut self.causes, &mut self.felt];
        [&mut self.found[index], &mut self.lengths[index]]
            .into_iter()
            .chain(last.into_iter().filter(move |_| index == 1))
    }

    fn add(&mut self, bench: &Bench, subject: &Subject, index: usize, measured: &Measured) {
        let (id, clock) = (&subject.id, bench.told_clock());
        let injected = &measured.findings.injected;
        let threshold_ns = THRESHOLDS_MS[index] * 1_000_000;
        let pairs = Injections::new(injected, &measured.stall_log, clock, threshold_ns);
        self.found[index].add_cases(id, pairs.found());
        self.lengths[index].add_cases(id, Cases::quantile(pairs.length_errors(), 0.95));
        if index == 0 {
            return;
        }
        self.causes.add_cases(id, Cases::quantile(pairs.cause_errors(), 0.95));
        if subject.has_workers(Workers::PerTask) {
            return self.felt.pass_over(id, NOT_HELD_UP);
        }
        let shown = impact::shown(injected, &measured.findings.pings, clock, FELT_NS);
        self.felt.add_cases(id, shown.share());
    }

    fn finish(mut self) -> Vec<Row> {
        self.found[0].note(format!(
            "in a closed loop over {CONNECTIONS} connections, by computing, by a sleep and by a read \
             that blocks in turn, of 0.3 to 4 θ"
        ));
        self.found.into_iter().chain(self.lengths).chain([self.causes, self.felt]).collect()
    }
}
