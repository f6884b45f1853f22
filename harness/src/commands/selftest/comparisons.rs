//! Comparisons with a known result, in lock-step: copies of one subject, which must not be told
//! apart, and a subject beside itself with a little more to do, which must be found slower.
//!
//! Never looks at latencies.

use quadrant_reports::duel::{Verdict, ratio, turns_of};
use quadrant_reports::interval::{Interval, estimate};
use quadrant_reports::record::turns::{Start, Turn};
use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::comparisons::{Cost, Power, cost_of_places, power};
use quadrant_reports::selftest::row::Row;
use quadrant_suite::description::Workers;
use quadrant_suite::hash::{Function, Hash};
use quadrant_suite::plan::{Action, How};

use super::bench::{Bench, Interrupted, Rows, Trial, Unmeasured, step};
use super::turns::{self, Side};
use crate::adapters::subject::Subject;
use crate::commands::duel::STARTS;

const COPIES: &str = "compare.copies";
const SPREAD: &str = "compare.spread";
const BIAS: &str = "compare.bias";
const POSITION: &str = "turns.position";
const FOUR_COPIES: &str = "turns.copies";
const SLOWER_BY_5: &str = "compare.power.5";
const SLOWER_BY_1: &str = "compare.power.1";

const FOUR: usize = 4;

/// A load as in a run with many connections: the driver is busy all the time, and the subject has
/// a worker for each of its CPUs.
fn saturating(bench: &Bench, milliseconds: [u64; 2]) -> Trial {
    let trial = bench.echo(256, None, bench.window(milliseconds));
    let workers = trial.cpus.subject.len();
    trial.workers(workers)
}

fn bare(trial: &Trial) -> Side<'_> {
    Side { trial, measured: false }
}

/// A subject that can do it, if possible with a single loop: those vary least between starts.
fn steady_subject<'b>(bench: &'b Bench, trial: &Trial) -> Option<&'b Subject> {
    let able = || bench.subjects.iter().filter(|subject| bench.prepare(subject, trial).is_ok());
    able().find(|subject| subject.has_workers(Workers::One)).or_else(|| able().next())
}

/// As of a duel, out of these starts.
fn power_of_duel(starts: &[Start], side: usize, cost: Cost, copies: bool) -> Option<Power> {
    power(starts, side, cost, STARTS as usize, copies)
}

pub fn copies(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    pairs(bench, rows)?;
    let trial = saturating(bench, [530, 200]);
    let keys = [SPREAD, BIAS, POSITION, FOUR_COPIES];
    let Some(subject) = steady_subject(bench, &trial) else {
        keys.iter().for_each(|key| rows.row(key).fail_all("no subject serves connections"));
        return Ok(());
    };
    let result = four(bench, rows, subject, &trial);
    rows.keep_reason(&subject.id, &keys, result)
}

/// Every subject beside a copy of itself, as in any duel.
fn pairs(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    let trial = saturating(bench, [250, 100]);
    let count = bench.extent([10, 3]);
    let (mut flagged, mut by_cpu) = (Vec::new(), 0);
    bench.for_each_subject(rows, &[COPIES], |rows, subject| {
        let starts = turns::starts(bench, subject, &[bare(&trial), bare(&trial)], count)?;
        let cost = Cost::that_decides(&starts);
        by_cpu += u32::from(cost == Cost::CpuTime);
        let share = power_of_duel(&starts, 1, cost, true).map(|power| power.flagged);
        rows.row(COPIES).add(&subject.id, Cases::exact(share, starts.len() as u64));
        let verdict = ratio(&starts, 1, |turn| cost.of(turn)).map(|ratio| ratio.verdict(0.0));
        if matches!(verdict, Some(Verdict::More | Verdict::Less)) {
            flagged.push(subject.id.clone());
        }
        Ok(())
    })?;
    let row = rows.row(COPIES);
    judge_mean(row);
    row.note(format!(
        "comparisons of {STARTS} starts each, drawn from {count} of each subject under 256 \
         connections; the CPU time per operation decided for {by_cpu} subjects, throughput for the \
         others"
    ));
    row.note(match flagged.is_empty() {
        true => "in the comparisons of all real starts, no copy was called different".to_owned(),
        false => format!(
            "in the comparisons of all real starts, copies were called different of: {}",
            flagged.join(", ")
        ),
    });
    Ok(())
}

/// The share of one subject has too few starts to be judged by itself.
fn judge_mean(row: &mut Row) {
    let values: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
    if let Some(mean) = estimate(&values) {
        let around =
            |half: f64| Interval { low: (mean.value - half).max(0.0), high: mean.value + half };
        let interval = mean.half_width.map(around);
        row.together =
            Some(Cases::Known { value: Some(mean.value), interval, of: values.len() as u64 });
    }
}

/// Four copies of one subject: with more than two the place in the order could matter.
fn four(
    bench: &Bench,
    rows: &mut Rows,
    subject: &Subject,
    trial: &Trial,
) -> Result<(), Unmeasured> {
    let (id, count) = (&subject.id, bench.extent([44, 8]));
    let sides = [(); FOUR].map(|()| bare(trial));
    let starts = turns::starts(bench, subject, &sides, count)?;
    let of = starts.len() as u64;
    let cost = Cost::that_decides(&starts);
    // Of each copy against the first.
    let powers: Option<Vec<Power>> =
        (1..FOUR).map(|side| power_of_duel(&starts, side, cost, true)).collect();
    rows.row(SPREAD).add(id, Cases::exact(powers.as_ref().map(|powers| powers[0].spread), of));
    let one = ratio(&starts, 1, |turn: &Turn| cost.of(turn));
    let value = one.map(|one| (one.value - 1.0).abs());
    let interval = one.map(|one| distance_from_one(one.interval));
    rows.row(BIAS).add(id, Cases::Known { value, interval, of });
    for (place, above_mean) in cost_of_places(&starts, cost).into_iter().enumerate() {
        rows.row(POSITION).add(&format!("{id}, place {}", place + 1), above_mean);
    }
    let mean = |powers: &Vec<Power>| {
        powers.iter().map(|power| power.flagged).sum::<f64>() / powers.len() as f64
    };
    rows.row(FOUR_COPIES).add(id, Cases::exact(powers.as_ref().map(mean), of));
    rows.row(POSITION).note(format!("by {}, in {count} starts under 256 connections", cost.word()));
    Ok(())
}

