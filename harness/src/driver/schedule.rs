//! When the requests of an open loop are due.
//!
//! The schedule is fixed by its start, its arrivals and its seed. A slow subject never changes it: a
//! request that could not be sent in time keeps its due time (no coordinated omission). It never
//! reads a clock.

use quadrant_reports::random::SplitMix;
use quadrant_suite::clock::{ClockScale, Stamp};

use super::arrivals::{Arrivals, Rate};

#[derive(Debug, Clone)]
pub(super) struct Schedule {
    curve: Curve,
    /// At the request that `take` returns next.
    next: Source,
    next_due: Stamp,
    /// Behind the last request that was counted as due. The backlog is what lies between the two,
    /// so it takes no memory, however long it is.
    counted: Source,
}

impl Schedule {
    pub(super) fn new(start: Stamp, arrivals: Arrivals, seed: u64, clock: ClockScale) -> Self {
        let curve = Curve::new(start, arrivals, clock);
        let next = Source::new(arrivals, seed);
        Self { next_due: curve.due(next.at), counted: next.clone(), next, curve }
    }

    /// The window has begun at `start`. A ramp begins there, and requests that are due from then on
    /// move accordingly. To be called soon after.
    pub(super) fn open_window(&mut self, start: Stamp) {
        if self.curve.open_window(start) {
            self.next_due = self.curve.due(self.next.at);
        }
    }

    /// When the next request is or was due.
    pub(super) fn next_due(&self) -> Stamp {
        self.next_due
    }

    /// Takes the next request if it is due, and returns since when.
    pub(super) fn take(&mut self, now: Stamp) -> Option<Stamp> {
        if now < self.next_due {
            return None;
        }
        let due = self.next_due;
        self.next.advance();
        self.next_due = self.curve.due(self.next.at);
        Some(due)
    }

    /// How many requests are due and were not taken. Counts each request once, so that it is cheap
    /// if called often.
    pub(super) fn waiting(&mut self, now: Stamp) -> u64 {
        if now < self.next_due {
            return 0;
        }
        if self.counted.position < self.next.position {
            self.counted.clone_from(&self.next);
        }
        while self.curve.due(self.counted.at) <= now {
            self.counted.advance();
        }
        self.counted.position - self.next.position
    }
}

/// The requests one after the other, each at its moment in a process with one arrival (or one
/// burst) per unit of time on average.
#[derive(Debug, Clone)]
struct Source {
    arrivals: Arrivals,
    random: SplitMix,
    position: u64,
    at: f64,
}

impl Source {
    fn new(arrivals: Arrivals, seed: u64) -> Self {
        let random = SplitMix::new(seed, "arrivals");
        let mut source = Self { arrivals, random, position: 0, at: 0.0 };
        source.place();
        source
    }

    fn advance(&mut self) {
        self.position += 1;
        self.place();
    }

