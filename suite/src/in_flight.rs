//! Operations of a group in flight: peak and mean.
//!
//! One atomic word holds their number and the sum of their start times, so the two are always
//! consistent and operations that outlast the window are included. Never takes a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The upper bits count operations, the lower ones add up their starts.
const START_BITS: u32 = 44;
/// Starts are kept in units of 2^16 ns (66 µs): a million operations of 17 minutes fit.
const UNIT_SHIFT: u32 = 16;

#[derive(Default)]
pub(crate) struct InFlight {
    packed: AtomicU64,
    peak: AtomicU64,
    /// Time in the window of the operations that ended in it.
    ended_ns: AtomicU64,
}

/// One operation in flight. Times are nanoseconds since the trial's beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    start_ns: u64,
}

impl Flight {
    fn packed(self) -> u64 {
        (1 << START_BITS) + (self.start_ns >> UNIT_SHIFT)
    }
}

impl InFlight {
    pub(crate) fn begin(&self, now_ns: u64, measuring: bool) -> Flight {
        let flight = Flight { start_ns: now_ns };
        let before = self.packed.fetch_add(flight.packed(), Relaxed);
        if measuring {
            self.note((before >> START_BITS) + 1);
        }
        flight
    }

    /// `window_ns` is the window's start when the window is open.
    pub(crate) fn end(&self, flight: Flight, now_ns: u64, window_ns: Option<u64>) {
        let before = self.packed.fetch_sub(flight.packed(), Relaxed);
        if let Some(window_ns) = window_ns {
            self.note(before >> START_BITS);
            let inside = now_ns.saturating_sub(flight.start_ns.max(window_ns));
            self.ended_ns.fetch_add(inside, Relaxed);
        }
    }

    fn note(&self, in_flight: u64) {
        if in_flight > self.peak.load(Relaxed) {
            self.peak.fetch_max(in_flight, Relaxed);
        }
    }

    /// How many operations are in flight now, and for how long on average.
    pub(crate) fn unended(&self, now_ns: u64) -> (u64, u64) {
        let (in_flight, ages_ns) = self.ages(now_ns);
        (in_flight, ages_ns.checked_div(in_flight).unwrap_or(0))
    }

    /// Operations in flight, and the sum of their ages.
    fn ages(&self, now_ns: u64) -> (u64, u64) {
        let packed = self.packed.load(Relaxed);
        let in_flight = packed >> START_BITS;
        let starts_ns = (packed & ((1 << START_BITS) - 1)) << UNIT_SHIFT;
        (in_flight, (in_flight * now_ns).saturating_sub(starts_ns))
    }

    /// Peak, and mean in thousandths, for a window that ends now.
    pub(crate) fn read(&self, window_ns: u64, now_ns: u64) -> (u64, u64) {
        let (in_flight, ages_ns) = self.ages(now_ns);
        let window = now_ns.saturating_sub(window_ns).max(1);
        // Each operation in flight counts from its start, but never more than the window.
        let unended = ages_ns.min(in_flight * window);
        let total = u128::from(self.ended_ns.load(Relaxed) + unended);
        let mean_milli = (total * 1_000 / u128::from(window)) as u64;
        (self.peak.load(Relaxed).max(in_flight), mean_milli)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn operations_that_outlast_the_window_count() {
        let in_flight = InFlight::default();
        for _ in 0..64 {
            in_flight.begin(10 * MS, false);
        }
        assert_eq!(in_flight.read(100 * MS, 300 * MS), (64, 64_000));
        let (in_flight, age_ns) = in_flight.unended(300 * MS);
        assert_eq!(in_flight, 64);
        assert!(age_ns.abs_diff(290 * MS) < MS);
    }

    #[test]
    fn half_the_time_is_half_an_operation() {
        let in_flight = InFlight::default();
        for i in 0..100 {
            let flight = in_flight.begin(i * MS, true);
            in_flight.end(flight, i * MS + MS / 2, Some(0));
        }
        assert_eq!(in_flight.read(0, 100 * MS), (1, 500));
    }

    /// Threads on two CPUs whose counters are a little apart.
    #[test]
    fn one_that_ends_before_it_began_takes_no_time() {
        let in_flight = InFlight::default();
        let flight = in_flight.begin(20 * MS, true);
        in_flight.end(flight, 19 * MS, Some(10 * MS));
        in_flight.begin(30 * MS, true);
        assert_eq!(in_flight.unended(29 * MS).0, 1);
        assert!(in_flight.unended(29 * MS).1 < MS);
        let (peak, mean_milli) = in_flight.read(10 * MS, 29 * MS);
        assert!(peak == 1 && mean_milli < 1_000, "{mean_milli}");
        // The window's end before its start.
        assert_eq!(in_flight.read(100 * MS, 29 * MS).0, 1);
    }

    #[test]
    fn an_operation_from_before_the_window_is_cut_at_its_start() {
        let in_flight = InFlight::default();
        let flight = in_flight.begin(0, false);
        in_flight.end(flight, 60 * MS, Some(50 * MS));
        assert_eq!(in_flight.read(50 * MS, 150 * MS), (1, 100));
    }
}