/// How far from 1 a ratio within that interval may be.
fn distance_from_one(interval: Interval) -> Interval {
    let (low, high) = ((interval.low - 1.0).abs(), (interval.high - 1.0).abs());
    let holds_one = interval.low <= 1.0 && interval.high >= 1.0;
    Interval { low: if holds_one { 0.0 } else { low.min(high) }, high: low.max(high) }
}

pub fn slowdowns(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    let keys = [SLOWER_BY_5, SLOWER_BY_1];
    let Some(subject) = steady_subject(bench, &with_steps(bench, 1)) else {
        let reason = "no subject serves connections and computes for them";
        keys.iter().for_each(|key| rows.row(key).fail_all(reason));
        return Ok(());
    };
    let result = planted(bench, rows, subject);
    rows.keep_reason(&subject.id, &keys, result)
}

/// A subject beside itself with work added that takes 5 % and 1 % of its CPU time: some more times
/// a step that computes nothing, because a share of a request of a few microseconds can only be
/// added in portions that small. What one of them costs is measured first.
fn planted(bench: &Bench, rows: &mut Rows, subject: &Subject) -> Result<(), Unmeasured> {
    /// Enough for the cost of one to be measured.
    const CALIBRATING_TIMES: u64 = 400;
    const CALIBRATING_STARTS: usize = 4;
    let base = with_steps(bench, 1);
    let more = with_steps(bench, CALIBRATING_TIMES);
    let calibration =
        turns::starts(bench, subject, &[bare(&base), bare(&more)], CALIBRATING_STARTS)?;
    let [base_ns, more_ns] = [0, 1].map(|side| turns_of(&calibration, side).cpu_ns_per_op());
    let step_ns = (more_ns - base_ns) / (CALIBRATING_TIMES - 1) as f64;
    if step_ns <= 0.0 {
        return Err(Unmeasured::Failed("the cost of a step could not be measured".to_owned()));
    }
    let added = [0.05, 0.01].map(|share| (share * base_ns / step_ns).round().max(1.0));
    let slower = added.map(|times| with_steps(bench, 1 + times as u64));
    let mut starts = [Vec::new(), Vec::new()];
    // One start of each at a time, so that both meet the same conditions. What is easy to find
    // needs only half as many.
    for number in 0..bench.extent([30, 8]) {
        for (kind, slower) in slower.iter().enumerate() {
            if kind > 0 || number % 2 == 0 {
                let sides = [bare(&base), bare(slower)];
                starts[kind].extend(turns::starts(bench, subject, &sides, 1)?);
            }
        }
    }
    for ((key, starts), times) in [SLOWER_BY_5, SLOWER_BY_1].into_iter().zip(starts).zip(added) {
        let cost = Cost::that_decides(&starts);
        let power = power_of_duel(&starts, 1, cost, false);
        let row = rows.row(key);
        row.add(&subject.id, Cases::exact(power.map(|power| power.slower), starts.len() as u64));
        if let Some(power) = power {
            row.note(format!(
                "comparisons of {STARTS} starts each, drawn from {}; the work added takes {:.2} % \
                 of its CPU time, and by {} it was {:.2} % slower",
                starts.len(),
                100.0 * times * step_ns / base_ns,
                cost.word(),
                (power.ratio - 1.0) * 100.0
            ));
        }
    }
    Ok(())
}

/// Echo with a step that computes nothing, repeated `times` times per request.
fn with_steps(bench: &Bench, times: u64) -> Trial {
    let mut trial = saturating(bench, [500, 200]);
    let hash = Hash { function: Function::Chain, rounds: 0 };
    let nothing = Action::Hash { hash, expected: hash.answer(), how: How::Blocking };
    let steps = [Action::Repeat { times, length: 1 }, nothing].map(step);
    trial.plan.programs[0].splice(1..1, steps);
    trial
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrant_reports::selftest::row::{Bound, Unit};

    #[test]
    fn an_interval_around_one_may_be_no_distance() {
        let of = |low, high| distance_from_one(Interval { low, high });
        assert_eq!(of(0.75, 1.5), Interval { low: 0.0, high: 0.5 });
        assert_eq!(of(1.25, 1.5), Interval { low: 0.25, high: 0.5 });
        assert_eq!(of(0.25, 0.5), Interval { low: 0.5, high: 0.75 });
    }

    #[test]
    fn the_mean_of_all_subjects_is_judged() {
        let mut copies = Row::new("a", "a", Bound::AtMost(0.014), Unit::Share);
        for (subject, flagged) in [("a", 0.0), ("b", 0.02), ("c", 0.01)] {
            copies.add(subject, Cases::exact(flagged, 9));
        }
        judge_mean(&mut copies);
        let together = copies.together.unwrap();
        assert!((together.value().unwrap() - 0.01).abs() < 1e-12);
        assert_eq!(together.interval().unwrap().low, 0.0);
    }
}
