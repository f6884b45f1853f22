//! Latency histograms with a fixed number of buckets.
//!
//! Values below 128 ns have a bucket each; above, every power of two is divided into 64 buckets, so
//! a bucket is at most 1.6 % wide.

use std::iter;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

const EXACT: u64 = 128;
const CUTS: u64 = 64;
/// Larger values than 2^42 ns (73 minutes) are counted as this one.
const LARGEST: u64 = 1 << 42;
const BUCKETS: usize = bucket(LARGEST) + 1;

const fn bucket(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let shift = (value.ilog2() - CUTS.ilog2()) as u64;
    (EXACT + (shift - 1) * CUTS + ((value >> shift) - CUTS)) as usize
}

/// The middle of a bucket's range.
fn bucket_value(index: usize) -> u64 {
    let index = index as u64;
    if index < EXACT {
        return index;
    }
    let shift = (index - EXACT) / CUTS + 1;
    let low = ((index - EXACT) % CUTS + CUTS) << shift;
    low + (1 << (shift - 1))
}

/// A histogram of nanoseconds. It holds the buckets from the first to the last that is not empty: a
/// million of them are read for one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    first: usize,
    counts: Vec<u64>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { first: 0, counts: Vec::new(), count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, value_ns: u64) {
        self.add(bucket(value_ns.min(LARGEST)), 1);
        self.count += 1;
        self.sum = self.sum.saturating_add(value_ns);
        self.min = self.min.min(value_ns);
        self.max = self.max.max(value_ns);
    }

    pub fn merge(&mut self, other: &Histogram) {
        for (index, count) in other.filled() {
            self.add(index, count);
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Adds the values of `other` that exceed `floor_ns`, at the precision of its buckets.
    pub fn merge_longer(&mut self, other: &Histogram, floor_ns: u64) {
        for (index, count) in other.filled() {
            let value = bucket_value(index).min(other.max);
            if value > floor_ns {
                self.add(index, count);
                self.count += count;
                self.sum = self.sum.saturating_add(value * count);
                self.min = self.min.min(value);
                self.max = self.max.max(value);
            }
        }
    }

    /// Adds to one bucket. `count` is not 0, so that the first and the last are never empty.
    fn add(&mut self, index: usize, count: u64) {
        if self.counts.is_empty() {
            self.first = index;
        }
        if index < self.first {
            self.counts.splice(0..0, iter::repeat_n(0, self.first - index));
            self.first = index;
        }
        let place = index - self.first;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += count;
    }

    /// The buckets that are not empty, with their counts.
    fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        (self.first..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn sum(&self) -> u64 {
        self.sum
    }

    pub fn min(&self) -> u64 {
        if self.is_empty() { 0 } else { self.min }
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// The smallest value that at least this share of all values does not exceed.
    pub fn quantile(&self, quantile: f64) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let rank = ((self.count as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.filled() {
            seen += count;
            if seen >= rank {
                return bucket_value(index).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    /// Pairs of bucket number and count.
    buckets: Vec<(usize, u64)>,
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let buckets = self.filled().collect();
        Wire { count: self.count, sum: self.sum, min: self.min(), max: self.max, buckets }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let wire = Wire::deserialize(deserializer)?;
        let mut histogram = Histogram::default();
        for (index, count) in wire.buckets {
            if index >= BUCKETS || count == 0 {
                let wrong = format!("histogram bucket {index} does not exist or is empty");
                return Err(D::Error::custom(wrong));
            }
            histogram.count = histogram
                .count
                .checked_add(count)
                .ok_or_else(|| D::Error::custom("histogram counts overflow"))?;
            histogram.add(index, count);
        }
        if histogram.count != wire.count {
            return Err(D::Error::custom("histogram buckets do not add up to its count"));
        }
        histogram.sum = wire.sum;
        if wire.count > 0 {
            histogram.min = wire.min;
            histogram.max = wire.max;
        }
        Ok(histogram)
    }
}

/// A histogram that several threads may record into.
pub(crate) struct SharedHistogram {
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for SharedHistogram {
    fn default() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }
}

impl SharedHistogram {
    pub(crate) fn record(&self, value_ns: u64) {
        self.counts[bucket(value_ns.min(LARGEST))].fetch_add(1, Relaxed);
        self.sum.fetch_add(value_ns, Relaxed);
        // Both bounds are reached early, so a load first avoids most writes.
        if value_ns < self.min.load(Relaxed) {
            self.min.fetch_min(value_ns, Relaxed);
        }
        if value_ns > self.max.load(Relaxed) {
            self.max.fetch_max(value_ns, Relaxed);
        }
    }

    pub(crate) fn add_to(&self, total: &mut Histogram) {
        for (index, count) in self.counts.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                total.add(index, count);
                total.count += count;
            }
        }
        total.sum = total.sum.saturating_add(self.sum.load(Relaxed));
        total.min = total.min.min(self.min.load(Relaxed));
        total.max = total.max.max(self.max.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_narrow() {
        let mut value = 1_u64;
        let mut last = 0;
        while value < LARGEST {
            let index = bucket(value);
            assert!(index >= last, "{value} fell back to bucket {index}");
            let middle = bucket_value(index);
            assert!(
                middle.abs_diff(value) as f64 <= value as f64 * 0.016,
                "{value} is told as {middle}"
            );
            last = index;
            value += 1 + value / 50;
        }
        assert_eq!(bucket(EXACT - 1) + 1, bucket(EXACT));
    }

    #[test]
    fn quantiles_of_a_known_set() {
        let mut histogram = Histogram::default();
        for value in 1..=100 {
            histogram.record(value);
        }
        assert_eq!(histogram.quantile(0.5), 50);
        assert_eq!(histogram.quantile(0.99), 99);
        assert_eq!(histogram.quantile(1.0), 100);
        assert_eq!(histogram.quantile(0.0), 1);
        assert_eq!((histogram.min(), histogram.max(), histogram.mean()), (1, 100, 50));
    }

    #[test]
    fn survives_a_round_trip_and_merges() {
        let mut histogram = Histogram::default();
        for value in [3, 700, 51_234, 9_999_999_999, u64::MAX >> 1] {
            histogram.record(value);
        }
        let text = serde_json::to_string(&histogram).unwrap();
        let back: Histogram = serde_json::from_str(&text).unwrap();
        assert_eq!(back, histogram);
        let mut twice = back.clone();
        twice.merge(&histogram);
        assert_eq!(twice.count(), 10);
        assert_eq!(twice.quantile(0.5), histogram.quantile(0.5));
    }

    #[test]
    fn only_longer_ones_are_taken_over() {
        let (mut histogram, mut other) = (Histogram::default(), Histogram::default());
        histogram.record(50);
        for value in [10, 100, 5_000_000] {
            other.record(value);
        }
        histogram.merge_longer(&other, 50);
        assert_eq!((histogram.count(), histogram.min(), histogram.max()), (3, 50, 5_000_000));
        assert_eq!(histogram.quantile(0.5), 100);
    }

    #[test]
    fn refuses_a_text_that_does_not_add_up() {
        let text = r#"{"count":2,"sum":3,"min":1,"max":2,"buckets":[[1,1]]}"#;
        assert!(serde_json::from_str::<Histogram>(text).is_err());
        let text = r#"{"count":1,"sum":3,"min":1,"max":2,"buckets":[[999999,1]]}"#;
        assert!(serde_json::from_str::<Histogram>(text).is_err());
    }

    #[test]
    fn shared_and_plain_agree() {
        let shared = SharedHistogram::default();
        let mut plain = Histogram::default();
        for value in (0..1_000).map(|i| i * 977) {
            shared.record(value);
            plain.record(value);
        }
        let mut total = Histogram::default();
        shared.add_to(&mut total);
        assert_eq!(total, plain);
    }
}
