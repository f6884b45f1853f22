//! Injected stalls against what the instruments recorded of them: the poll wrapper's stalls, the
//! samples from outside, and the pings.
//!
//! A stall belongs to an injection if it contains it. Never takes the nearest one instead: an
//! injection that no stall contains is not found.

use quadrant_suite::board::Stall;
use quadrant_suite::clock::{ClockScale, Stamp};
use quadrant_suite::outcome::Injected;
use quadrant_suite::outcome::Ping;
use quadrant_suite::plan::Hold;

use super::cases::Cases;

/// An injection must be found if it is this many times as long as the threshold. The threshold
/// itself would be unfair: the poll around it may be a little shorter or longer.
pub const LONG_ENOUGH: f64 = 1.5;

/// The long enough injections of one trial, each with its stall.
#[derive(Debug, Clone)]
pub struct Injections {
    pairs: Vec<(Injected, Option<Stall>)>,
    clock: ClockScale,
}

impl Injections {
    pub fn new(
        injected: &[Injected],
        stalls: &[Stall],
        clock: ClockScale,
        threshold_ns: u64,
    ) -> Self {
        let is_long = |truth: &&Injected| truth.wall_ns as f64 >= threshold_ns as f64 * LONG_ENOUGH;
        let with_stall = |truth: &Injected| (*truth, stall_around(truth, stalls));
        Self { pairs: injected.iter().filter(is_long).map(with_stall).collect(), clock }
    }

    pub fn count(&self) -> u64 {
        self.pairs.len() as u64
    }

    pub fn found(&self) -> Cases {
        let found = self.pairs.iter().filter(|(_, stall)| stall.is_some()).count();
        Cases::share(found as u64, self.count())
    }

    /// How many had to wait for a CPU for longer than the error that a length may have. Where they
    /// wait, the time between the injection's end and its poll's end is also longer.
    pub fn crowded(&self) -> u64 {
        let waited = |truth: &Injected| truth.run_queue_ns * 50 > truth.wall_ns;
        self.pairs.iter().filter(|(truth, _)| waited(truth)).count() as u64
    }

    /// The errors of the lengths of those found, as shares of the true lengths.
    pub fn length_errors(&self) -> Vec<f64> {
        self.errors(|truth, stall| {
            relative_error(self.clock.ns_between(stall.start, stall.end), truth.wall_ns)
        })
    }

    /// The errors of the time that the cause took, as shares of the true time: computing where the
    /// thread computed, being blocked where it waited.
    pub fn cause_errors(&self) -> Vec<f64> {
        let blocked_ns = |all_ns: u64, cpu_ns: u64, run_queue_ns: u64| {
            all_ns.saturating_sub(cpu_ns).saturating_sub(run_queue_ns)
        };
        self.errors(|truth, stall| match truth.hold {
            Hold::Spin => relative_error(stall.cpu_ns, truth.cpu_ns),
            Hold::Sleep | Hold::Read => relative_error(
                blocked_ns(
                    self.clock.ns_between(stall.start, stall.end),
                    stall.cpu_ns,
                    stall.run_queue_ns,
                ),
                blocked_ns(truth.wall_ns, truth.cpu_ns, truth.run_queue_ns),
            ),
        })
    }

    fn errors(&self, error: impl Fn(&Injected, &Stall) -> f64) -> Vec<f64> {
        self.pairs.iter().filter_map(|(truth, stall)| Some(error(truth, stall.as_ref()?))).collect()
    }
}

/// The shortest stall that contains all of it.
fn stall_around(truth: &Injected, stalls: &[Stall]) -> Option<Stall> {
    let contains = |stall: &&Stall| stall.start <= truth.start && truth.end <= stall.end;
    stalls.iter().filter(contains).min_by_key(|stall| stall.end - stall.start).copied()
}

/// 1 where the truth is zero and the figure is not: nothing can be a share of zero.
fn relative_error(seen: u64, truth: u64) -> f64 {
    if truth == 0 {
        return if seen == 0 { 0.0 } else { 1.0 };
    }
    seen.abs_diff(truth) as f64 / truth as f64
}

/// One sample of a stalled thread, taken from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance<'a> {
    pub begun: Stamp,
    pub ended: Stamp,
    /// The system call, or `running`.
    pub seen: &'a str,
}

/// A thread that starts to wait, or is woken, takes less than this to get there.
const EDGE_NS: u64 = 300_000;

/// The share of samples that named the right call, and a wrong one. Samples near the edges of an
/// injection are left out: there the thread does something else, or the kernel is waking it.
pub fn call_named(
    injected: &[Injected],
    glances: &[Glance],
    clock: ClockScale,
) -> (Cases, Option<String>) {
    let edge = clock.ticks(EDGE_NS);
    let (mut right, mut all, mut wrong) = (0, 0, None);
    for glance in glances {
        let is_within = |truth: &&Injected| {
            // A thread that was woken and waits for a CPU is no longer in the call.
            let woken = truth.end.saturating_sub(clock.ticks(truth.run_queue_ns));
            truth.start + edge <= glance.begun && glance.ended + edge <= woken
        };
        let Some(truth) = injected.iter().find(is_within) else { continue };
        let expected: &[&str] = match truth.hold {
            Hold::Spin => &["running"],
            Hold::Sleep => &["clock_nanosleep", "nanosleep"],
            Hold::Read => &["read"],
        };
        all += 1;
        if expected.contains(&glance.seen) {
            right += 1;
        } else {
            wrong = Some(format!("{} instead of {}", glance.seen, expected[0]));
        }
    }
    (Cases::share(right, all), wrong)
}

