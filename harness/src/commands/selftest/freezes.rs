//! Known delays of requests: a subject that is made to stand still for half of its window.
//!
//! The freeze is seen by nobody but the driver, and its length is known by the signals' stamps.

use std::time::Duration;

use quadrant_reports::selftest::freeze;
use quadrant_reports::selftest::row::{Bound, Row, Unit};

use super::Part;
use super::bench::{Bench, Interrupted, Trial};
use super::extent::Extent;
use crate::adapters::subject::Subject;
use crate::trial::{Freeze, Measured};

pub(super) const PART: Part = Part { name: "known delays of requests", takes, measure };

const CONNECTIONS: u32 = 4;
const RATE_PER_SEC: u64 = 1_000;
/// What is answered as fast as ever.
const FAST_NS: u64 = 5_000_000;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.frozen_window + Duration::from_millis(100)) * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut shape = Row::new(
        "load.freeze.shape",
        "corrected latency of a freeze, p70 to p99, off by",
        Bound::AtMost(0.05),
        Unit::Share,
    );
    let mut fast = Row::new(
        "load.freeze.fast",
        "share of requests that the freeze leaves fast, off by",
        Bound::AtMost(0.05),
        Unit::Share,
    );
    let window = bench.extent.frozen_window;
    for subject in bench.shuffled("freezes") {
        let trial = Trial {
            freeze: Some(Freeze { after: window / 5, lasting: window / 2 }),
            ..Trial::of_echo(CONNECTIONS, Some(RATE_PER_SEC), window)
        };
        match bench.run(subject, &trial) {
            Ok(measured) => add(bench, subject, &measured, &mut shape, &mut fast),
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut shape, &mut fast])?,
        }
    }
    shape.note(format!(
        "as a share of the freeze, which lasts half of a window of {} ms; the slowest half of the \
         requests has to take evenly from nothing to all of it",
        window.as_millis()
    ));
    Ok(vec![shape, fast])
}

fn add(bench: &Bench, subject: &Subject, measured: &Measured, shape: &mut Row, fast: &mut Row) {
    let (Some((stopped, went_on)), Some(load)) = (measured.frozen, &measured.load) else {
        let reason = "it could not be made to stand still";
        shape.fail(&subject.id, reason);
        return fast.fail(&subject.id, reason);
    };
    let frozen_ns = bench.clock.ns_between(stopped, went_on);
    let window_ns = measured.window_ns;
    let off = freeze::shape_error(&load.latency, frozen_ns, window_ns);
    shape.add(&subject.id, off, load.requests);
    let off = freeze::fast_share_error(&load.latency, frozen_ns, window_ns, FAST_NS);
    fast.add(&subject.id, off, load.requests);
}
