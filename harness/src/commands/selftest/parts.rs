//! The table of rows with their demands, and the parts of the self-test that fill them.
//!
//! The only place where a row is declared; nothing is measured here.

use std::time::Duration;

use quadrant_reports::selftest::row::{Bound, Row, Unit};

use super::bench::{Bench, Interrupted, Rows};
use super::{comparisons, costs, delays, evidence, false_stalls, stalls, threads};
use crate::driver::pacer::LONGEST_GAP;

const PING_GAP_NS: f64 = LONGEST_GAP.as_nanos() as f64;

/// A key, what is measured, and the demand.
type Demand = (&'static str, &'static str, Bound, Unit);

/// What is measured together.
pub struct Part {
    pub name: &'static str,
    pub measure: fn(&Bench, &mut Rows) -> Result<(), Interrupted>,
    /// About how many milliseconds it takes once, and for each subject; in full, and with
    /// `--quick`. For the estimate alone.
    takes_ms: [(u64, u64); 2],
    rows: &'static [Demand],
}

/// In the order in which they run and stand in the table. The last one uses the times of all other
/// parts' trials.
pub const PARTS: &[Part] = &[
    part("stalls on purpose", stalls::at_rest, [(0, 9_050), (0, 1_390)], STALLS),
    part("stalls under load", stalls::under_load, [(0, 3_470), (0, 1_120)], STALLS_UNDER_LOAD),
    part("causes beside hogs", stalls::beside_hogs, [(0, 2_710), (0, 810)], CAUSES),
    part("nested polls", false_stalls::nested, [(0, 850), (0, 450)], NESTED),
    part("big reads", false_stalls::big_reads, [(500, 1_250), (500, 550)], BIG_READS),
    part("false alarms", false_stalls::alarms, [(0, 3_500), (0, 1_500)], ALARMS),
    part("known threads", threads::measure, [(500, 200), (500, 200)], THREADS),
    part("known delays of requests", delays::of_requests, [(0, 1_500), (0, 1_100)], FREEZES),
    part("known delays of tasks", delays::of_tasks, [(0, 590), (0, 290)], TIMERS),
    part("backends by evidence", evidence::measure, [(420, 420), (420, 420)], BACKENDS),
    part("what the poll wrapper costs", costs::poll_wrapper, [(200, 0), (200, 0)], WRAPPER),
    part("what watching costs", costs::watching, [(0, 950), (0, 450)], WATCHING),
    part("what the instruments cost", costs::instruments, [(0, 5_520), (0, 1_120)], INSTRUMENTS),
    part("copies of one subject", comparisons::copies, [(39_160, 4_300), (4_480, 840)], COPIES),
    part(
        "comparisons with slowdowns",
        comparisons::slowdowns,
        [(33_320, 0), (6_080, 0)],
        SLOWDOWNS,
    ),
    part("overhead of trials", costs::trials, [(0, 0), (0, 0)], OVERHEAD),
];

const STALLS: &[Demand] = &[
    at_least("stalls.found.1ms", "stalls ≥ 1.5 ms found, threshold 1 ms", 0.995),
    at_least("stalls.found.5ms", "stalls ≥ 7.5 ms found, threshold 5 ms", 0.995),
    at_least("stalls.found.10ms", "stalls ≥ 15 ms found, threshold 10 ms", 0.995),
    at_most("stalls.length.1ms", "error of their length, p95, threshold 1 ms", 0.02),
    at_most("stalls.length.5ms", "error of their length, p95, threshold 5 ms", 0.02),
    at_most("stalls.length.10ms", "error of their length, p95, threshold 10 ms", 0.02),
    at_most("stalls.cause.0_hogs", "error of their computing or blocked time, p95", 0.05),
    at_least("stalls.in_progress", "stalls seen from outside while they last", 0.95),
    at_least("stalls.call", "blocking calls named correctly", 0.99),
    at_least("impact.found", "stalls ≥ 5 ms of a single loop felt by a ping", 0.99),
    at_most_ns("impact.length", "error of their length by pings, p99", PING_GAP_NS),
];

const STALLS_UNDER_LOAD: &[Demand] = &[
    at_least("load.stalls.found.1ms", "under load: stalls ≥ 1.5 ms found", 0.995),
    at_least("load.stalls.found.10ms", "under load: stalls ≥ 15 ms found", 0.995),
    at_most("load.stalls.length.1ms", "under load: error of length, p95, threshold 1 ms", 0.02),
    at_most("load.stalls.length.10ms", "under load: error of length, p95, threshold 10 ms", 0.02),
    at_most("load.stalls.cause", "under load: error of computing or blocked time, p95", 0.05),
    at_least("load.impact.found", "under load: stalls ≥ 5 ms felt by a ping", 0.99),
];

const CAUSES: &[Demand] = &[
    at_most("stalls.cause.1_hogs", "1 hog per CPU: error of computing or blocked time", 0.05),
    at_most("stalls.cause.3_hogs", "3 hogs per CPU: error of computing or blocked time", 0.05),
];

