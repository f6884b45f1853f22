//! What the suite costs: echo through the suite against the same server written by hand on the
//! same runtime, in lock-step.
//!
//! `cargo bench -p quadrant --bench suite_cost [-- SECONDS] [NAME…]`; a name such as `smol` or
//! `multi-thread` selects the pairs of subjects with it. Throughput says little where the driver
//! is the limit, so CPU time per request stands beside it.

mod ratios;

use std::process::ExitCode;

use ratios::{Pair, judge, seconds_or};

/// The share of a hand-written program's throughput that has to be left.
const DEMAND: f64 = 0.98;

fn main() -> ExitCode {
    let pairs = [
        Pair { first: "native/glommio-per-core", second: "glommio/per-core" },
        Pair { first: "native/monoio-per-core", second: "monoio/per-core/io_uring" },
        Pair { first: "native/smol-multi-thread", second: "smol/multi-thread" },
        Pair { first: "native/smol-single-thread", second: "smol/single-thread" },
        Pair { first: "native/tokio-current-thread", second: "tokio/current-thread" },
        Pair { first: "native/tokio-multi-thread", second: "tokio/multi-thread" },
    ];
    judge(&pairs, "echo.yaml", &[], seconds_or(10.0), DEMAND)
}
