//! How sure a mean of few values is: a bootstrap interval, the same on every machine and run.
//!
//! Never draws from the system's randomness: equal records make equal tables.

use crate::statistics::mean;

const RESAMPLES: usize = 2_000;

/// Where the true mean lies in 95 of 100 such experiments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// How sure an interval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sureness {
    Of95,
    Of99,
}

/// The interval of the mean; `None` for fewer than two values.
///
/// Resampling three values can reach no further than the lowest and highest of them, which holds
/// the truth in 75 of 100 cases, not in 95. So the interval is stretched about the mean by what
/// Student's t demands of so few values; with many the factor is 1.
pub fn interval_95(values: &[f64]) -> Option<Interval> {
    interval(values, Sureness::Of95)
}

/// The same, of any sureness there is.
pub fn interval(values: &[f64], sureness: Sureness) -> Option<Interval> {
    let length = values.len();
    if length < 2 {
        return None;
    }
    let centre = mean(values)?;
    let mut random = SplitMix(0x5eed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..length).map(|_| values[random.below(length)]).sum();
            sum / length as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let edge = RESAMPLES * sureness.per_thousand_beyond() / 1000;
    let freedom = length - 1;
    let stretch =
        (length as f64 / freedom as f64).sqrt() * sureness.student_t(freedom) / sureness.normal();
    Some(Interval {
        low: centre + (means[edge] - centre) * stretch,
        high: centre + (means[RESAMPLES - 1 - edge] - centre) * stretch,
    })
}

/// The interval of `mean(new) - mean(base)` of two samples that have nothing to do with each
/// other; `None` unless both have two values. Swapping them mirrors it exactly.
///
/// Each side is drawn again by itself. The interval is symmetric, and stretched by what Student's
/// t demands of the smaller side alone: a little wide where both spread alike, and never too
/// narrow where one spreads more.
pub fn difference_95(base: &[f64], new: &[f64]) -> Option<Interval> {
    let fewest = base.len().min(new.len());
    if fewest < 2 {
        return None;
    }
    // In an order of their own, so that the same numbers are drawn whichever is called new.
    let mut sides = [base, new];
    sides.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let mut random = SplitMix(0x5eed);
    let mut deviation = |values: &[f64], centre: f64| {
        let length = values.len();
        let sum: f64 = (0..length).map(|_| values[random.below(length)]).sum();
        (sum / length as f64 - centre) * (length as f64 / (length - 1) as f64).sqrt()
    };
    let centres = [mean(sides[0])?, mean(sides[1])?];
    let mut apart: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let first = deviation(sides[0], centres[0]);
            (deviation(sides[1], centres[1]) - first).abs()
        })
        .collect();
    apart.sort_by(f64::total_cmp);
    let half = apart[RESAMPLES * 95 / 100] * Sureness::Of95.student_t(fewest - 1)
        / Sureness::Of95.normal();
    let centre = mean(new)? - mean(base)?;
    Some(Interval { low: centre - half, high: centre + half })
}

impl Sureness {
    /// On either side.
    fn per_thousand_beyond(self) -> usize {
        match self {
            Sureness::Of95 => 25,
            Sureness::Of99 => 5,
        }
    }

    /// The point of the normal distribution beyond which that share lies.
    fn normal(self) -> f64 {
        match self {
            Sureness::Of95 => 1.959_964,
            Sureness::Of99 => 2.575_829,
        }
    }

    /// The same of Student's t distribution.
    fn student_t(self, freedom: usize) -> f64 {
        let few: [f64; 10] = match self {
            Sureness::Of95 => {
                [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
            }
            Sureness::Of99 => {
                [63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169]
            }
        };
        if let Some(value) = few.get(freedom.saturating_sub(1)) {
            return *value;
        }
        // The first terms of its expansion in 1/freedom; right to 0.001 from here on.
        let (z, freedom) = (self.normal(), freedom as f64);
        let first = (z.powi(3) + z) / 4.0;
        let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
        let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
        z + (first + (second + third / freedom) / freedom) / freedom
    }
}

/// SplitMix64: eight bytes of state, every one of which is in the seed.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Twelve uniform values make a good enough normal one.
    #[cfg(test)]
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
    }

    /// The bias of the multiplication is below 2^-40 for any number of trials.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_says_nothing() {
        assert_eq!(interval_95(&[]), None);
        assert_eq!(interval_95(&[1.0]), None);
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        let interval = interval_95(&[2.0; 5]).unwrap();
        assert_eq!((interval.low, interval.high), (2.0, 2.0));
    }

    #[test]
    fn equal_values_make_equal_intervals() {
        let values = [1.0, 1.1, 0.9, 1.05];
        assert_eq!(interval_95(&values), interval_95(&values));
    }

    #[test]
    fn the_truth_is_missed_about_five_times_in_a_hundred_however_few_the_values() {
        for length in [2, 3, 5, 10, 20] {
            let mut random = SplitMix(length as u64);
            let missed = (0..400)
                .filter(|_| {
                    let values: Vec<f64> = (0..length).map(|_| random.normal()).collect();
                    !interval_95(&values).unwrap().contains(0.0)
                })
                .count();
            assert!(
                (4..=40).contains(&missed),
                "{missed} of 400 intervals over {length} values missed the truth"
            );
        }
    }

    #[test]
    fn one_in_a_hundred_is_missed_where_that_was_asked_for() {
        let mut random = SplitMix(10);
        let missed = (0..1_000)
            .filter(|_| {
                let values: Vec<f64> = (0..10).map(|_| random.normal()).collect();
                !interval(&values, Sureness::Of99).unwrap().contains(0.0)
            })
            .count();
        assert!((2..=25).contains(&missed), "{missed} of 1,000");
    }

    #[test]
    fn a_difference_is_missed_at_most_five_times_in_a_hundred_however_few_the_values() {
        for (base, new) in [(2, 2), (3, 3), (3, 10), (10, 10)] {
            let mut random = SplitMix(base as u64);
            let missed = (0..400)
                .filter(|_| {
                    // One side spreads three times as much as the other.
                    let base: Vec<f64> = (0..base).map(|_| 7.0 + random.normal()).collect();
                    let new: Vec<f64> = (0..new).map(|_| 9.0 + 3.0 * random.normal()).collect();
                    !difference_95(&base, &new).unwrap().contains(2.0)
                })
                .count();
            assert!(missed <= 32, "{missed} of 400 missed the truth with {base} and {new} values");
        }
    }

    #[test]
    fn one_value_on_either_side_is_no_difference() {
        assert_eq!(difference_95(&[1.0], &[2.0, 3.0]), None);
        assert_eq!(difference_95(&[1.0, 2.0], &[2.0]), None);
        let sure = Interval { low: 1.0, high: 1.0 };
        assert_eq!(difference_95(&[1.0; 3], &[2.0; 2]), Some(sure));
    }

    #[test]
    fn student_meets_its_table() {
        for (freedom, of_95, of_99) in [
            (1, 12.706, 63.657),
            (5, 2.571, 4.032),
            (11, 2.201, 3.106),
            (30, 2.042, 2.750),
            (100, 1.984, 2.626),
        ] {
            assert!((Sureness::Of95.student_t(freedom) - of_95).abs() < 0.002, "{freedom}");
            assert!((Sureness::Of99.student_t(freedom) - of_99).abs() < 0.002, "{freedom}");
        }
    }
}
