//! When the requests of an open loop are due.
//!
//! The schedule is fixed by its start and its rate. A slow subject never changes it: a request that
//! could not be sent in time keeps its due time (no coordinated omission). It never reads a clock.

use quadrant_suite::clock::{ClockScale, Stamp};

#[derive(Debug, Clone)]
pub(super) struct Schedule {
    start: Stamp,
    rate_per_sec: u64,
    clock: ClockScale,
    /// The position that `take` returns next. The backlog is the positions from here on that are
    /// due, so it takes no memory, however long it is.
    next: u64,
    next_due: Stamp,
}

impl Schedule {
    pub(super) fn new(start: Stamp, rate_per_sec: u64, clock: ClockScale) -> Self {
        Self { start, rate_per_sec: rate_per_sec.max(1), clock, next: 0, next_due: start }
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
        self.next += 1;
        self.next_due = self.due(self.next);
        Some(due)
    }

    /// How many requests are due and were not taken.
    pub(super) fn waiting(&self, now: Stamp) -> u64 {
        if now < self.next_due {
            return 0;
        }
        let elapsed_ns = u128::from(self.clock.ns_between(self.start, now));
        let due = elapsed_ns * u128::from(self.rate_per_sec) / 1_000_000_000 + 1;
        // Rounding between ticks and nanoseconds may lose the next one, which is due.
        u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(self.next).max(1)
    }

    /// Computed from the start, so that rounding errors do not add up.
    fn due(&self, position: u64) -> Stamp {
        let ns = u128::from(position) * 1_000_000_000 / u128::from(self.rate_per_sec);
        self.start.saturating_add(self.clock.ticks(u64::try_from(ns).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrant_suite::histogram::Histogram;

    const MS: u64 = 1_000_000;
    const SEC: u64 = 1_000 * MS;

    #[test]
    fn due_times_do_not_drift() {
        let mut schedule = Schedule::new(500, 3, ClockScale::MONOTONIC);
        let mut last = 0;
        for _ in 0..=3_000 {
            last = schedule.take(u64::MAX).unwrap();
        }
        assert_eq!(last, 500 + 1_000 * SEC);
    }

    #[test]
    fn requests_are_due_on_time_and_the_backlog_counted() {
        let mut schedule = Schedule::new(1_000, 1_000, ClockScale::MONOTONIC);
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
        let mut schedule = Schedule::new(1_000, 1_000, ClockScale::MONOTONIC);
        assert_eq!(schedule.take(1_000 + MS), Some(1_000));
        assert_eq!(schedule.take(500), None);
        assert_eq!(schedule.waiting(500), 0);
        assert_eq!(schedule.take(1_000 + MS), Some(1_000 + MS));
        assert_eq!(schedule.take(1_000 + MS), None);
    }

    #[test]
    fn other_clocks_give_the_same_due_times() {
        let clock = ClockScale { cpu_counter: true, ns_per_tick_shifted: (1_u64 << 32) * 10 / 27 };
        let mut schedule = Schedule::new(0, 10_000, clock);
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
        let mut schedule = Schedule::new(0, 100, ClockScale::MONOTONIC);
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
