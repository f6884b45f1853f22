//! The table of parts: what each measures, and the rows with their demands that it fills.
//!
//! The only place where a row is declared; nothing is measured here.

use std::time::Duration;

use quadrant_reports::selftest::row::Bound::{self, AtLeast, AtMost};
use quadrant_reports::selftest::row::Row;
use quadrant_reports::selftest::row::Unit::{self, Count, Nanoseconds, PerSecond, Share};

use super::bench::{Bench, Interrupted, Rows};
use super::{comparisons, costs, delays, evidence, false_stalls, stalls, threads};
use crate::driver::pacer::LONGEST_GAP;

/// What is measured together.
pub struct Part {
    pub name: &'static str,
    pub measure: fn(&Bench, &mut Rows) -> Result<(), Interrupted>,
    /// About how many milliseconds it takes once and for each subject, in full and with `--quick`.
    /// For the estimate alone.
    takes_ms: [(u64, u64); 2],
    /// Key, what is measured, demand and unit.
    rows: &'static [(&'static str, &'static str, Bound, Unit)],
}

impl Part {
    pub fn takes(&self, bench: &Bench) -> Duration {
        let (once, per_subject) = bench.extent(self.takes_ms);
        Duration::from_millis(once + per_subject * bench.subjects.len() as u64)
    }

    pub fn rows(&self) -> Rows {
        Rows(
            self.rows
                .iter()
                .map(|&(key, what, bound, unit)| Row::new(key, what, bound, unit))
                .collect(),
        )
    }
}

