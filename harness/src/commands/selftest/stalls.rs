//! Stalls on purpose, at three thresholds: found, as long as they were, laid at the right door,
//! seen while they go on, and felt by a ping.
//!
//! The last of the thresholds is tried with one worker for every subject that can: where one
//! loop does everything, what a ping feels can be told from the truth.

use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::injections::Injections;
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_reports::selftest::{impact, sightings};
use quadrant_suite::description::Workers;

use super::bench::{Bench, Interrupted, WORKERS};
use super::extent::Extent;
use super::{Part, causes, draw};
use crate::adapters::subject::Subject;
use crate::driver::pacer::LONGEST_GAP;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "stalls on purpose", takes, measure };

/// Impact is judged of stalls at least this long.
pub(super) const FELT_NS: u64 = 5_000_000;
/// Why it is not, of some.
pub(super) const NOT_HELD_UP: &str =
    "pings are read by a thread of their own, which no stall holds up";
/// A subject is looked at every 10 ms: what goes on for half as long again must have been seen.
const VISIBLE_NS: u64 = 15_000_000;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    let of = |(ms, long): (u64, u32)| {
        let threshold = Duration::from_millis(ms);
        draw::time_for(&draw::injections(0, "estimate", threshold, long), 1)
    };
    extent.long_stalls.into_iter().map(of).sum::<Duration>() * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut rows = Rows::new(bench);
    let last = bench.extent.long_stalls.len() - 1;
    for (index, (ms, long)) in bench.extent.long_stalls.into_iter().enumerate() {
        let purpose = format!("stalls of {ms} ms");
        let threshold = Duration::from_millis(ms);
        for subject in bench.shuffled(&purpose) {
            let injections = draw::injections(bench.seed(), &purpose, threshold, long);
            let most = draw::time_at_most(&injections, 1);
            let is_last = index == last;
            let workers = if is_last { 1 } else { WORKERS };
            let trial = draw::trial(injections, threshold, workers, most);
            match bench.run(subject, &trial) {
                Ok(measured) => rows.add(bench, subject, index, is_last, &measured),
                Err(unmeasured) => unmeasured.tell(&subject.id, rows.of(index, is_last))?,
            }
        }
    }
    Ok(rows.finish())
}

struct Rows {
    found: Vec<Row>,
    lengths: Vec<Row>,
    causes: Row,
    /// Of the last threshold alone.
    seen: Row,
    named: Row,
    felt: Row,
    felt_errors: Row,
    /// Pings that were sent too late, of all.
    late: (u64, u64),
    /// Stalls that had to wait for a CPU, of all.
    crowded: (u64, u64),
    /// CPU time that other processes used, of what there was.
    others: (u64, u64),
}

impl Rows {
    fn new(bench: &Bench) -> Self {
        let thresholds = bench.extent.long_stalls.map(|(ms, _)| ms);
        let found = |ms| {
            let bound = Bound::AtLeast(0.995);
            Row::new(
                format!("stalls.found.{ms}ms"),
                format!("stalls of ≥ 1.5 θ found, θ = {ms} ms"),
                bound,
                Unit::Share,
            )
        };
        let length = |ms| {
            Row::new(
                format!("stalls.length.{ms}ms"),
                format!("error of their length, p95, θ = {ms} ms"),
                Bound::AtMost(0.02),
                Unit::Share,
            )
        };
        let gap_ns = LONGEST_GAP.as_nanos() as f64;
        Self {
            found: thresholds.map(found).into(),
            lengths: thresholds.map(length).into(),
            causes: causes::row(0),
            seen: Row::new(
                "stalls.in_progress",
                "seen from outside while they go on",
                Bound::AtLeast(0.95),
                Unit::Share,
            ),
            named: Row::new(
                "stalls.call",
                "the call that blocks is named",
                Bound::AtLeast(0.99),
                Unit::Share,
            ),
            felt: Row::new(
                "impact.found",
                "stalls ≥ 5 ms of a single loop felt by a ping",
                Bound::AtLeast(0.99),
                Unit::Share,
            ),
            felt_errors: Row::new(
                "impact.length",
                "error of the length by pings, p99",
                Bound::AtMost(gap_ns),
                Unit::Nanoseconds,
            ),
            late: (0, 0),
            crowded: (0, 0),
            others: (0, 0),
        }
    }

