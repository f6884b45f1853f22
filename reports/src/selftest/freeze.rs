//! The latency that requests must have if the subject stands still for a known time under an open
//! loop.
//!
//! Requests come due during the freeze, and each waits for the rest of it. So the slowest
//! `freeze / window` of all requests must be spread evenly from zero to the whole freeze: if half
//! of the window is frozen, half of the requests are fast, and the median of the others is half of
//! the freeze. Never looks at latencies that count from sending.

use quadrant_suite::histogram::Histogram;

const QUANTILES: [f64; 5] = [0.99, 0.95, 0.9, 0.8, 0.7];

/// The error of the corrected latency at the worst of a few quantiles, as a share of the freeze;
/// `None` without latencies.
pub fn shape_error(corrected: &Histogram, frozen_ns: u64, window_ns: u64) -> Option<f64> {
    if corrected.is_empty() || frozen_ns == 0 {
        return None;
    }
    QUANTILES
        .iter()
        .filter_map(|quantile| {
            let waits_ns = frozen_ns as f64 - (1.0 - quantile) * window_ns as f64;
            // Latencies near zero are not caused by the freeze alone.
            (waits_ns > 0.1 * frozen_ns as f64).then(|| {
                let seen = corrected.quantile(*quantile) as f64;
                (seen - waits_ns).abs() / frozen_ns as f64
            })
        })
        .reduce(f64::max)
}

/// The difference between the share of requests that took no longer than `fast_ns` and the share
/// that the freeze must leave.
pub fn fast_share_error(
    corrected: &Histogram,
    frozen_ns: u64,
    window_ns: u64,
    fast_ns: u64,
) -> Option<f64> {
    if corrected.is_empty() || window_ns == 0 {
        return None;
    }
    let fast = (0..=1_000)
        .map(|thousandth| f64::from(thousandth) / 1_000.0)
        .take_while(|quantile| corrected.quantile(*quantile) <= fast_ns)
        .last()
        .unwrap_or(0.0);
    // Requests that come due shortly before the freeze's end are fast as well.
    let expected = 1.0 - frozen_ns.saturating_sub(fast_ns) as f64 / window_ns as f64;
    Some((fast - expected).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SEC: u64 = 1_000 * MS;

    /// 1,000 requests a second, 2 s, of which the second one was frozen.
    fn latencies(counts_from_due: bool) -> Histogram {
        let mut histogram = Histogram::default();
        for due in 0..2_000_u64 {
            let waited = if due >= 1_000 { (2_000 - due) * MS } else { 0 };
            // Counted from sending, a single request waits.
            let is_seen = counts_from_due || due == 1_000;
            histogram.record(if is_seen { waited + MS / 10 } else { MS / 10 });
        }
        histogram
    }

    #[test]
    fn latencies_from_the_due_time_have_the_shape() {
        let seen = latencies(true);
        assert!(shape_error(&seen, SEC, 2 * SEC).unwrap() < 0.02);
        assert!(fast_share_error(&seen, SEC, 2 * SEC, MS).unwrap() < 0.01);
    }

    #[test]
    fn coordinated_omission_is_detected() {
        let seen = latencies(false);
        assert!(shape_error(&seen, SEC, 2 * SEC).unwrap() > 0.9);
        assert!(fast_share_error(&seen, SEC, 2 * SEC, MS).unwrap() > 0.45);
        // As is a freeze of half the length given.
        assert!(shape_error(&latencies(true), SEC / 2, 2 * SEC).unwrap() > 0.5);
        assert_eq!(shape_error(&Histogram::default(), SEC, 2 * SEC), None);
    }
}
