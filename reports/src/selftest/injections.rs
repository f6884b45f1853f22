//! Stalls that were made on purpose, held against those that the board has kept.
//!
//! A stall belongs to an injection if it contains it. It never takes the nearest for the right
//! one: what contains nothing of the truth is not found.

use quadrant_suite::board::Stall;
use quadrant_suite::clock::ClockScale;
use quadrant_suite::injection::{Hold, Injected};

use super::cases::Cases;

/// An injection this many times as long as the threshold has to be found. The threshold itself
/// is no fair test: the poll around it may be a little shorter or longer than it.
pub const LONG_ENOUGH: f64 = 1.5;

/// The truth of one trial, with what the board has of it.
#[derive(Debug, Clone)]
pub struct Injections {
    pairs: Vec<(Injected, Option<Stall>)>,
    clock: ClockScale,
}

impl Injections {
    /// Those that are long enough to have to be found.
    pub fn new(
        injected: &[Injected],
        stalls: &[Stall],
        clock: ClockScale,
        threshold_ns: u64,
    ) -> Self {
        let is_long = |truth: &&Injected| truth.wall_ns as f64 >= threshold_ns as f64 * LONG_ENOUGH;
        let pairs = injected
            .iter()
            .filter(is_long)
            .map(|truth| (*truth, stall_around(truth, stalls)))
            .collect();
        Self { pairs, clock }
    }

    pub fn count(&self) -> u64 {
        self.pairs.len() as u64
    }

    /// Those that the board has kept, of all.
    pub fn found(&self) -> Cases {
        let found = self.pairs.iter().filter(|(_, stall)| stall.is_some()).count();
        Cases::share(found as u64, self.count())
    }

    /// How many of them had to wait for a CPU, by their own account, for longer than a length may
    /// be off. Who has to wait there waits between the truth and the end of its poll as well.
    pub fn crowded(&self) -> u64 {
        let waited = |truth: &Injected| truth.run_queue_ns * 50 > truth.wall_ns;
        self.pairs.iter().filter(|(truth, _)| waited(truth)).count() as u64
    }

    /// How far the lengths of those that were found are off, as shares of the true ones.
    pub fn length_errors(&self) -> Vec<f64> {
        self.each(|truth, stall| {
            let length_ns = self.clock.ns_between(stall.start, stall.end);
            relative(length_ns, truth.wall_ns)
        })
    }

    /// How far the time of their own cause is off: computing where the thread was made to
    /// compute, being blocked where it was made to wait. As shares of the true time.
    pub fn cause_errors(&self) -> Vec<f64> {
        self.each(|truth, stall| {
            let length_ns = self.clock.ns_between(stall.start, stall.end);
            let blocked_ns = |all_ns: u64, cpu_ns: u64, run_queue_ns: u64| {
                all_ns.saturating_sub(cpu_ns).saturating_sub(run_queue_ns)
            };
            match truth.hold {
                Hold::Spin => relative(stall.cpu_ns, truth.cpu_ns),
                Hold::Sleep | Hold::Read => relative(
                    blocked_ns(length_ns, stall.cpu_ns, stall.run_queue_ns),
                    blocked_ns(truth.wall_ns, truth.cpu_ns, truth.run_queue_ns),
                ),
            }
        })
    }

    fn each(&self, error: impl Fn(&Injected, &Stall) -> f64) -> Vec<f64> {
        self.pairs.iter().filter_map(|(truth, stall)| Some(error(truth, stall.as_ref()?))).collect()
    }
}

/// The tightest stall that goes on for all of it.
fn stall_around(truth: &Injected, stalls: &[Stall]) -> Option<Stall> {
    let contains = |stall: &&Stall| stall.start <= truth.start && truth.end <= stall.end;
    stalls.iter().filter(contains).min_by_key(|stall| stall.end - stall.start).copied()
}

/// A truth of zero, of which nothing can be a share, is missed by all of it.
fn relative(seen: u64, truth: u64) -> f64 {
    if truth == 0 {
        return if seen == 0 { 0.0 } else { 1.0 };
    }
    seen.abs_diff(truth) as f64 / truth as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::quantile;

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
    fn one_that_is_not_in_the_log_is_missed() {
        let injected =
            [truth(Hold::Sleep, 100 * MS, 20 * MS), truth(Hold::Sleep, 200 * MS, 20 * MS)];
        let both = [stall(100 * MS, 20 * MS, 0, 0), stall(200 * MS, 20 * MS, 0, 0)];
        assert_eq!(of(&injected, &both).found().value(), Some(1.0));
        assert_eq!(of(&injected, &both[..1]).found().value(), Some(0.5));
        // Near is not there: it began too late, or ended too early.
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
    fn short_ones_are_not_asked_for() {
        let injected = [truth(Hold::Spin, 0, 14 * MS), truth(Hold::Spin, 50 * MS, 16 * MS)];
        let injections = of(&injected, &[]);
        assert_eq!((injections.count(), injections.found().value()), (1, Some(0.0)));
        assert_eq!(of(&injected[..1], &[]).found().value(), None);
    }

    #[test]
    fn a_clock_that_goes_wrong_shows_in_the_lengths() {
        let injected = [truth(Hold::Sleep, 100 * MS, 20 * MS)];
        let stalls = [stall(100 * MS, 20 * MS, 0, 0)];
        let fast = ClockScale { cpu_counter: false, ns_per_tick_shifted: (1 << 32) / 10 * 11 };
        let errors = Injections::new(&injected, &stalls, fast, 10 * MS).length_errors();
        assert!((errors[0] - 0.1).abs() < 0.001, "{errors:?}");
        assert_eq!(of(&injected, &stalls).length_errors(), [0.0]);
    }

    #[test]
    fn a_cause_that_is_mistaken_shows_in_the_split() {
        let spin = [truth(Hold::Spin, 0, 20 * MS)];
        assert_eq!(of(&spin, &[stall(0, 20 * MS, 20 * MS, 0)]).cause_errors(), [0.0]);
        assert_eq!(of(&spin, &[stall(0, 20 * MS, 15 * MS, 5 * MS)]).cause_errors(), [0.25]);
        let sleep = [truth(Hold::Sleep, 0, 20 * MS)];
        assert_eq!(of(&sleep, &[stall(0, 20 * MS, 0, 0)]).cause_errors(), [0.0]);
        assert_eq!(of(&sleep, &[stall(0, 20 * MS, 20 * MS, 0)]).cause_errors(), [1.0]);
        // Half of it is waiting in the run queue, in truth and as seen.
        let crowded = [Injected { run_queue_ns: 10 * MS, ..sleep[0] }];
        assert_eq!(of(&crowded, &[stall(0, 20 * MS, 0, 10 * MS)]).cause_errors(), [0.0]);
        assert_eq!(of(&crowded, &[stall(0, 20 * MS, 0, 0)]).cause_errors(), [1.0]);
        assert_eq!((of(&crowded, &[]).crowded(), of(&sleep, &[]).crowded()), (1, 0));
    }

    #[test]
    fn of_two_stalls_around_it_the_tighter_one_counts() {
        let injected = [truth(Hold::Sleep, 100 * MS, 20 * MS)];
        let stalls = [stall(0, 500 * MS, 0, 0), stall(100 * MS, 21 * MS, 0, 0)];
        let errors = of(&injected, &stalls).length_errors();
        assert_eq!(quantile(&errors, 0.95), Some(0.05));
    }
}
