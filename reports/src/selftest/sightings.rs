//! Stalls in progress, as they were seen from outside: whether they were, and in which call.
//!
//! Only glances that lie well within an injection are judged: before and after it the thread does
//! something else, and before its end the kernel wakes it.

use quadrant_suite::clock::{ClockScale, Stamp};
use quadrant_suite::injection::{Hold, Injected};

use super::cases::Cases;

/// One glance at a stalled thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    pub begun: Stamp,
    pub ended: Stamp,
    /// The system call, or `running`.
    pub seen: String,
}

/// What sets out to wait, and is woken, is on its way for less than this.
const EDGE_NS: u64 = 300_000;

/// What a glance at a thread that is held so has to see.
fn expected(hold: Hold) -> &'static [&'static str] {
    match hold {
        Hold::Spin => &["running"],
        Hold::Sleep => &["clock_nanosleep", "nanosleep"],
        Hold::Read => &["read"],
    }
}

/// The glances that named the right call, of all, and a wrong one.
pub fn rightly_named(
    injected: &[Injected],
    glances: &[Glance],
    clock: ClockScale,
) -> (Cases, Option<String>) {
    let edge = clock.ticks(EDGE_NS);
    let (mut right, mut all, mut wrong) = (0, 0, None);
    for glance in glances {
        let within = |truth: &&Injected| {
            // Who was woken and waits for a CPU is in no call any more.
            let woken = truth.end.saturating_sub(clock.ticks(truth.run_queue_ns));
            truth.start + edge <= glance.begun && glance.ended + edge <= woken
        };
        let Some(truth) = injected.iter().find(within) else { continue };
        all += 1;
        if expected(truth.hold).contains(&glance.seen.as_str()) {
            right += 1;
        } else {
            wrong = Some(format!("{} where it was {}", glance.seen, expected(truth.hold)[0]));
        }
    }
    (Cases::share(right, all), wrong)
}

/// The injections that a glance saw while they went on, of those that went on for `visible_ns`
/// after they had become stalls.
pub fn seen_in_progress(
    injected: &[Injected],
    glances: &[Glance],
    clock: ClockScale,
    threshold_ns: u64,
    visible_ns: u64,
) -> Cases {
    let long: Vec<&Injected> = injected
        .iter()
        .filter(|truth| clock.ns_between(truth.start, truth.end) >= threshold_ns + visible_ns)
        .collect();
    let is_seen = |truth: &&&Injected| {
        glances.iter().any(|glance| truth.start <= glance.begun && glance.begun <= truth.end)
    };
    let seen = long.iter().filter(is_seen).count();
    Cases::share(seen as u64, long.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn truth(hold: Hold, start: u64, ns: u64) -> Injected {
        Injected { hold, start, end: start + ns, wall_ns: ns, cpu_ns: 0, run_queue_ns: 0 }
    }

    fn glance(at: u64, seen: &str) -> Glance {
        Glance { begun: at, ended: at + 10_000, seen: seen.to_owned() }
    }

    #[test]
    fn another_call_than_the_one_that_blocks_is_wrong() {
        let injected = [truth(Hold::Read, 0, 30 * MS), truth(Hold::Spin, 100 * MS, 30 * MS)];
        let named = |glances: &[Glance]| rightly_named(&injected, glances, ClockScale::MONOTONIC);
        let right = [glance(20 * MS, "read"), glance(120 * MS, "running")];
        assert_eq!(named(&right), (Cases::share(2, 2), None));
        let wrong = [glance(20 * MS, "futex"), glance(120 * MS, "running")];
        let told = Some("futex where it was read".to_owned());
        assert_eq!(named(&wrong), (Cases::share(1, 2), told));
        // Neither beside it nor over its edge.
        assert_eq!(
            named(&[glance(60 * MS, "futex"), glance(30 * MS - 5, "futex")]),
            (Cases::share(0, 0), None)
        );
    }

    #[test]
    fn a_long_one_that_nobody_saw_is_missed() {
        let injected = [truth(Hold::Sleep, 0, 30 * MS), truth(Hold::Sleep, 100 * MS, 30 * MS)];
        let seen = |glances: &[Glance]| {
            seen_in_progress(&injected, glances, ClockScale::MONOTONIC, 10 * MS, 15 * MS)
        };
        assert_eq!(seen(&[glance(20 * MS, "a"), glance(115 * MS, "a")]), Cases::share(2, 2));
        assert_eq!(seen(&[glance(20 * MS, "a")]), Cases::share(1, 2));
        let short = seen_in_progress(&injected, &[], ClockScale::MONOTONIC, 20 * MS, 15 * MS);
        assert_eq!(short, Cases::share(0, 0));
    }
}
