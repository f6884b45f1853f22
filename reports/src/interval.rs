//! How sure a mean of few values is: intervals by Student's t distribution that hold the truth in
//! 99 of 100 such experiments.
//!
//! 99 and not 95, because a run compares many pairs: with 95, every twentieth comparison of a
//! subject with its copy would show a difference. Never resamples: three values are too few for it.

use serde::Serialize;

use crate::statistics::mean;

/// From the lowest to the highest value that the truth may have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// A mean, and how far from it the truth may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub value: f64,
    /// `None` of a single value.
    pub half_width: Option<f64>,
}

/// The mean of values that are independent of each other; `None` of nothing.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let half_width = |error: Error| error.variance.sqrt() * student_t(error.freedom);
    Some(Estimate { value: mean(values)?, half_width: error(values).map(half_width) })
}

/// So many values a side make Welch's degrees of freedom good enough.
const WELCH_MIN: f64 = 6.0;

/// `mean(of) - mean(to)` of two samples that have nothing to do with each other, by Welch's test:
/// either may spread more than the other.
pub fn estimate_difference(of: &[f64], to: &[f64]) -> Option<Estimate> {
    let half_width = error(of).zip(error(to)).map(|(of, to)| {
        let variance = of.variance + to.variance;
        let share = |one: &Error| one.variance * one.variance / one.freedom;
        let fewest = of.freedom.min(to.freedom);
        let freedom = match share(&of) + share(&to) {
            // Few values may agree by chance, which would make the other side's count.
            shares if fewest + 1.0 < WELCH_MIN || shares == 0.0 => fewest,
            shares => variance * variance / shares,
        };
        variance.sqrt() * student_t(freedom)
    });
    Some(Estimate { value: mean(of)? - mean(to)?, half_width })
}

/// Of a mean.
struct Error {
    variance: f64,
    /// Degrees of freedom.
    freedom: f64,
}

fn error(values: &[f64]) -> Option<Error> {
    let (count, centre) = (values.len() as f64, mean(values)?);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    let freedom = count - 1.0;
    (values.len() >= 2).then(|| Error { variance: squares / freedom / count, freedom })
}

/// The point of Student's t distribution beyond which half a per cent lies on either side.
fn student_t(freedom: f64) -> f64 {
    const FEW: [f64; 10] = [63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169];
    /// The same point of the normal distribution.
    const NORMAL: f64 = 2.575_829;
    // Welch's degrees of freedom need not be whole; fewer are the cautious choice.
    let freedom = freedom.floor().max(1.0);
    if let Some(value) = FEW.get(freedom as usize - 1) {
        return *value;
    }
    // The first terms of its expansion in 1/freedom; right to 0.001 from here on.
    let z = NORMAL;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + (first + (second + third / freedom) / freedom) / freedom
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix;

    #[test]
    fn one_value_has_no_interval() {
        assert_eq!(estimate(&[]), None);
        assert_eq!(estimate(&[1.0]), Some(Estimate { value: 1.0, half_width: None }));
        assert_eq!(estimate_difference(&[1.0], &[2.0, 3.0]).unwrap().half_width, None);
        assert_eq!(estimate_difference(&[], &[2.0]), None);
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        assert_eq!(estimate(&[2.0; 5]), Some(Estimate { value: 2.0, half_width: Some(0.0) }));
        let sure = Estimate { value: 1.0, half_width: Some(0.0) };
        assert_eq!(estimate_difference(&[2.0; 2], &[1.0; 3]), Some(sure));
    }

    #[test]
    fn the_truth_is_missed_once_in_a_hundred() {
        for length in [2, 3, 5, 10, 20] {
            let mut random = SplitMix(length as u64);
            let missed = (0..2_000)
                .filter(|_| {
                    let values: Vec<f64> = (0..length).map(|_| random.normal()).collect();
                    let found = estimate(&values).unwrap();
                    found.value.abs() > found.half_width.unwrap()
                })
                .count();
            assert!((8..=40).contains(&missed), "{missed} of 2,000 with {length} values");
        }
    }

    #[test]
    fn a_difference_is_missed_once_in_a_hundred() {
        for (of, to) in [(2, 2), (3, 3), (3, 10), (10, 10)] {
            let mut random = SplitMix(of as u64);
            let missed = (0..2_000)
                .filter(|_| {
                    // One side spreads three times as much as the other.
                    let of: Vec<f64> = (0..of).map(|_| 9.0 + 3.0 * random.normal()).collect();
                    let to: Vec<f64> = (0..to).map(|_| 7.0 + random.normal()).collect();
                    let found = estimate_difference(&of, &to).unwrap();
                    (found.value - 2.0).abs() > found.half_width.unwrap()
                })
                .count();
            assert!(missed <= 40, "{missed} of 2,000 with {of} and {to} values");
        }
    }

    #[test]
    fn student_meets_its_table() {
        for (freedom, expected) in
            [(1.0, 63.657), (5.9, 4.032), (11.0, 3.106), (30.0, 2.750), (100.0, 2.626)]
        {
            assert!((student_t(freedom) - expected).abs() < 0.002, "{freedom}");
        }
    }
}
