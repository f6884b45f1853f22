//! What measuring costs: echo with poll wrapper, pings and looks from outside, against the same
//! without any of it, in lock-step.
//!
//! `cargo bench -p quadrant --bench watching_cost [-- SECONDS] [NAME…]`; a name selects subjects.

mod ratios;

use std::process::ExitCode;

use ratios::{Demand, Pair, judge, seconds_or};

/// What has to be left of the throughput; of CPU time nothing is asked.
const DEMAND: Demand =
    Demand { throughput: 0.97..=f64::INFINITY, cpu_per_request: 0.0..=f64::INFINITY };
const SUBJECTS: [&str; 9] = [
    "async-std/multi-thread",
    "compio/per-core/io_uring",
    "glommio/per-core",
    "mio/futures",
    "monoio/per-core/io_uring",
    "smol/single-thread",
    "threads/thread-per-task",
    "tokio/current-thread",
    "tokio/multi-thread",
];

fn main() -> ExitCode {
    let pairs = SUBJECTS.map(|subject| Pair { first: subject, second: subject });
    judge(&pairs, "echo.yaml", &["--bare-first"], seconds_or(5.0), &DEMAND)
}
