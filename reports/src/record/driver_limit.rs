//! When a load driver was so busy that a figure may be its own.
//!
//! Judged by what the driver did in that very trial, never by a forecast of what it could do.

use crate::record::Metrics;

/// From this share of its time on, requests wait for the driver.
pub const BUSY_MAX: f64 = 0.9;

/// The share of the window in which the driver was busy, where that is so much that throughput is
/// the driver's as well, and only the CPU time per operation tells subjects apart.
pub fn is_limited(busy_ns: u64, window_ns: u64) -> Option<f64> {
    let share = busy_ns as f64 / window_ns.max(1) as f64;
    (share >= BUSY_MAX).then_some(share)
}

/// The same of a trial that is over.
pub fn of(metrics: &Metrics) -> Option<f64> {
    is_limited(metrics.load.as_ref()?.busy_ns, metrics.elapsed_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LoadMetrics;
    use crate::tests::sample;

    #[test]
    fn busy_nine_tenths_of_the_window_is_limited() {
        assert_eq!(is_limited(899_999, 1_000_000), None);
        assert_eq!(is_limited(900_000, 1_000_000), Some(0.9));
        assert_eq!(is_limited(0, 0), None);
    }

    #[test]
    fn without_a_driver_nothing_is_limited() {
        let mut trial = sample::ok("a/b/c", 0, 10.0, 5).metrics.unwrap();
        let busy_ns = trial.elapsed_ns;
        trial.load = Some(LoadMetrics { busy_ns, ..sample::load(1, 1, None) });
        assert_eq!(of(&trial), Some(1.0));
        trial.load = None;
        assert_eq!(of(&trial), None);
    }
}
