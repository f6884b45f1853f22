//! Comparisons with a known answer: a subject against a copy of itself, and against itself with
//! a little more to do, in lock-step.
//!
//! What more there is to do is a number of hash rounds. What a round costs is measured before,
//! on the same subject, by leaving them out.

use std::time::Duration;

use quadrant_reports::duel::{ratio, turns_of};
use quadrant_reports::selftest::power::{Power, power};
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_reports::turns::{Start, Turn};
use quadrant_suite::description::Workers;
use quadrant_suite::hash;
use quadrant_suite::plan::{Action, How};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, Unmeasured, step};
use super::extent::Extent;
use super::turns::{self, Side};
use crate::adapters::subject::Subject;
use crate::duel::STARTS;

pub(super) const PART: Part = Part { name: "comparisons with a known answer", takes, measure };

/// For each request, besides receiving and sending it.
const ROUNDS: u64 = 600;
const CONNECTIONS: u32 = 4;
const SLOWER_MUCH: f64 = 0.05;
const SLOWER_LITTLE: f64 = 0.01;
/// The opponents of a subject.
const COPY: usize = 0;
const LITTLE: usize = 1;
const MUCH: usize = 2;
/// Starting and warming up both sides.
const STARTING: Duration = Duration::from_millis(320);

fn takes(extent: &Extent, _: u32) -> Duration {
    (extent.start + STARTING) * (extent.starts + 1) * 7 / 3
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let row = |key: &str, what: &str, bound| Row::new(key, what, bound, Unit::Share);
    let mut copies =
        row("compare.copies", "a copy of itself flagged as another", Bound::AtMost(0.014));
    let mut spread =
        row("compare.spread", "ratio to a copy of itself, spread", Bound::AtMost(0.01));
    let mut bias = row("compare.bias", "ratio to a copy of itself, off by", Bound::AtMost(0.005));
    let mut much = row("compare.power.5", "slower by 5 %: flagged", Bound::AtLeast(0.95));
    let mut little = row("compare.power.1", "slower by 1 %: flagged", Bound::AtLeast(0.8));
    let mut rows = [&mut copies, &mut spread, &mut bias, &mut much, &mut little];
    let Some(subject) = chosen(bench) else {
        rows.iter_mut().for_each(|row| row.cannot("no subject serves connections"));
        return Ok(vec![copies, spread, bias, much, little]);
    };
    match compared(bench, subject) {
        Err(Unmeasured::Interrupted) => return Err(Interrupted),
        Err(Unmeasured::Failed(reason) | Unmeasured::PassedOver(reason)) => {
            rows.iter_mut().for_each(|row| row.fail(&subject.id, &*reason));
        }
        Ok(Compared { copy, off, little: one, much: five, slower, starts }) => {
            copies.add(&subject.id, copy.map(|power| power.flagged), starts[COPY]);
            spread.add(&subject.id, copy.map(|power| power.spread), starts[COPY]);
            bias.add(&subject.id, off, starts[COPY]);
            little.add(&subject.id, one.map(|power| power.slower), starts[LITTLE]);
            much.add(&subject.id, five.map(|power| power.slower), starts[MUCH]);
            for (row, power, truth) in [(&mut little, one, slower[0]), (&mut much, five, slower[1])]
            {
                if let Some(power) = power {
                    row.note(format!(
                        "its CPU time was {:.2} % more by what was added, and its throughput {:.2} % \
                         less as measured",
                        truth * 100.0,
                        (1.0 - power.ratio) * 100.0
                    ));
                }
            }
            copies.note(format!(
                "comparisons of {STARTS} starts each, as `quadrant duel` makes them, drawn out of {}",
                starts[COPY]
            ));
        }
    }
    Ok(vec![copies, spread, bias, much, little])
}

/// What one worker does is bounded by one CPU, so that more work is less throughput.
fn chosen(bench: &Bench) -> Option<&Subject> {
    let trial = hashing(ROUNDS);
    let fit: Vec<&Subject> = bench
        .subjects
        .iter()
        .filter(|subject| subject.unsupported(&bench.plan(subject, &trial)).is_none())
        .collect();
    let has_one_worker = |subject: &&&Subject| subject.has_workers(Workers::One);
    fit.iter().find(has_one_worker).or(fit.first()).copied()
}

struct Compared {
    copy: Option<Power>,
    /// By how much the copy's ratio, over all starts, is not 1.
    off: Option<f64>,
    little: Option<Power>,
    much: Option<Power>,
    /// By how much the last two really were slower.
    slower: [f64; 2],
    /// Of each opponent.
    starts: [u64; 3],
}

fn compared(bench: &Bench, subject: &Subject) -> Result<Compared, Unmeasured> {
    let side = |trial| Side { trial, measured: false };
    let (without, with) = (hashing(0), hashing(ROUNDS));
    let calibration =
        turns::starts(bench, subject, &[side(&without), side(&with)], 2, bench.extent.start / 2)?;
    let [without_ns, with_ns] = [0, 1].map(|index| turns_of(&calibration, index).cpu_ns_per_op());
    let round_ns = (with_ns - without_ns) / ROUNDS as f64;
    if round_ns <= 0.0 {
        let reason = "what a hash round costs could not be told from nothing";
        return Err(Unmeasured::Failed(reason.to_owned()));
    }
    let added = [SLOWER_LITTLE, SLOWER_MUCH].map(|share| (share * with_ns / round_ns).round());
    let opponents = [0.0, added[0], added[1]].map(|rounds| hashing(ROUNDS + rounds as u64));
    // One start of each at a time, so that all three kinds meet the same weather.
    let mut starts = [const { Vec::<Start>::new() }; 3];
    for number in 0..bench.extent.starts {
        for (kind, opponent) in opponents.iter().enumerate() {
            // What is easy to find needs fewer.
            if kind == MUCH && number % 3 > 0 {
                continue;
            }
            let sides = [side(&with), side(opponent)];
            starts[kind].extend(turns::starts(bench, subject, &sides, 1, bench.extent.start)?);
        }
    }
    let power_of = |kind: usize| power(&starts[kind], 1, STARTS as usize, kind == COPY);
    Ok(Compared {
        copy: power_of(COPY),
        off: ratio(&starts[COPY], 1, Turn::ops_per_sec).map(|ratio| (ratio.value - 1.0).abs()),
        little: power_of(LITTLE),
        much: power_of(MUCH),
        slower: added.map(|rounds| rounds * round_ns / with_ns),
        starts: starts.map(|starts| starts.len() as u64),
    })
}

/// Echo that computes a hash for each request.
fn hashing(rounds: u64) -> Trial {
    let mut trial = Trial::of_echo(CONNECTIONS, None, Duration::ZERO);
    let hash = Action::Hash { rounds, expected: hash::chain(rounds), how: How::Blocking };
    trial.programs[0].insert(1, step(hash));
    trial
}
