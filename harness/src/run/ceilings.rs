//! The driver's ceilings in one run: measured once for each shape of load, before the trials of
//! the first case that has it. And when a trial came too near to one, and in which words.
//!
//! Never measures without end: a run of many shapes leaves the later ones without a ceiling.

use std::collections::BTreeMap;
use std::path::Path;

use quadrant_reports::driver_limit::{DriverLimit, driver_limit};
use quadrant_reports::number;
use quadrant_suite::clock::ClockScale;

use crate::driver::ceiling::{self, Shape};
use crate::driver::order::Load;
use crate::machine::affinity::Division;
use crate::trial::LoadShape;

/// Three or four seconds in the worst case, of a run that takes minutes.
const SHAPES_MAX: usize = 16;

#[derive(Default)]
pub struct Ceilings(BTreeMap<Shape, Option<u64>>);

impl Ceilings {
    /// Requests a second that the driver can carry in this shape; `None` where that is not known:
    /// it shares the only CPU with the subject, could not be measured, or one shape too many.
    pub fn of(
        &mut self,
        load: LoadShape,
        executable: &Path,
        clock: ClockScale,
        cpus: &Division,
    ) -> Option<u64> {
        let shape = Shape { connections: load.connections, message_bytes: load.message_bytes };
        if let Some(known) = self.0.get(&shape) {
            return *known;
        }
        if cpus.subject == cpus.driver || self.0.len() >= SHAPES_MAX {
            return None;
        }
        // A machine on which this fails tells why in the trials that follow.
        let measured = ceiling::measure(executable, shape, clock, cpus).ok();
        self.0.insert(shape, measured);
        measured
    }
}

/// What to say of a trial's load.
pub fn warning(load: &Load, ceiling_per_sec: Option<u64>) -> Option<String> {
    let achieved = load.achieved_per_sec as f64;
    Some(match driver_limit(achieved, ceiling_per_sec, load.busy_ns, load.window_ns)? {
        DriverLimit::Ceiling { share, per_sec } => {
            let spoilt = match load.asked_per_sec {
                None => "this subject may be faster than shown",
                Some(_) => "latencies may be the driver's own",
            };
            format!(
                "the load driver ran at {:.0} % of its ceiling of {} requests/s: {spoilt}",
                share * 100.0,
                number::rate(per_sec as f64)
            )
        }
        DriverLimit::Busy { share } => format!(
            "the load driver was busy {:.0} % of the time: latencies may be its own, and \
             throughput limited by it",
            (share * 100.0).min(100.0)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        achieved_per_sec: u64,
        busy_percent: u64,
        asked_per_sec: Option<u64>,
        ceiling: Option<u64>,
        expected: Option<&str>,
    ) {
        let (busy_ns, window_ns) = (busy_percent * 10_000_000, 1_000_000_000);
        let load = Load { achieved_per_sec, busy_ns, window_ns, asked_per_sec, ..Load::default() };
        assert_eq!(warning(&load, ceiling).as_deref(), expected);
    }

    #[test]
    fn a_driver_near_its_ceiling_is_told_with_the_figures() {
        let near = "the load driver ran at 83 % of its ceiling of 290 k requests/s: this subject \
                    may be faster than shown";
        check(240_700, 99, None, Some(290_000), Some(near));
        check(203_000, 80, None, Some(290_000), None);
        let open = "the load driver ran at 75 % of its ceiling of 100 k requests/s: latencies may \
                    be the driver's own";
        check(75_000, 80, Some(75_000), Some(100_000), Some(open));
    }

    #[test]
    fn one_that_is_busy_without_being_near_it_is_told_too() {
        let busy = "the load driver was busy 95 % of the time: latencies may be its own, and \
                    throughput limited by it";
        // Requests that come one by one cost more than those that come together.
        check(30_000, 95, Some(30_000), Some(290_000), Some(busy));
        check(30_000, 95, None, None, Some(busy));
        check(30_000, 80, None, None, None);
    }
}