    fn place(&mut self) {
        match self.arrivals {
            Arrivals::Even(_) => self.at = self.position as f64,
            Arrivals::Bursts { count, .. } => {
                self.at = (self.position / u64::from(count.max(1))) as f64;
            }
            Arrivals::Poisson(_) => {
                // 53 bits, and never 0, of which there is no logarithm.
                let uniform = ((self.random.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                self.at -= uniform.ln();
            }
        }
    }
}

/// Stretches the units of a [`Source`] to the rate. Every moment is computed from the start, so that
/// rounding errors do not add up.
#[derive(Debug, Clone, Copy)]
struct Curve {
    clock: ClockScale,
    start: Stamp,
    rate: Rate,
    /// Nanoseconds of a unit before the ramp.
    unit_ns: f64,
    /// From the start to that of the ramp, once there is one.
    ramp_ns: Option<f64>,
}

impl Curve {
    fn new(start: Stamp, arrivals: Arrivals, clock: ClockScale) -> Self {
        let (rate, unit_ns) = match arrivals {
            Arrivals::Even(rate) | Arrivals::Poisson(rate) => (rate, 1e9 / rate.from.max(1) as f64),
            Arrivals::Bursts { every_ns, .. } => (Rate::constant(1), every_ns as f64),
        };
        Self { clock, start, rate, unit_ns, ramp_ns: None }
    }

    /// Whether a ramp begins by that.
    fn open_window(&mut self, start: Stamp) -> bool {
        let begins = self.rate.from != self.rate.to && self.ramp_ns.is_none();
        if begins {
            self.ramp_ns = Some(self.clock.ns_between(self.start, start) as f64);
        }
        begins
    }

    fn due(&self, at: f64) -> Stamp {
        let before = |ramp_ns: &f64| at * self.unit_ns > *ramp_ns;
        let ns = match self.ramp_ns.filter(before) {
            None => at * self.unit_ns,
            Some(ramp_ns) => ramp_ns + self.rate.reaches(at - ramp_ns / self.unit_ns),
        };
        // A float as large as this becomes the largest integer.
        self.start.saturating_add(self.clock.ticks(ns.round() as u64))
    }
}

impl Rate {
    /// The time from the start of the ramp until this many requests have been due, in nanoseconds.
    fn reaches(self, requests: f64) -> f64 {
        let (from, to, over) = (self.from as f64, self.to as f64, self.over_ns as f64 / 1e9);
        let in_ramp = from.midpoint(to) * over;
        let seconds = if requests >= in_ramp {
            over + (requests - in_ramp) / to
        } else {
            // The root of `from·t + (to - from)/over·t²/2 = requests`, in the form that keeps its
            // digits where both terms of the usual one are nearly equal.
            let slope = (to - from) / over;
            2.0 * requests / (from + (from * from + 2.0 * slope * requests).max(0.0).sqrt())
        };
        seconds * 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrant_suite::histogram::Histogram;

    const MS: u64 = 1_000_000;
    const SEC: u64 = 1_000 * MS;

    fn schedule(start: Stamp, arrivals: Arrivals) -> Schedule {
        Schedule::new(start, arrivals, 7, ClockScale::MONOTONIC)
    }

    fn even(start: Stamp, per_sec: u64) -> Schedule {
        schedule(start, Arrivals::even(per_sec))
    }

    /// How many are due from `from` to before `to`; those before are taken too.
    fn due_within(schedule: &mut Schedule, from: Stamp, to: Stamp) -> u64 {
        while schedule.next_due() < from {
            schedule.take(from).unwrap();
        }
        let mut count = 0;
        while schedule.next_due() < to {
            schedule.take(to).unwrap();
            count += 1;
        }
        count
    }

    #[test]
    fn every_rate_is_kept_to_one_percent() {
        for per_sec in [1, 7, 100, 3_000, 33_333, 250_000, 1_000_000] {
            let seconds = (400_000 / per_sec).max(1);
            let due = due_within(&mut even(500, per_sec), 500, 500 + seconds * SEC);
            assert_eq!(due, per_sec * seconds, "{per_sec}/s, even");
            let poisson = Arrivals::Poisson(Rate::constant(per_sec));
            let due = due_within(&mut schedule(500, poisson), 500, 500 + seconds * SEC);
            let asked = (per_sec * seconds) as f64;
            // Six standard deviations, which are less than 1 % of this many requests.
            assert!((due as f64 - asked).abs() < 6.0 * asked.sqrt(), "{per_sec}/s: {due}");
            assert!((due as f64 / asked - 1.0).abs() < 0.01, "{per_sec}/s: {due} of {asked}");
        }
    }

    #[test]
    fn poisson_gaps_are_exponential_and_repeatable() {
        let arrivals = Arrivals::Poisson(Rate::constant(1_000));
        let dues = |seed| -> Vec<Stamp> {
            let mut schedule = Schedule::new(0, arrivals, seed, ClockScale::MONOTONIC);
            (0..100_000).map(|_| schedule.take(u64::MAX).unwrap()).collect()
        };
        let first = dues(7);
        assert_eq!(first, dues(7));
        assert_ne!(first, dues(8));
        assert!(first.is_sorted());
        let gaps: Vec<u64> = first.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (shorter_than, share) in [(MS / 10, 0.0952), (MS, 0.6321), (3 * MS, 0.9502)] {
            let seen = gaps.iter().filter(|gap| **gap < shorter_than).count() as f64;
            assert!((seen / gaps.len() as f64 - share).abs() < 0.01, "{shorter_than}: {seen}");
        }
    }

    #[test]
    fn a_burst_is_due_at_one_moment() {
        let mut schedule = schedule(500, Arrivals::Bursts { count: 50, every_ns: 20 * MS });
        for burst in 0..1_000 {
            let due = 500 + burst * 20 * MS;
            assert_eq!(schedule.waiting(due), 50);
            for left in (0..50).rev() {
                assert_eq!(schedule.take(due), Some(due));
                assert_eq!(schedule.waiting(due), left);
            }
            assert_eq!(schedule.take(due + 20 * MS - 1), None);
        }
    }

    #[test]
    fn a_ramp_begins_with_the_window_and_stays() {
        for (from, to) in [(500, 20_000), (20_000, 500), (1, 100_000), (999, 1_000)] {
            for wrap in [Arrivals::Even, Arrivals::Poisson] {
                let arrivals = wrap(Rate { from, to, over_ns: 0 }).within(10 * SEC);
                let mut schedule = schedule(0, arrivals);
                let warmup = due_within(&mut schedule, 0, 2 * SEC);
                let chance = |count: u64| match arrivals {
                    Arrivals::Poisson(_) => 6.0 * (count as f64).sqrt() + 2.0,
                    _ => 2.0,
                };
                let close = |count: u64, expected: u64| {
                    let apart = (count as f64 - expected as f64).abs();
                    assert!(apart <= chance(expected), "{arrivals:?}: {count} not {expected}");
                };
                close(warmup, 2 * from);
                schedule.open_window(2 * SEC);
                for second in 0..10 {
                    let begin = (2 + second) * SEC;
                    let counted = due_within(&mut schedule, begin, begin + SEC);
                    // The mean rate of that second.
                    let at = |moment: u64| (from * (20 - moment) + to * moment) / 20;
                    close(counted, at(2 * second + 1));
                }
                close(due_within(&mut schedule, 12 * SEC, 13 * SEC), to);
            }
        }
    }

    #[test]
    fn a_long_backlog_is_counted_exactly() {
        let arrivals = [
            Arrivals::even(1_000_000),
            Arrivals::Poisson(Rate::constant(1_000_000)),
            Arrivals::Bursts { count: 50_000, every_ns: 50 * MS },
        ];
        for arrivals in arrivals {
            let mut schedule = schedule(0, arrivals);
            let waiting = schedule.waiting(SEC / 5);
            assert!(waiting.abs_diff(200_000) <= 50_000, "{arrivals:?}: {waiting}");
            let taken = std::iter::from_fn(|| schedule.take(SEC / 5)).count() as u64;
            assert_eq!(taken, waiting, "{arrivals:?}");
            assert_eq!(schedule.waiting(SEC / 5), 0);
        }
    }

    #[test]
    fn due_times_do_not_drift() {
        let mut schedule = even(500, 3);
        let mut last = 0;
        for _ in 0..=3_000 {
            last = schedule.take(u64::MAX).unwrap();
        }
        assert_eq!(last, 500 + 1_000 * SEC);
    }

    #[test]
    fn requests_are_due_on_time_and_the_backlog_counted() {
        let mut schedule = even(1_000, 1_000);
        assert_eq!(schedule.take(999), None);
        assert_eq!(schedule.take(1_000), Some(1_000));
        assert_eq!(schedule.waiting(1_000 + MS - 1), 0);
        assert_eq!(schedule.waiting(1_000 + MS), 1);
        assert_eq!(schedule.waiting(1_000 + 10 * MS), 10);
        assert_eq!(schedule.take(1_000 + 10 * MS), Some(1_000 + MS));
        assert_eq!(schedule.waiting(1_000 + 10 * MS), 9);
    }

    #[test]
    fn a_clock_that_steps_back_repeats_nothing() {
        let mut schedule = even(1_000, 1_000);
        assert_eq!(schedule.take(1_000 + MS), Some(1_000));
        assert_eq!(schedule.take(500), None);
        assert_eq!(schedule.waiting(500), 0);
        assert_eq!(schedule.take(1_000 + MS), Some(1_000 + MS));
        assert_eq!(schedule.take(1_000 + MS), None);
    }

    #[test]
    fn other_clocks_give_the_same_due_times() {
        let clock = ClockScale { cpu_counter: true, ns_per_tick_shifted: (1_u64 << 32) * 10 / 27 };
        let mut schedule = Schedule::new(0, Arrivals::even(10_000), 7, clock);
        for position in 0..1_000_u64 {
            let now = clock.ticks(position * SEC / 10_000);
            let due = schedule.take(now + 3).unwrap();
            assert!(due.abs_diff(now) <= 2);
            assert_eq!(schedule.take(now + 3), None);
        }
    }

    /// The textbook example of coordinated omission: a subject that answers within 1 ms for 100 s and
    /// then stops for 100 s answers half of the requests within 1 ms, not almost all of them.
    #[test]
    fn a_pause_delays_all_requests_due_in_it() {
        let mut schedule = even(0, 100);
        let (mut corrected, mut uncorrected) = (Histogram::default(), Histogram::default());
        let mut free_at = 0;
        loop {
            let sent = free_at.max(schedule.next_due());
            if sent > 200 * SEC {
                break;
            }
            let due = schedule.take(sent).unwrap();
            let pauses = (100 * SEC..200 * SEC).contains(&sent);
            let answered = if pauses { 200 * SEC } else { sent + MS };
            corrected.record(answered - due);
            uncorrected.record(answered - sent);
            free_at = answered;
            if answered >= 200 * SEC {
                break;
            }
        }
        // The rest is due and waits; it is taken at the end, with its age at that time.
        while let Some(due) = schedule.take(200 * SEC) {
            corrected.record(200 * SEC - due);
        }
        let at_most = |histogram: &Histogram, share| histogram.quantile(share) <= MS + MS / 50;
        assert!(at_most(&corrected, 0.499) && !at_most(&corrected, 0.505));
        assert!(at_most(&uncorrected, 0.9995));
        let p75 = corrected.quantile(0.75);
        assert!(p75.abs_diff(50 * SEC) < SEC, "{p75}");
    }
}
