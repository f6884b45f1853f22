//! What measuring costs: echo with poll wrapper, pings and looks from outside, against the same
//! without any of it, in lock-step.
//!
//! `cargo bench -p quadrant --bench watching_cost [-- SECONDS] [NAME…]`; a name selects subjects.

mod ratios;

use std::process::ExitCode;

use ratios::{Pair, judge, seconds_or};

/// The share of the throughput that has to be left.
const DEMAND: f64 = 0.97;
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
    judge(&pairs, "echo.yaml", &["--bare-first"], seconds_or(5.0), DEMAND)
}
