//! Copies of one subject beside each other, in lock-step: what is told apart there is a mistake.
//!
//! Each subject beside one copy, as in any duel, and four copies of one subject, because with more
//! than two the place in the order could make a difference. Never looks at latencies.

use std::time::Duration;

use quadrant_reports::duel::{Verdict, ratio};
use quadrant_reports::interval::{Interval, estimate};
use quadrant_reports::selftest::position::dearer;
use quadrant_reports::selftest::power::{Cost, power};
use quadrant_reports::selftest::row::{Bound, Row, Together, Unit};
use quadrant_reports::turns::{Start, Turn};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, Unmeasured};
use super::extent::Extent;
use super::turns::{self, Side};
use crate::commands::duel::STARTS;

pub(super) const PART: Part = Part { name: "copies of one subject", takes, measure };

const FOUR: usize = 4;
/// Starting and warming up one side.
const STARTING: Duration = Duration::from_millis(90);

fn takes(extent: &Extent, subjects: u32) -> Duration {
    let pairs = (extent.copies_start + STARTING * 2) * extent.copies_starts * subjects;
    pairs + (extent.position_start + STARTING * FOUR as u32) * extent.position_starts
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let trial = turns::saturating(bench);
    let mut rows = vec![pairs(bench, &trial)?];
    rows.extend(four(bench, &trial)?);
    Ok(rows)
}

fn row(key: &str, what: &str, most: f64) -> Row {
    Row::new(key, what, Bound::AtMost(most), Unit::Share)
}

fn sides(trial: &Trial, count: usize) -> Vec<Side<'_>> {
    (0..count).map(|_| Side { trial, measured: false }).collect()
}

/// Every subject beside a copy of itself.
fn pairs(bench: &Bench, trial: &Trial) -> Result<Row, Interrupted> {
    let mut copies =
        row("compare.copies", "a copy of itself flagged as another, mean of all subjects", 0.014);
    let (count, time) = (bench.extent.copies_starts, bench.extent.copies_start);
    let (mut flagged, mut by_cpu) = (Vec::new(), 0);
    for subject in bench.shuffled(PART.name) {
        match turns::starts(bench, subject, &sides(trial, 2), count, time) {
            Ok(starts) => {
                let cost = Cost::that_decides(&starts);
                by_cpu += u32::from(cost == Cost::CpuTime);
                let share = power(&starts, 1, cost, STARTS as usize, true).map(|one| one.flagged);
                copies.add(&subject.id, share, starts.len() as u64);
                let one = ratio(&starts, 1, |turn: &Turn| cost.of(turn));
                let is_flagged = |verdict| matches!(verdict, Verdict::More | Verdict::Less);
                if one.is_some_and(|one| is_flagged(one.verdict(0.0))) {
                    flagged.push(subject.id.clone());
                }
            }
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut copies])?,
        }
    }
    judge_mean(&mut copies);
    copies.note(format!(
        "comparisons of {STARTS} starts each, drawn out of {count} of each subject under 256 \
         connections; the CPU time for an operation decided for {by_cpu}, throughput for the others"
    ));
    copies.note(match flagged.is_empty() {
        true => "none of the comparisons of all starts, as they were, was flagged".to_owned(),
        false => format!(
            "of the comparisons of all starts, as they were, flagged: {}",
            flagged.join(", ")
        ),
    });
    Ok(copies)
}

/// One subject's share rests on too few starts to be judged by itself.
fn judge_mean(row: &mut Row) {
    let values: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
    if let Some(mean) = estimate(&values) {
        let around =
            |half: f64| Interval { low: (mean.value - half).max(0.0), high: mean.value + half };
        let interval = mean.half_width.map(around);
        row.together = Some(Together { value: mean.value, interval });
    }
}

/// Four copies of one subject.
fn four(bench: &Bench, trial: &Trial) -> Result<Vec<Row>, Interrupted> {
    let mut rows = [
        row("compare.spread", "ratio to a copy of itself, spread", 0.01),
        row("compare.bias", "ratio to a copy of itself, off by", 0.005),
        row(
            "turns.position",
            "four copies in turns: the dearest place, more than the mean by",
            0.002,
        ),
        row("turns.copies", "four copies in turns: flagged as another", 0.014),
    ];
    let Some(subject) = turns::steady_subject(bench, trial) else {
        rows.iter_mut().for_each(|row| row.cannot("no subject serves connections"));
        return Ok(rows.into());
    };
    let (count, time) = (bench.extent.position_starts, bench.extent.position_start);
    let starts = match turns::starts(bench, subject, &sides(trial, FOUR), count, time) {
        Ok(starts) => starts,
        Err(Unmeasured::Interrupted) => return Err(Interrupted),
        Err(unmeasured) => {
            unmeasured.tell(&subject.id, &mut rows)?;
            return Ok(rows.into());
        }
    };
    let cost = Cost::that_decides(&starts);
    let [spread, bias, position, copies] = &mut rows;
    let of = starts.len() as u64;
    let one = power(&starts, 1, cost, STARTS as usize, true);
    spread.add(&subject.id, one.map(|one| one.spread), of);
    let one = ratio(&starts, 1, |turn: &Turn| cost.of(turn));
    let off = one.map(|one| (one.value - 1.0).abs());
    bias.add_within(&subject.id, off, one.map(|one| distance_from_one(one.interval)), of);
    for (place, dearer) in dearer(&starts, cost).into_iter().enumerate() {
        let id = format!("{}, place {}", subject.id, place + 1);
        let interval = dearer.and_then(|dearer| dearer.interval);
        position.add_within(&id, dearer.map(|dearer| dearer.share), interval, of);
    }
    add_flagged(copies, &subject.id, &starts, cost);
    position.note(format!("by {}, in {count} starts under 256 connections", cost.word()));
    Ok(rows.into())
}

/// How far from 1 a ratio within that interval may be.
fn distance_from_one(interval: Interval) -> Interval {
    let (low, high) = ((interval.low - 1.0).abs(), (interval.high - 1.0).abs());
    let holds_one = interval.low <= 1.0 && interval.high >= 1.0;
    Interval { low: if holds_one { 0.0 } else { low.min(high) }, high: low.max(high) }
}

/// The mean over the copies, each against the first.
fn add_flagged(row: &mut Row, subject: &str, starts: &[Start], cost: Cost) {
    let flagged = |side| power(starts, side, cost, STARTS as usize, true).map(|one| one.flagged);
    let shares: Option<Vec<f64>> = (1..FOUR).map(flagged).collect();
    let mean = shares.map(|shares| shares.iter().sum::<f64>() / shares.len() as f64);
    row.add(subject, mean, starts.len() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_around_one_may_be_no_distance() {
        let of = |low, high| distance_from_one(Interval { low, high });
        assert_eq!(of(0.75, 1.5), Interval { low: 0.0, high: 0.5 });
        assert_eq!(of(1.25, 1.5), Interval { low: 0.25, high: 0.5 });
        assert_eq!(of(0.25, 0.5), Interval { low: 0.5, high: 0.75 });
    }

    #[test]
    fn the_mean_of_all_subjects_is_judged() {
        let mut copies = row("a", "a", 0.014);
        for (subject, flagged) in [("a", 0.0), ("b", 0.02), ("c", 0.01)] {
            copies.add(subject, Some(flagged), 9);
        }
        judge_mean(&mut copies);
        let together = copies.together.unwrap();
        assert!((together.value - 0.01).abs() < 1e-12);
        assert_eq!(together.interval.unwrap().low, 0.0);
    }
}
