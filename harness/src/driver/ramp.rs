//! Latency over rate: what became of the requests of a ramp, by the part of the window in which they
//! were due.
//!
//! Never counts a request where it was sent or answered: the rate that it belongs to is the one at
//! which it was asked for.

use quadrant_reports::record::RampSlice;
use quadrant_suite::clock::{ClockScale, Stamp};
use quadrant_suite::histogram::Histogram;

use super::arrivals::Rate;

const SLICES: usize = 10;

pub(super) struct RampTally {
    rate: Rate,
    /// Of a slice.
    ticks: u64,
    start: Stamp,
    slices: Vec<Slice>,
}

#[derive(Clone, Default)]
struct Slice {
    due: u64,
    latency: Histogram,
    unanswered: Histogram,
    backlog_peak: u64,
}

impl RampTally {
    pub(super) fn new(rate: Rate, clock: ClockScale) -> Self {
        let ticks = clock.ticks(rate.over_ns / SLICES as u64).max(1);
        Self { rate, ticks, start: Stamp::MAX, slices: vec![Slice::default(); SLICES] }
    }

    pub(super) fn open_window(&mut self, start: Stamp) {
        self.start = start;
    }

    /// The slice of this moment; the last one until the window has really closed.
    fn slice(&mut self, at: Stamp) -> Option<&mut Slice> {
        let index = at.checked_sub(self.start)? / self.ticks;
        self.slices.get_mut((index as usize).min(SLICES - 1))
    }

    pub(super) fn due(&mut self, due: Stamp) {
        if let Some(slice) = self.slice(due) {
            slice.due += 1;
        }
    }

    pub(super) fn answered(&mut self, due: Stamp, latency_ns: u64) {
        if let Some(slice) = self.slice(due) {
            slice.latency.record(latency_ns);
        }
    }

    pub(super) fn unanswered(&mut self, due: Stamp, age_ns: u64) {
        if let Some(slice) = self.slice(due) {
            slice.unanswered.record(age_ns);
        }
    }

    pub(super) fn backlog(&mut self, waiting: u64, at: Stamp) {
        if let Some(slice) = self.slice(at) {
            slice.backlog_peak = slice.backlog_peak.max(waiting);
        }
    }

    pub(super) fn finish(self) -> Vec<RampSlice> {
        let (from, to) = (self.rate.from as f64, self.rate.to as f64);
        let slices = self.slices.into_iter().enumerate().map(|(index, slice)| {
            let Slice { due, mut latency, unanswered, backlog_peak } = slice;
            let answered = latency.count();
            // As for the whole window: the age of a request without an answer counts where it
            // exceeds 99 of 100 latencies.
            latency.merge_longer(&unanswered, latency.quantile(0.99));
            let middle = (index as f64 + 0.5) / SLICES as f64;
            RampSlice {
                asked_per_sec: (from + (to - from) * middle).round() as u64,
                due,
                answered,
                p50_ns: latency.quantile(0.5),
                p99_ns: latency.quantile(0.99),
                backlog_peak,
            }
        });
        slices.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn requests_count_where_they_were_due() {
        let rate = Rate { from: 1_000, to: 2_000, over_ns: 100 * MS };
        let mut ramp = RampTally::new(rate, ClockScale::MONOTONIC);
        ramp.due(0);
        ramp.open_window(5 * MS);
        ramp.due(4 * MS);
        ramp.answered(4 * MS, MS);
        for due in [5, 14, 104, 107] {
            ramp.due(due * MS);
        }
        ramp.answered(5 * MS, 2 * MS);
        ramp.answered(14 * MS, 30 * MS);
        ramp.unanswered(104 * MS, 3 * MS);
        ramp.backlog(8, 20 * MS);
        ramp.backlog(7, 21 * MS);
        let slices = ramp.finish();
        let rates: Vec<u64> = slices.iter().map(|slice| slice.asked_per_sec).collect();
        assert_eq!(rates, [1_050, 1_150, 1_250, 1_350, 1_450, 1_550, 1_650, 1_750, 1_850, 1_950]);
        let slice = |index: usize| {
            let slice = &slices[index];
            (slice.due, slice.answered, slice.p50_ns, slice.p99_ns, slice.backlog_peak)
        };
        assert_eq!(slice(0).0, 2);
        assert_eq!(slice(0).1, 2);
        assert!(slice(0).2.abs_diff(2 * MS) < MS / 10 && slice(0).3.abs_diff(30 * MS) < MS);
        assert_eq!(slice(1), (0, 0, 0, 0, 8));
        assert_eq!((slice(9).0, slice(9).1), (2, 0));
        assert!(slice(9).3.abs_diff(3 * MS) < MS / 10);
    }
}