/// In the order in which they run and stand in the table.
pub const PARTS: &[Part] = &[
    Part {
        name: "stalls on purpose",
        measure: stalls::at_rest,
        takes_ms: [(0, 9_050), (0, 1_390)],
        rows: &[
            ("stalls.found.1ms", "stalls ≥ 1.5 ms found, threshold 1 ms", AtLeast(0.995), Share),
            ("stalls.found.5ms", "stalls ≥ 7.5 ms found, threshold 5 ms", AtLeast(0.995), Share),
            ("stalls.found.10ms", "stalls ≥ 15 ms found, threshold 10 ms", AtLeast(0.995), Share),
            (
                "stalls.length.1ms",
                "error of their length, p95, threshold 1 ms",
                AtMost(0.02),
                Share,
            ),
            (
                "stalls.length.5ms",
                "error of their length, p95, threshold 5 ms",
                AtMost(0.02),
                Share,
            ),
            (
                "stalls.length.10ms",
                "error of their length, p95, threshold 10 ms",
                AtMost(0.02),
                Share,
            ),
            (
                "stalls.cause.0_hogs",
                "error of their computing or blocked time, p95",
                AtMost(0.05),
                Share,
            ),
            (
                "stalls.in_progress",
                "stalls seen from outside while they last",
                AtLeast(0.95),
                Share,
            ),
            ("stalls.call", "samples that name the right blocking call", AtLeast(0.99), Share),
            ("impact.found", "stalls ≥ 5 ms of a single loop felt by a ping", AtLeast(0.99), Share),
            (
                "impact.length",
                "error of their length by pings, p99",
                AtMost(LONGEST_GAP.as_nanos() as f64),
                Nanoseconds,
            ),
        ],
    },
    Part {
        name: "stalls under load",
        measure: stalls::under_load,
        takes_ms: [(0, 3_470), (0, 1_120)],
        rows: &[
            (
                "load.stalls.found.1ms",
                "under load: stalls ≥ 1.5 ms found, threshold 1 ms",
                AtLeast(0.995),
                Share,
            ),
            (
                "load.stalls.found.10ms",
                "under load: stalls ≥ 15 ms found, threshold 10 ms",
                AtLeast(0.995),
                Share,
            ),
            (
                "load.stalls.length.1ms",
                "under load: error of their length, p95, threshold 1 ms",
                AtMost(0.02),
                Share,
            ),
            (
                "load.stalls.length.10ms",
                "under load: error of their length, p95, threshold 10 ms",
                AtMost(0.02),
                Share,
            ),
            (
                "load.stalls.cause",
                "under load: error of their computing or blocked time, p95",
                AtMost(0.05),
                Share,
            ),
            ("load.impact.found", "under load: stalls ≥ 5 ms felt by a ping", AtLeast(0.99), Share),
        ],
    },
    Part {
        name: "causes beside hogs",
        measure: stalls::beside_hogs,
        takes_ms: [(0, 2_710), (0, 810)],
        rows: &[
            (
                "stalls.cause.1_hogs",
                "1 busy process per CPU: error of computing or blocked time, p95",
                AtMost(0.05),
                Share,
            ),
            (
                "stalls.cause.3_hogs",
                "3 busy processes per CPU: error of computing or blocked time, p95",
                AtMost(0.05),
                Share,
            ),
        ],
    },
    Part {
        name: "nested polls",
        measure: false_stalls::nested,
        takes_ms: [(0, 850), (0, 450)],
        rows: &[
            ("nested.time", "stall time of nested polls, of all loops' time", AtMost(1.0), Share),
            ("nested.cause", "computing in these stalls, p25", AtLeast(0.95), Share),
        ],
    },
    Part {
        name: "big reads",
        measure: false_stalls::big_reads,
        takes_ms: [(500, 1_250), (500, 550)],
        rows: &[(
            "files.stalls",
            "reads of 64 MiB on a pool that stall the loop",
            AtMost(0.1),
            Share,
        )],
    },
    Part {
        name: "false alarms",
        measure: false_stalls::alarms,
        takes_ms: [(0, 3_500), (0, 1_500)],
        rows: &[
            ("alarms.1ms", "false alarms ≥ 1 ms, all subjects together", AtMost(0.2), PerSecond),
            ("alarms.10ms", "false alarms ≥ 10 ms, without waits for a CPU", AtMost(0.0), Count),
            (
                "load.alarms.1ms",
                "under load: false alarms ≥ 1 ms, without waits for a CPU",
                AtMost(0.2),
                PerSecond,
            ),
            (
                "load.alarms.10ms",
                "under load: false alarms ≥ 10 ms, without waits for a CPU",
                AtMost(0.0),
                Count,
            ),
        ],
    },
    Part {
        name: "known threads",
        measure: threads::measure,
        takes_ms: [(500, 200), (500, 200)],
        rows: &[
            (
                "threads.peak",
                "peak of threads, difference from the known number",
                AtMost(0.0),
                Count,
            ),
            (
                "threads.offload",
                "threads added by more blocking jobs, difference",
                AtMost(0.0),
                Count,
            ),
            ("threads.sampled", "sampled peak, difference from pids.peak", AtMost(0.0), Count),
            ("threads.created", "short-lived threads created, difference", AtMost(0.0), Count),
        ],
    },
    Part {
        name: "known delays of requests",
        measure: delays::of_requests,
        takes_ms: [(0, 1_500), (0, 1_100)],
        rows: &[
            (
                "load.freeze.shape",
                "corrected latency of a freeze, p70 to p99, error",
                AtMost(0.05),
                Share,
            ),
            (
                "load.freeze.fast",
                "share of requests that a freeze leaves fast, error",
                AtMost(0.05),
                Share,
            ),
        ],
    },
    Part {
        name: "known delays of tasks",
        measure: delays::of_tasks,
        takes_ms: [(0, 590), (0, 290)],
        rows: &[
            // What the scale of the CPU's counter may be off by over the longest of them.
            (
                "timers.early",
                "sleeps of 1.3, 4.7 and 20.1 ms, too early by",
                AtMost(1_000.0),
                Nanoseconds,
            ),
        ],
    },
    Part {
        name: "backends by evidence",
        measure: evidence::measure,
        takes_ms: [(420, 420), (420, 420)],
        rows: &[
            ("backend.verdict", "backend by evidence is the declared one", AtLeast(1.0), Share),
            (
                "backend.control",
                "a false declaration of a backend is detected",
                AtLeast(1.0),
                Share,
            ),
        ],
    },
    Part {
        name: "what the poll wrapper costs",
        measure: costs::poll_wrapper,
        takes_ms: [(200, 0), (200, 0)],
        rows: &[
            (
                "wrapper.counter",
                "poll wrapper, per poll, with the CPU's counter",
                AtMost(30.0),
                Nanoseconds,
            ),
            (
                "wrapper.system",
                "poll wrapper, per poll, with the system's clock",
                AtMost(80.0),
                Nanoseconds,
            ),
        ],
    },
    Part {
        name: "what watching costs",
        measure: costs::watching,
        takes_ms: [(0, 950), (0, 450)],
        rows: &[("watching.cpu", "pings and samples, of one CPU", AtMost(0.02), Share)],
    },
    Part {
        name: "what the instruments cost",
        measure: costs::instruments,
        takes_ms: [(0, 5_520), (0, 1_120)],
        rows: &[
            (
                "instruments.echo",
                "throughput left by the instruments, 64 connections",
                AtLeast(0.97),
                Share,
            ),
            (
                "instruments.cpu",
                "CPU time per request with them, 1 connection",
                AtMost(1.05),
                Share,
            ),
        ],
    },
    Part {
        name: "copies of one subject",
        measure: comparisons::copies,
        takes_ms: [(39_160, 4_300), (4_480, 840)],
        rows: &[
            (
                "compare.copies",
                "a copy called different, mean of all subjects",
                AtMost(0.014),
                Share,
            ),
            ("compare.spread", "ratio to a copy, standard deviation", AtMost(0.01), Share),
            ("compare.bias", "ratio to a copy, distance from 1", AtMost(0.005), Share),
            (
                "turns.position",
                "four copies in turns: the costliest place, above the mean by",
                AtMost(0.002),
                Share,
            ),
            ("turns.copies", "four copies in turns: a copy called different", AtMost(0.014), Share),
        ],
    },
    Part {
        name: "comparisons with a known answer",
        measure: comparisons::slowdowns,
        takes_ms: [(33_320, 0), (6_080, 0)],
        rows: &[
            ("compare.power.5", "slower by 5 %: found", AtLeast(0.95), Share),
            ("compare.power.1", "slower by 1 %: found", AtLeast(0.8), Share),
        ],
    },
    // Last: it uses the times of all other trials.
    Part {
        name: "overhead of trials",
        measure: costs::trials,
        takes_ms: [(0, 0), (0, 0)],
        rows: &[(
            "trial.overhead",
            "time of a trial beyond its window, median",
            AtMost(50e6),
            Nanoseconds,
        )],
    },
];
