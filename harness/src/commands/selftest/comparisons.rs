//! Comparisons with a known answer: a subject against itself with a little more to do, in
//! lock-step, under a load like that of a run.
//!
//! What more there is to do is a step that computes nothing, some more times: a share of a request
//! that takes some microseconds can be added in no larger portions. What one of them costs is
//! measured before, on the same subject. Copies, where nothing is more, are another part.

use std::time::Duration;

use quadrant_reports::duel::turns_of;
use quadrant_reports::selftest::power::{Cost, power};
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_reports::turns::Start;
use quadrant_suite::hash;
use quadrant_suite::plan::{Action, How};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, Unmeasured, step};
use super::extent::Extent;
use super::turns::{self, Side};
use crate::adapters::subject::Subject;
use crate::commands::duel::STARTS;

pub(super) const PART: Part = Part { name: "comparisons with a known answer", takes, measure };

/// So many times that what one costs can be told.
const CALIBRATING_TIMES: u64 = 400;
const CALIBRATING_STARTS: u32 = 4;
/// What is easy to find needs fewer starts.
const FEWER: u32 = 2;
/// Starting and warming up both sides.
const STARTING: Duration = Duration::from_millis(180);

fn takes(extent: &Extent, _: u32) -> Duration {
    let starts = extent.starts + extent.starts.div_ceil(FEWER) + CALIBRATING_STARTS;
    (extent.start + STARTING) * starts
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let row =
        |key: &str, what: &str, least| Row::new(key, what, Bound::AtLeast(least), Unit::Share);
    let mut much = row("compare.power.5", "slower by 5 %: flagged", 0.95);
    let mut little = row("compare.power.1", "slower by 1 %: flagged", 0.8);
    let Some(subject) = turns::steady_subject(bench, &stepping(bench, 1)) else {
        let reason = "no subject serves connections and computes for them";
        [&mut much, &mut little].into_iter().for_each(|row| row.cannot(reason));
        return Ok(vec![much, little]);
    };
    match planted(bench, subject) {
        Ok(planted) => {
            for (row, planted) in [&mut much, &mut little].into_iter().zip(planted) {
                add(row, subject, &planted);
            }
        }
        Err(unmeasured) => unmeasured.tell(&subject.id, [&mut much, &mut little])?,
    }
    Ok(vec![much, little])
}

/// Starts beside itself with more to do.
struct Planted {
    /// By how much it really is slower.
    slower: f64,
    starts: Vec<Start>,
}

fn add(row: &mut Row, subject: &Subject, planted: &Planted) {
    let Planted { slower, starts } = planted;
    let cost = Cost::that_decides(starts);
    let power = power(starts, 1, cost, STARTS as usize, false);
    row.add(&subject.id, power.map(|power| power.slower), starts.len() as u64);
    if let Some(power) = power {
        row.note(format!(
            "comparisons of {STARTS} starts each, drawn out of {}; what was added is {:.2} % of its \
             CPU time, and by {} it was {:.2} % slower",
            starts.len(),
            slower * 100.0,
            cost.word(),
            (power.ratio - 1.0) * 100.0
        ));
    }
}

/// Slower by 5 % and by 1 %.
fn planted(bench: &Bench, subject: &Subject) -> Result<[Planted; 2], Unmeasured> {
    let side = |trial| Side { trial, measured: false };
    let time = bench.extent.start;
    let (base, more) = (stepping(bench, 1), stepping(bench, CALIBRATING_TIMES));
    let sides = [side(&base), side(&more)];
    let calibration = turns::starts(bench, subject, &sides, CALIBRATING_STARTS, time)?;
    let [base_ns, more_ns] = [0, 1].map(|index| turns_of(&calibration, index).cpu_ns_per_op());
    let step_ns = (more_ns - base_ns) / (CALIBRATING_TIMES - 1) as f64;
    if step_ns <= 0.0 {
        let reason = "what a step costs could not be told from nothing";
        return Err(Unmeasured::Failed(reason.to_owned()));
    }
    let added = [0.05, 0.01].map(|share| (share * base_ns / step_ns).round().max(1.0));
    let opponents = added.map(|times| stepping(bench, 1 + times as u64));
    let mut starts = [Vec::new(), Vec::new()];
    // One start of each at a time, so that both meet the same conditions.
    for number in 0..bench.extent.starts {
        for (kind, opponent) in opponents.iter().enumerate() {
            if kind > 0 || number % FEWER == 0 {
                let sides = [side(&base), side(opponent)];
                starts[kind].extend(turns::starts(bench, subject, &sides, 1, time)?);
            }
        }
    }
    let [much, little] = starts;
    let slower = added.map(|times| times * step_ns / base_ns);
    Ok([Planted { slower: slower[0], starts: much }, Planted { slower: slower[1], starts: little }])
}

/// Echo that takes a step which computes nothing so many times for each request.
fn stepping(bench: &Bench, times: u64) -> Trial {
    let mut trial = turns::saturating(bench);
    let nothing = Action::Hash { rounds: 0, expected: hash::chain(0), how: How::Blocking };
    let steps = [Action::Repeat { times, length: 1 }, nothing].map(step);
    trial.programs[0].splice(1..1, steps);
    trial
}
