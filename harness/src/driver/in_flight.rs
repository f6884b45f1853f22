//! The number of requests in flight: its peak and its exact average over a window.
//!
//! Never samples: every change is recorded with its moment.

use quadrant_suite::clock::Stamp;

#[derive(Debug, Default)]
pub(super) struct InFlight {
    current: u64,
    peak: u64,
    start: Stamp,
    /// The moment up to which `area` is computed.
    last: Stamp,
    /// Requests times ticks since the window's start.
    area: u128,
    open: bool,
}

impl InFlight {
    /// The window began at `start`, with the requests that are in flight now.
    pub(super) fn open(&mut self, start: Stamp) {
        self.open = true;
        self.start = start;
        self.last = start;
        self.peak = self.current;
    }

    pub(super) fn add(&mut self, at: Stamp) {
        self.advance(at);
        self.current += 1;
        if self.open {
            self.peak = self.peak.max(self.current);
        }
    }

    pub(super) fn remove(&mut self, at: Stamp) {
        self.advance(at);
        debug_assert!(self.current > 0, "only what was added is removed");
        self.current = self.current.saturating_sub(1);
    }

    /// The window ended at `end`; later changes are not counted.
    pub(super) fn close(&mut self, end: Stamp) {
        self.advance(end);
        self.open = false;
    }

    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// The average over the window, in thousandths.
    pub(super) fn mean_milli(&self) -> u64 {
        let ticks = u128::from(self.last.saturating_sub(self.start));
        u64::try_from((self.area * 1_000).checked_div(ticks).unwrap_or(0)).unwrap_or(u64::MAX)
    }

    fn advance(&mut self, at: Stamp) {
        // A change may be stamped a moment before the window's start was seen.
        if self.open && at > self.last {
            self.area += u128::from(self.current) * u128::from(at - self.last);
            self.last = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_weighted_by_time() {
        let mut in_flight = InFlight::default();
        in_flight.add(10);
        in_flight.add(20);
        in_flight.remove(30);
        in_flight.open(100); // one in flight
        in_flight.add(150); // 50 × 1
        in_flight.remove(160); // 10 × 2
        in_flight.remove(180); // 20 × 1
        in_flight.close(200); // 20 × 0
        assert_eq!(in_flight.peak(), 2);
        assert_eq!(in_flight.mean_milli(), 900);
    }

    #[test]
    fn changes_outside_of_the_window_do_not_count() {
        let mut in_flight = InFlight::default();
        for at in 0..50 {
            in_flight.add(at);
        }
        for at in 50..100 {
            in_flight.remove(at);
        }
        in_flight.open(100);
        in_flight.add(100);
        in_flight.close(200);
        assert_eq!((in_flight.peak(), in_flight.mean_milli()), (1, 1_000));
        in_flight.remove(900);
        assert_eq!(in_flight.mean_milli(), 1_000);
    }

    #[test]
    fn a_clock_that_steps_back_adds_nothing() {
        let mut in_flight = InFlight::default();
        in_flight.open(100);
        in_flight.add(150);
        in_flight.remove(120); // 0 × 1
        in_flight.add(200); // 50 × 0
        in_flight.close(90);
        assert_eq!((in_flight.peak(), in_flight.mean_milli()), (1, 0));
    }

    #[test]
    fn no_window_gives_no_average() {
        assert_eq!(InFlight::default().mean_milli(), 0);
    }
}
