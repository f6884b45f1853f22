//! What all instruments together cost: echo with poll wrapper, pings and looks from outside,
//! against the same without any of it, in lock-step.
//!
//! With many connections the throughput counts; with one the loop rests between requests, and what
//! the instruments do at each rest shows in the CPU time.

use std::time::Duration;

use quadrant_reports::duel::ratio;
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_reports::turns::{Start, Turn};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, Unmeasured};
use super::extent::Extent;
use super::turns::{self, Side};
use crate::adapters::subject::Subject;

pub(super) const PART: Part = Part { name: "what the instruments cost", takes, measure };

const CONNECTIONS: u32 = 64;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.cost_start + Duration::from_millis(160)) * 2 * extent.cost_starts * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut echo = Row::new(
        "instruments.echo",
        "throughput that the instruments leave, 64 connections",
        Bound::AtLeast(0.97),
        Unit::Share,
    );
    let mut one = Row::new(
        "instruments.cpu",
        "CPU time for a request with them, 1 connection",
        Bound::AtMost(1.05),
        Unit::Share,
    );
    let mut cpu_most: Option<f64> = None;
    for subject in bench.shuffled("instruments") {
        match starts(bench, subject, CONNECTIONS) {
            Ok(starts) => {
                add(&mut echo, subject, &starts, Turn::ops_per_sec);
                let cpu = ratio(&starts, 1, Turn::cpu_ns_per_op).map(|ratio| ratio.value);
                cpu_most = [cpu_most, cpu].into_iter().flatten().reduce(f64::max);
            }
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut echo])?,
        }
        match starts(bench, subject, 1) {
            Ok(starts) => add(&mut one, subject, &starts, Turn::cpu_ns_per_op),
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut one])?,
        }
    }
    if let Some(most) = cpu_most {
        echo.note(format!(
            "in a closed loop; the CPU time for a request is {most:.3} times what it is without \
             them, at the most"
        ));
    }
    Ok(vec![echo, one])
}

/// Without instruments and with them.
fn starts(bench: &Bench, subject: &Subject, connections: u32) -> Result<Vec<Start>, Unmeasured> {
    let mut trial = Trial::of_echo(connections, None, Duration::ZERO);
    trial.workers = bench.division(&trial).subject.len() as u32;
    let sides = [false, true].map(|measured| Side { trial: &trial, measured });
    turns::starts(bench, subject, &sides, bench.extent.cost_starts, bench.extent.cost_start)
}

fn add(row: &mut Row, subject: &Subject, starts: &[Start], figure: fn(&Turn) -> f64) {
    let ratio = ratio(starts, 1, figure);
    let interval = ratio.map(|ratio| ratio.interval);
    row.add_within(&subject.id, ratio.map(|ratio| ratio.value), interval, starts.len() as u64);
}