/// The share of injections that were sampled while they lasted, of those that lasted for
/// `visible_ns` after they had become stalls.
pub fn seen_in_progress(
    injected: &[Injected],
    glances: &[Glance],
    clock: ClockScale,
    threshold_ns: u64,
    visible_ns: u64,
) -> Cases {
    let is_long =
        |truth: &&Injected| clock.ns_between(truth.start, truth.end) >= threshold_ns + visible_ns;
    let is_seen = |truth: &&Injected| {
        glances.iter().any(|glance| truth.start <= glance.begun && glance.begun <= truth.end)
    };
    let seen = injected.iter().filter(is_long).filter(is_seen).count();
    Cases::share(seen as u64, injected.iter().filter(is_long).count() as u64)
}

/// Injections on a loop that has to answer pings itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShownByPings {
    pub stalls: u64,
    /// Of each injection that a ping showed, the error of the length that follows from the ping.
    pub errors_ns: Vec<f64>,
}

/// Looks at the injections of at least `least_ns`. A ping that is sent during one is read at its
/// end, so the longest wait gives its length, less the time until the first such ping. Judge this
/// only where one loop does everything: another loop would have answered.
pub fn shown_by_pings(
    injected: &[Injected],
    pings: &[Ping],
    clock: ClockScale,
    least_ns: u64,
) -> ShownByPings {
    let mut result = ShownByPings::default();
    for truth in injected.iter().filter(|truth| truth.wall_ns >= least_ns) {
        result.stalls += 1;
        let delayed = pings.iter().filter(|ping| ping.sent < truth.end && ping.read >= truth.end);
        let longest_ns = delayed.map(|ping| clock.ns_between(ping.sent, ping.read)).max();
        result.errors_ns.extend(longest_ns.map(|ns| ns.abs_diff(truth.wall_ns) as f64));
    }
    result
}

