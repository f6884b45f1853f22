//! The single cases that a figure is made of, and the interval that follows from their number.
//!
//! Cases of several subjects can be pooled: 200 of one subject cannot show that at most one in 200
//! is missed, 3,000 of all of them can. Never assumes a distribution: shares have Wilson's
//! interval, quantiles that of their order statistics.

use crate::interval::Interval;

/// 2.5 % of the normal distribution lie beyond it on either side: intervals hold the truth in 95
/// of 100 cases.
const Z: f64 = 1.959_964;

#[derive(Debug, Clone, PartialEq)]
pub enum Cases {
    /// This many of all.
    Share { hits: u64, of: u64 },
    /// The value that the share `at` of all values does not exceed.
    Quantile { values: Vec<f64>, at: f64 },
    /// A figure whose interval is known, or which is exact.
    Known { value: Option<f64>, interval: Option<Interval>, of: u64 },
}

impl Cases {
    pub fn share(hits: u64, of: u64) -> Self {
        Cases::Share { hits, of }
    }

    pub fn quantile(values: Vec<f64>, at: f64) -> Self {
        Cases::Quantile { values, at }
    }

    /// A figure that is exact, as counts are.
    pub fn exact(value: impl Into<Option<f64>>, of: u64) -> Self {
        Cases::Known { value: value.into(), interval: None, of }
    }

    pub fn count(&self) -> u64 {
        match self {
            Cases::Share { of, .. } | Cases::Known { of, .. } => *of,
            Cases::Quantile { values, .. } => values.len() as u64,
        }
    }

    /// `None` of nothing.
    pub fn value(&self) -> Option<f64> {
        match self {
            Cases::Share { hits, of } => (*of > 0).then(|| *hits as f64 / *of as f64),
            Cases::Quantile { values, at } => quantile(values, *at),
            Cases::Known { value, .. } => *value,
        }
    }

    /// Where the figure of infinitely many such cases lies. An end for which there are too few
    /// cases is infinite.
    pub fn interval(&self) -> Option<Interval> {
        match self {
            Cases::Share { hits, of } => (*of > 0).then(|| wilson(*hits, *of)),
            Cases::Quantile { values, at } => (!values.is_empty()).then(|| by_order(values, *at)),
            Cases::Known { interval, .. } => *interval,
        }
    }

    /// All of them together; `None` if they are not all shares or all quantiles.
    pub fn pooled<'c>(all: impl IntoIterator<Item = &'c Cases>) -> Option<Cases> {
        let mut all = all.into_iter();
        let first = all.next().filter(|first| !matches!(first, Cases::Known { .. }))?.clone();
        all.try_fold(first, |sum, next| match (sum, next) {
            (Cases::Share { hits, of }, Cases::Share { hits: more, of: of_more }) => {
                Some(Cases::share(hits + more, of + of_more))
            }
            (Cases::Quantile { mut values, at }, Cases::Quantile { values: more, .. }) => {
                values.extend(more);
                Some(Cases::Quantile { values, at })
            }
            _ => None,
        })
    }
}

/// The value that the share `at` of all values does not exceed; `None` without values.
pub fn quantile(values: &[f64], at: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() as f64 * at.clamp(0.0, 1.0)).ceil() as usize).max(1);
    sorted.get(rank - 1).copied()
}

fn wilson(hits: u64, of: u64) -> Interval {
    let (n, share) = (of as f64, hits as f64 / of as f64);
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    // Rounding must not move the ends of none and all.
    Interval {
        low: if hits == 0 { 0.0 } else { (centre - half) / whole },
        high: if hits == of { 1.0 } else { (centre + half) / whole },
    }
}

/// The number of values below a quantile is binomial, whatever their distribution.
fn by_order(values: &[f64], at: f64) -> Interval {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let (below, half) = (n * at, Z * (n * at * (1.0 - at)).sqrt());
    let (low, high) = ((below - half).floor(), (below + half).ceil() + 1.0);
    Interval {
        low: if low < 1.0 { f64::NEG_INFINITY } else { sorted[low as usize - 1] },
        high: if high > n { f64::INFINITY } else { sorted[high as usize - 1] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix;

    fn uniform(random: &mut SplitMix) -> f64 {
        random.draw() as f64 / u64::MAX as f64
    }

    #[test]
    fn shares_agree_with_wilsons_table() {
        let of = |hits, of| Cases::share(hits, of).interval().unwrap();
        let (all, half) = (of(200, 200), of(5, 10));
        assert!((all.low - 0.9812).abs() < 1e-4 && all.high == 1.0, "{all:?}");
        assert!((half.low - 0.2366).abs() < 1e-4 && (half.high - 0.7634).abs() < 1e-4, "{half:?}");
        assert_eq!(of(0, 50).low, 0.0);
        assert_eq!(Cases::share(0, 0).interval(), None);
    }

    #[test]
    fn the_truth_is_rarely_outside() {
        let mut random = SplitMix(3);
        let missed = |truth: f64, cases: &Cases| {
            let seen = cases.interval().unwrap();
            u32::from(truth < seen.low || truth > seen.high)
        };
        let (mut shares, mut quantiles) = (0, 0);
        for _ in 0..1_000 {
            let hits = (0..100).filter(|_| uniform(&mut random) < 0.9).count() as u64;
            shares += missed(0.9, &Cases::share(hits, 100));
            let values = (0..200).map(|_| uniform(&mut random)).collect();
            quantiles += missed(0.95, &Cases::quantile(values, 0.95));
        }
        assert!((10..=80).contains(&shares), "{shares} of 1,000");
        assert!((5..=70).contains(&quantiles), "{quantiles} of 1,000");
    }

    #[test]
    fn few_values_leave_one_end_infinite() {
        let of = |count: u32| {
            let values = (1..=count).map(f64::from).collect();
            Cases::quantile(values, 0.95).interval().unwrap()
        };
        assert_eq!(of(20).high, f64::INFINITY);
        assert_eq!((of(200).low, of(200).high), (183.0, 198.0));
    }

    #[test]
    fn cases_of_one_kind_are_pooled() {
        let (one, two) = (Cases::share(1, 2), Cases::share(3, 4));
        assert_eq!(Cases::pooled([&one, &two]), Some(Cases::share(4, 6)));
        let (one, two) = (Cases::quantile(vec![1.0], 0.5), Cases::quantile(vec![2.0], 0.5));
        assert_eq!(Cases::pooled([&one, &two]), Some(Cases::quantile(vec![1.0, 2.0], 0.5)));
        assert_eq!(Cases::pooled([&one, &Cases::share(1, 2)]), None);
        assert_eq!(Cases::pooled([]), None);
        assert_eq!(Cases::pooled([&Cases::exact(1.0, 1)]), None);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.95), Some(19.0));
        assert_eq!(quantile(&values, 0.96), Some(20.0));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