    /// The rows that a trial at that threshold has figures for.
    fn of(&mut self, index: usize, is_last: bool) -> impl Iterator<Item = &mut Row> {
        let last = [&mut self.seen, &mut self.named, &mut self.felt, &mut self.felt_errors];
        [&mut self.found[index], &mut self.lengths[index], &mut self.causes]
            .into_iter()
            .chain(last.into_iter().filter(move |_| is_last))
    }

    fn add(
        &mut self,
        bench: &Bench,
        subject: &Subject,
        index: usize,
        is_last: bool,
        measured: &Measured,
    ) {
        let (ms, _) = bench.extent.long_stalls[index];
        let id = &subject.id;
        let threshold_ns = ms * 1_000_000;
        let injected = &measured.findings.injected;
        let clock = bench.told_clock();
        let pairs = Injections::new(injected, &measured.stall_log, clock, threshold_ns);
        self.found[index].add_cases(id, pairs.found());
        self.crowded.0 += pairs.crowded();
        self.crowded.1 += pairs.count();
        if let Some(noise) = &measured.noise {
            self.others.0 += noise.others_cpu_ns;
            self.others.1 += noise.capacity_ns;
        }
        self.lengths[index].add_cases(id, Cases::quantile(pairs.length_errors(), 0.95));
        self.causes.add_cases(id, Cases::quantile(pairs.cause_errors(), 0.95));
        if !is_last {
            return;
        }
        let glances: Vec<sightings::Glance> = measured
            .sightings
            .iter()
            .map(|one| sightings::Glance {
                begun: one.begun,
                ended: one.ended,
                seen: one.seen.clone(),
            })
            .collect();
        let seen =
            sightings::seen_in_progress(injected, &glances, bench.clock, threshold_ns, VISIBLE_NS);
        self.seen.add_cases(id, seen);
        let (right, wrong) = sightings::rightly_named(injected, &glances, bench.clock);
        self.named.add_cases(id, right);
        if let Some(wrong) = wrong {
            self.named.note(format!("on {id}, among others: {wrong}"));
        }
        self.add_impact(bench, subject, measured);
    }

    fn add_impact(&mut self, bench: &Bench, subject: &Subject, measured: &Measured) {
        let id = &subject.id;
        if subject.has_workers(Workers::PerTask) {
            self.felt.pass_over(id, NOT_HELD_UP);
            return self.felt_errors.pass_over(id, NOT_HELD_UP);
        }
        let findings = &measured.findings;
        let shown = impact::shown(&findings.injected, &findings.pings, bench.told_clock(), FELT_NS);
        self.felt.add_cases(id, shown.share());
        let gap_ns = LONGEST_GAP.as_nanos() as u64;
        let (late, of) = impact::late_pings(&findings.pings, bench.told_clock(), gap_ns);
        self.late.0 += late;
        self.late.1 += of;
        self.felt_errors.add_cases(id, Cases::quantile(shown.errors_ns, 0.99));
    }

    fn finish(mut self) -> Vec<Row> {
        self.found[0].note(
            "made by computing, by a sleep and by a read that blocks in turn, of 0.3 to 4 θ, \
             beside tasks that do a little all the time",
        );
        let (crowded, of) = self.crowded;
        self.lengths[0].note(format!(
            "other processes used {:.0} % of the CPUs meanwhile, and {crowded} of {of} stalls had \
             to wait for one: a thread that is made to wait between the truth and the end of its \
             poll shows here, and is no fault of the instruments",
            100.0 * self.others.0 as f64 / self.others.1.max(1) as f64
        ));
        self.causes.note("the worst of the three thresholds for each subject");
        keep_worst(&mut self.causes);
        self.felt.note("with one worker, where an executor can have several");
        let (late, of) = self.late;
        self.felt_errors.note(format!(
            "the demand is the longest time between two pings; {late} of {of} came later, because \
             this process did not get a CPU in time"
        ));
        self.found
            .into_iter()
            .chain(self.lengths)
            .chain([self.causes, self.seen, self.named, self.felt, self.felt_errors])
            .collect()
    }
}

/// One figure for each subject, its worst.
fn keep_worst(row: &mut Row) {
    let mut kept: Vec<quadrant_reports::selftest::row::Figure> = Vec::new();
    for figure in std::mem::take(&mut row.figures) {
        match kept.iter_mut().find(|one| one.subject == figure.subject) {
            Some(one) if one.value >= figure.value => {}
            Some(one) => *one = figure,
            None => kept.push(figure),
        }
    }
    row.figures = kept;
}