/// How many times two pings to one loop were further apart than they should be, of how many: their
/// sender did not get a CPU in time.
pub fn late_pings(pings: &[Ping], clock: ClockScale, gap_ns: u64) -> (u64, u64) {
    let mut sent: Vec<u64> = pings.iter().map(|ping| ping.sent).collect();
    sent.sort_unstable();
    let late = sent.windows(2).filter(|pair| clock.ns_between(pair[0], pair[1]) > gap_ns).count();
    (late as u64, sent.len().saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::cases::quantile;

    const MS: u64 = 1_000_000;

    fn truth(hold: Hold, start: u64, ns: u64) -> Injected {
        let cpu_ns = if hold == Hold::Spin { ns } else { 0 };
        Injected { hold, start, end: start + ns, wall_ns: ns, cpu_ns, run_queue_ns: 0 }
    }

    fn stall(start: u64, ns: u64, cpu_ns: u64, run_queue_ns: u64) -> Stall {
        Stall { slot: 0, start, end: start + ns, cpu_ns, run_queue_ns }
    }

    fn of(injected: &[Injected], stalls: &[Stall]) -> Injections {
        Injections::new(injected, stalls, ClockScale::MONOTONIC, 10 * MS)
    }

    #[test]
    fn an_injection_without_a_stall_is_missed() {
        let injected =
            [truth(Hold::Sleep, 100 * MS, 20 * MS), truth(Hold::Sleep, 200 * MS, 20 * MS)];
        let both = [stall(100 * MS, 20 * MS, 0, 0), stall(200 * MS, 20 * MS, 0, 0)];
        assert_eq!(of(&injected, &both).found().value(), Some(1.0));
        assert_eq!(of(&injected, &both[..1]).found().value(), Some(0.5));
        // A near stall is not enough: it began too late, or ended too early.
        assert_eq!(
            of(&injected[..1], &[stall(101 * MS, 20 * MS, 0, 0)]).found().value(),
            Some(0.0)
        );
        assert_eq!(
            of(&injected[..1], &[stall(100 * MS, 19 * MS, 0, 0)]).found().value(),
            Some(0.0)
        );
    }

    #[test]
    fn short_injections_are_ignored() {
        let injected = [truth(Hold::Spin, 0, 14 * MS), truth(Hold::Spin, 50 * MS, 16 * MS)];
        let injections = of(&injected, &[]);
        assert_eq!((injections.count(), injections.found().value()), (1, Some(0.0)));
        assert_eq!(of(&injected[..1], &[]).found().value(), None);
    }

    #[test]
    fn a_wrong_clock_shows_in_the_lengths() {
        let injected = [truth(Hold::Sleep, 100 * MS, 20 * MS)];
        let stalls = [stall(100 * MS, 20 * MS, 0, 0)];
        let fast = ClockScale { cpu_counter: false, ns_per_tick_shifted: (1 << 32) / 10 * 11 };
        let errors = Injections::new(&injected, &stalls, fast, 10 * MS).length_errors();
        assert!((errors[0] - 0.1).abs() < 0.001, "{errors:?}");
        assert_eq!(of(&injected, &stalls).length_errors(), [0.0]);
    }

    #[test]
    fn a_wrong_cause_shows_as_an_error() {
        let spin = [truth(Hold::Spin, 0, 20 * MS)];
        assert_eq!(of(&spin, &[stall(0, 20 * MS, 20 * MS, 0)]).cause_errors(), [0.0]);
        assert_eq!(of(&spin, &[stall(0, 20 * MS, 15 * MS, 5 * MS)]).cause_errors(), [0.25]);
        let sleep = [truth(Hold::Sleep, 0, 20 * MS)];
        assert_eq!(of(&sleep, &[stall(0, 20 * MS, 0, 0)]).cause_errors(), [0.0]);
        assert_eq!(of(&sleep, &[stall(0, 20 * MS, 20 * MS, 0)]).cause_errors(), [1.0]);
        // Half of it was spent in the run queue, in truth and as seen.
        let crowded = [Injected { run_queue_ns: 10 * MS, ..sleep[0] }];
        assert_eq!(of(&crowded, &[stall(0, 20 * MS, 0, 10 * MS)]).cause_errors(), [0.0]);
        assert_eq!(of(&crowded, &[stall(0, 20 * MS, 0, 0)]).cause_errors(), [1.0]);
        assert_eq!((of(&crowded, &[]).crowded(), of(&sleep, &[]).crowded()), (1, 0));
    }

    #[test]
    fn the_shorter_of_two_stalls_counts() {
        let injected = [truth(Hold::Sleep, 100 * MS, 20 * MS)];
        let stalls = [stall(0, 500 * MS, 0, 0), stall(100 * MS, 21 * MS, 0, 0)];
        let errors = of(&injected, &stalls).length_errors();
        assert_eq!(quantile(&errors, 0.95), Some(0.05));
    }

    #[track_caller]
    fn check_pings(pings: &[(u64, u64)], (stalls, errors_ms): (u64, &[u64])) {
        let pings: Vec<Ping> =
            pings.iter().map(|(sent, read)| Ping { sent: sent * MS, read: read * MS }).collect();
        let injected =
            [truth(Hold::Sleep, 100 * MS, 20 * MS), truth(Hold::Sleep, 200 * MS, 2 * MS)];
        let seen = shown_by_pings(&injected, &pings, ClockScale::MONOTONIC, 5 * MS);
        let errors_ns = errors_ms.iter().map(|ms| (ms * MS) as f64).collect();
        assert_eq!(seen, ShownByPings { stalls, errors_ns });
    }

    #[test]
    fn late_pings_are_counted() {
        let pings = [0, 4, 9, 15, 19].map(|ms| Ping { sent: ms * MS, read: ms * MS });
        assert_eq!(late_pings(&pings, ClockScale::MONOTONIC, 5 * MS), (1, 4));
        assert_eq!(late_pings(&[], ClockScale::MONOTONIC, 5 * MS), (0, 0));
    }

    #[test]
    fn the_first_ping_in_a_stall_gives_its_length() {
        check_pings(&[(98, 98), (103, 120), (108, 120), (122, 122)], (1, &[3]));
        // Answered by another loop during the stall.
        check_pings(&[(103, 104), (108, 109)], (1, &[]));
        check_pings(&[], (1, &[]));
        // Read long after the stall's end: another cause, and it shows as an error.
        check_pings(&[(110, 170)], (1, &[40]));
    }

    fn glance(at: u64, seen: &str) -> Glance<'_> {
        Glance { begun: at, ended: at + 10_000, seen }
    }

    #[test]
    fn only_the_blocking_call_is_right() {
        let injected = [truth(Hold::Read, 0, 30 * MS), truth(Hold::Spin, 100 * MS, 30 * MS)];
        let named = |glances: &[Glance]| call_named(&injected, glances, ClockScale::MONOTONIC);
        let right = [glance(20 * MS, "read"), glance(120 * MS, "running")];
        assert_eq!(named(&right), (Cases::share(2, 2), None));
        let wrong = [glance(20 * MS, "futex"), glance(120 * MS, "running")];
        let named_wrong = Some("futex instead of read".to_owned());
        assert_eq!(named(&wrong), (Cases::share(1, 2), named_wrong));
        // Samples outside of an injection or at its edge are left out.
        assert_eq!(
            named(&[glance(60 * MS, "futex"), glance(30 * MS - 5, "futex")]),
            (Cases::share(0, 0), None)
        );
    }

    #[test]
    fn a_long_stall_without_a_sample_is_missed() {
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