const NESTED: &[Demand] = &[
    at_most("nested.time", "stall time of nested polls, of all loops' time", 1.0),
    at_least("nested.cause", "time computing in these stalls, p25", 0.95),
];

const BIG_READS: &[Demand] =
    &[at_most("files.stalls", "reads of 64 MiB on a pool that stall the loop", 0.1)];

const ALARMS: &[Demand] = &[
    at_most_per_s("alarms.1ms", "false alarms ≥ 1 ms, all subjects together", 0.2),
    at_most_0("alarms.10ms", "false alarms ≥ 10 ms except waits for a CPU"),
    at_most_per_s("load.alarms.1ms", "under load: alarms ≥ 1 ms except waits for a CPU", 0.2),
    at_most_0("load.alarms.10ms", "under load: alarms ≥ 10 ms except waits for a CPU"),
];

const THREADS: &[Demand] = &[
    at_most_0("threads.peak", "peak of threads, difference from the known number"),
    at_most_0("threads.offload", "threads added by more blocking jobs, difference"),
    at_most_0("threads.sampled", "sampled peak of threads, difference from pids.peak"),
    at_most_0("threads.created", "short-lived threads created, difference"),
];

const FREEZES: &[Demand] = &[
    at_most("load.freeze.shape", "corrected latency of a freeze, p70 to p99, error", 0.05),
    at_most("load.freeze.fast", "share of requests that a freeze leaves fast, error", 0.05),
];

/// As much as the scale of the CPU's counter may be wrong over the longest sleep.
const TIMERS: &[Demand] =
    &[at_most_ns("timers.early", "sleeps of 1.3, 4.7 and 20.1 ms, too early by", 1_000.0)];

const BACKENDS: &[Demand] = &[
    at_least("backend.verdict", "backend by evidence is the declared one", 1.0),
    at_least("backend.control", "a false declaration of a backend is detected", 1.0),
];

const WRAPPER: &[Demand] = &[
    at_most_ns("wrapper.counter", "poll wrapper, per poll, with the CPU's counter", 30.0),
    at_most_ns("wrapper.system", "poll wrapper, per poll, with the system's clock", 80.0),
];

const WATCHING: &[Demand] = &[at_most("watching.cpu", "pings and samples, of one CPU", 0.02)];

const INSTRUMENTS: &[Demand] = &[
    at_least("instruments.echo", "throughput left by instruments, 64 connections", 0.97),
    at_most("instruments.cpu", "CPU time per request with them, 1 connection", 1.05),
];

const COPIES: &[Demand] = &[
    at_most("compare.copies", "a copy called different, mean of all subjects", 0.014),
    at_most("compare.spread", "ratio to a copy, standard deviation", 0.01),
    at_most("compare.bias", "ratio to a copy, distance from 1", 0.005),
    at_most("turns.position", "four copies in turns: costliest place, above the mean", 0.002),
    at_most("turns.copies", "four copies in turns: a copy called different", 0.014),
];

const SLOWDOWNS: &[Demand] = &[
    at_least("compare.power.5", "slowdowns of 5 % found", 0.95),
    at_least("compare.power.1", "slowdowns of 1 % found", 0.8),
];

const OVERHEAD: &[Demand] =
    &[at_most_ns("trial.overhead", "time of a trial beyond its window, median", 50e6)];

const fn part(
    name: &'static str,
    measure: fn(&Bench, &mut Rows) -> Result<(), Interrupted>,
    takes_ms: [(u64, u64); 2],
    rows: &'static [Demand],
) -> Part {
    Part { name, measure, takes_ms, rows }
}

const fn at_least(key: &'static str, what: &'static str, share: f64) -> Demand {
    (key, what, Bound::AtLeast(share), Unit::Share)
}

const fn at_most(key: &'static str, what: &'static str, share: f64) -> Demand {
    (key, what, Bound::AtMost(share), Unit::Share)
}

const fn at_most_ns(key: &'static str, what: &'static str, ns: f64) -> Demand {
    (key, what, Bound::AtMost(ns), Unit::Nanoseconds)
}

const fn at_most_per_s(key: &'static str, what: &'static str, rate: f64) -> Demand {
    (key, what, Bound::AtMost(rate), Unit::PerSecond)
}

const fn at_most_0(key: &'static str, what: &'static str) -> Demand {
    (key, what, Bound::AtMost(0.0), Unit::Count)
}

impl Part {
    pub fn takes(&self, bench: &Bench) -> Duration {
        let (once, per_subject) = bench.extent(self.takes_ms);
        Duration::from_millis(once + per_subject * bench.subjects.len() as u64)
    }

    pub fn rows(&self) -> Rows {
        let row = |&(key, what, bound, unit): &Demand| Row::new(key, what, bound, unit);
        Rows(self.rows.iter().map(row).collect())
    }
}
