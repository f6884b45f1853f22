//! Compares the clock of the stamps with the system's over a window, and reports where they differ.
//!
//! The CPU's counter is used where the kernel trusts it, but it may jump when a virtual machine is
//! moved or suspended. Never corrects anything: what happened in between cannot be known.

use std::time::{Duration, Instant};

use quadrant_suite::clock::{ClockScale, Stamp, stamp};

/// The scale of the counter is known to some millionths, and the system's clock is slewed by less than
/// a thousandth, so a larger difference is an error.
const TOLERANCE: f64 = 0.05;
const TOLERANCE_NS: f64 = 1e6;

#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    before: Instant,
    pub stamp: Stamp,
    after: Instant,
}

impl ClockReading {
    /// Three readings, because this thread may be interrupted between two of them for any time.
    pub fn now() -> Self {
        Self { before: Instant::now(), stamp: stamp(), after: Instant::now() }
    }
}

/// Why the time from `opened` to `closed` is unknown, if the clocks contradict each other.
pub fn contradiction(
    opened: ClockReading,
    closed: ClockReading,
    clock: ClockScale,
) -> Option<String> {
    let ns = clock.ns_between(opened.stamp, closed.stamp);
    let least = closed.before.saturating_duration_since(opened.after);
    let most = closed.after.saturating_duration_since(opened.before);
    let low_ns = nanoseconds(least) * (1.0 - TOLERANCE) - TOLERANCE_NS;
    let high_ns = nanoseconds(most) * (1.0 + TOLERANCE) + TOLERANCE_NS;
    (!(low_ns..=high_ns).contains(&(ns as f64))).then(|| {
        format!(
            "the clock of its stamps went {} ms forward while the system's went {} ms: one of \
             them has jumped, and no figure of this trial could be believed",
            ns / 1_000_000,
            least.as_millis()
        )
    })
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A window of 300 ms by the system, whose edges took so long to be stamped, and its stamps.
    #[track_caller]
    fn check(edge_ms: u64, stamps_ms: (u64, u64), believed: bool) {
        let begin = Instant::now();
        let at = |ms, stamp_ms: u64| ClockReading {
            before: begin + Duration::from_millis(ms),
            stamp: stamp_ms * MS,
            after: begin + Duration::from_millis(ms + edge_ms),
        };
        let (opened, closed) = (at(0, stamps_ms.0), at(300, stamps_ms.1));
        let contradiction = contradiction(opened, closed, ClockScale::MONOTONIC);
        assert_eq!(contradiction.is_none(), believed, "{contradiction:?}");
    }

    #[test]
    fn a_clock_that_jumps_is_found() {
        check(0, (1_000, 1_300), true);
        check(0, (1_000, 1_310), true);
        check(0, (1_000, 1_400), false);
        check(0, (1_000, 1_200), false);
        // Back, and to the end of time.
        check(0, (1_000, 900), false);
        check(0, (1_000, u64::MAX / MS), false);
    }

    #[test]
    fn an_interruption_at_an_edge_is_no_jump() {
        check(200, (1_000, 1_300), true);
        check(200, (1_000, 1_480), true);
        check(200, (1_000, 1_120), true);
        check(200, (1_000, 1_700), false);
    }

    #[test]
    fn the_clocks_of_this_machine_agree() {
        let opened = ClockReading::now();
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(contradiction(opened, ClockReading::now(), ClockScale::MONOTONIC), None);
    }
}
