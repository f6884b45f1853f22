//! A subject that stood still for a known time under an open loop: what its latency has to be.
//!
//! Requests go on coming due while it stands still, each waiting for what is left. So the
//! slowest share `freeze / window` of them must take evenly from nothing to the whole freeze:
//! with half of the window frozen, half of the requests are fast, and the middle of the other
//! half takes half of the freeze.

use quadrant_suite::histogram::Histogram;

/// Where the shape is looked at, down from the longest latency.
const QUANTILES: [f64; 5] = [0.99, 0.95, 0.9, 0.8, 0.7];

/// How far the corrected latency is off at the worst of a few quantiles, as a share of the
/// freeze; `None` where there is nothing to look at.
pub fn shape_error(corrected: &Histogram, frozen_ns: u64, window_ns: u64) -> Option<f64> {
    if corrected.is_empty() || frozen_ns == 0 {
        return None;
    }
    QUANTILES
        .iter()
        .filter_map(|quantile| {
            let waits_ns = frozen_ns as f64 - (1.0 - quantile) * window_ns as f64;
            // Near the freeze's end it is its own doing no more.
            (waits_ns > 0.1 * frozen_ns as f64).then(|| {
                let seen = corrected.quantile(*quantile) as f64;
                (seen - waits_ns).abs() / frozen_ns as f64
            })
        })
        .reduce(f64::max)
}

/// The share of requests that took no longer than `fast_ns`, held against what the freeze must
/// leave of them.
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
    // Those that came due shortly before the freeze's end waited no longer than that either.
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
            // Who counts from sending sees one request that waits, and no other.
            let is_seen = counts_from_due || due == 1_000;
            histogram.record(if is_seen { waited + MS / 10 } else { MS / 10 });
        }
        histogram
    }

    #[test]
    fn the_textbook_shape() {
        let seen = latencies(true);
        assert!(shape_error(&seen, SEC, 2 * SEC).unwrap() < 0.02);
        assert!(fast_share_error(&seen, SEC, 2 * SEC, MS).unwrap() < 0.01);
    }

    #[test]
    fn latencies_that_leave_out_what_could_not_be_sent_are_caught() {
        let seen = latencies(false);
        assert!(shape_error(&seen, SEC, 2 * SEC).unwrap() > 0.9);
        assert!(fast_share_error(&seen, SEC, 2 * SEC, MS).unwrap() > 0.45);
        // As is a freeze that was half as long as told.
        assert!(shape_error(&latencies(true), SEC / 2, 2 * SEC).unwrap() > 0.5);
        assert_eq!(shape_error(&Histogram::default(), SEC, 2 * SEC), None);
    }
}
