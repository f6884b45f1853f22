//! Why not a single operation of a trial was completed, as far as its measurements show it.
//!
//! Never advises to wait longer where waiting cannot help.

use std::time::Duration;

use quadrant_reports::number::{counted, round_duration};

use super::planned_case::PlannedCase;
use crate::system::process::is_starved;
use crate::trial::Measured;

/// A subject whose loop answered this many pings could have answered a request.
const PINGS_MIN: u64 = 10;
/// A subject that used less than this share of one CPU only answered pings.
const IDLE_MAX: f64 = 0.05;

/// What is known of the window of such a trial.
struct Window {
    length: Duration,
    cpu: Duration,
    /// Waiting for a CPU, and CPU time that the host took for others.
    kept_waiting: Duration,
    in_flight: u64,
    pings: u64,
    /// Whether an operation may take long without using a CPU: it sleeps, queries a backend, or reads
    /// from a device.
    may_rest: bool,
}

/// `advice` is for operations that need more time.
pub fn why(measured: &Measured, case: &PlannedCase, advice: String) -> String {
    let noise = measured.noise.as_ref();
    let kept_waiting = noise.map_or(0, |noise| noise.run_queue_ns + noise.steal_ns);
    let of_groups = measured.findings.groups.iter().map(|group| group.unended.count());
    let of_load = measured.load.as_ref().map(|load| load.unanswered.count());
    let window = Window {
        length: Duration::from_nanos(measured.window_ns),
        cpu: Duration::from_nanos(measured.observation.cpu_ns()),
        kept_waiting: Duration::from_nanos(kept_waiting),
        pings: measured.findings.impact.count(),
        in_flight: of_load.unwrap_or_else(|| of_groups.sum()),
        may_rest: case.sleeps()
            || case.queries()
            || case.case.work.files.is_some_and(|files| files.cold),
    };
    format!(
        "no operation was completed within {}: {}",
        shown(window.length),
        cause(&window, advice)
    )
}

fn cause(window: &Window, advice: String) -> String {
    let Window { length, cpu, kept_waiting, in_flight, pings, may_rest } = *window;
    let is_idle = cpu.as_secs_f64() < length.as_secs_f64() * IDLE_MAX;
    let is_starved = is_starved(length, cpu, kept_waiting);
    if in_flight > 0 && !may_rest && is_idle && (!is_starved || pings >= PINGS_MIN) {
        return format!(
            "{} in flight, and the subject was idle, so more time does not help: a wake-up was \
             lost, or bytes that it reported as written never arrived",
            counted(in_flight, "operation")
        );
    }
    if is_starved {
        return format!(
            "the subject had a CPU for {} and waited for one for {}; stop what else runs here, or \
             give the run more CPUs",
            shown(cpu),
            shown(kept_waiting)
        );
    }
    advice
}

fn shown(time: Duration) -> String {
    round_duration(time.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const BUSY: Window = Window {
        length: Duration::from_millis(200),
        cpu: Duration::from_millis(190),
        kept_waiting: Duration::ZERO,
        in_flight: 3,
        pings: 0,
        may_rest: false,
    };

    #[track_caller]
    fn check(window: &Window, expected: &str) {
        let cause = cause(window, "more time".to_owned());
        assert!(cause.contains(expected), "{cause}");
    }

    #[test]
    fn only_work_that_goes_on_needs_time() {
        check(&BUSY, "more time");
        check(&Window { cpu: MS, may_rest: true, ..BUSY }, "more time");
        check(&Window { cpu: MS, in_flight: 0, ..BUSY }, "more time");
    }

    #[test]
    fn an_idle_subject_has_lost_something() {
        check(&Window { cpu: MS, ..BUSY }, "3 operations in flight, and the subject was idle");
    }

    #[test]
    fn a_starved_subject_is_no_failure() {
        let starved = Window { cpu: 20 * MS, kept_waiting: 170 * MS, ..BUSY };
        check(&starved, "had a CPU for 20 ms and waited for one for 170 ms");
        check(&Window { cpu: MS, ..starved }, "waited for one");
        // Its loop ran all the same.
        check(&Window { cpu: MS, pings: 40, ..starved }, "the subject was idle");
    }
}
