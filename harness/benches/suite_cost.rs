//! What the suite costs: echo through the suite against the same server written by hand on the
//! same runtime, in lock-step.
//!
//! `cargo bench -p quadrant --bench suite_cost [-- SECONDS] [NAME…]`; a name such as `smol` or
//! `multi-thread` selects the pairs of subjects with it. Throughput says little where the driver
//! is the limit, so CPU time per request stands beside it. A throughput above the demand is a miss
//! as well: then the server written by hand is not what an expert would write. `mio/futures` has no
//! pair: its executor is Quadrant's own.

mod ratios;

use std::process::ExitCode;

use ratios::{Demand, Pair, judge, seconds_or};

/// What has to be left of a program written by hand.
const DEMAND: Demand = Demand { throughput: 0.98..=1.02, cpu_per_request: 0.0..=1.03 };

fn main() -> ExitCode {
    let pairs = [
        Pair { first: "native/async-std-multi-thread", second: "async-std/multi-thread" },
        Pair { first: "native/compio-per-core", second: "compio/per-core/io_uring" },
        Pair { first: "native/glommio-per-core", second: "glommio/per-core" },
        Pair { first: "native/mio-callbacks", second: "mio/callbacks" },
        Pair { first: "native/monoio-per-core", second: "monoio/per-core/io_uring" },
        Pair { first: "native/smol-multi-thread", second: "smol/multi-thread" },
        Pair { first: "native/smol-single-thread", second: "smol/single-thread" },
        Pair { first: "native/threads", second: "threads/thread-per-task" },
        Pair { first: "native/tokio-current-thread", second: "tokio/current-thread" },
        Pair { first: "native/tokio-multi-thread", second: "tokio/multi-thread" },
    ];
    judge(&pairs, "echo.yaml", &[], seconds_or(10.0), &DEMAND)
}
