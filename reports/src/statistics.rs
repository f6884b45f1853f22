//! Plain statistics over a handful of trials.
//!
//! Never drops a value as an outlier: on a noisy machine the spread is the news.

/// `None` of nothing. Not-a-number must not be among the values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(sorted[middle - 1].midpoint(sorted[middle])),
    }
}

pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Half the range relative to the median: every trial lay within about this share of it.
/// `None` for fewer than two values or a median of zero.
pub fn spread(values: &[f64]) -> Option<f64> {
    let median = median(values)?;
    if values.len() < 2 || median <= 0.0 {
        return None;
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some((high - low) / 2.0 / median)
}

/// The mean of ratios: twice as fast and half as fast cancel out. It keeps none of the values, and
/// is zero if any of them is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GeometricMean {
    log_sum: f64,
    count: u64,
}

impl GeometricMean {
    pub fn add(&mut self, value: f64) {
        self.log_sum += value.ln();
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.log_sum / self.count as f64).exp())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometric_mean(values: &[f64]) -> Option<f64> {
        let mut mean = GeometricMean::default();
        values.iter().for_each(|value| mean.add(*value));
        mean.value()
    }

    #[test]
    fn of_nothing_there_is_nothing() {
        assert_eq!(median(&[]), None);
        assert_eq!(mean(&[]), None);
        assert_eq!(spread(&[1.0]), None);
        assert_eq!(spread(&[0.0, 0.0]), None);
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn of_known_sets() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(spread(&[90.0, 100.0, 110.0]), Some(0.1));
        let mean = geometric_mean(&[0.5, 2.0, 1.0]).unwrap();
        assert!((mean - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&[0.0, 2.0]), Some(0.0));
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(1e-6..1e6, 1..20)
    }

    proptest! {
        #[test]
        fn the_geometric_mean_scales_with_its_values(values in values(), scale in 1e-3..1e3_f64) {
            let scaled: Vec<f64> = values.iter().map(|value| value * scale).collect();
            let expected = geometric_mean(&values).unwrap() * scale;
            prop_assert!((geometric_mean(&scaled).unwrap() / expected - 1.0).abs() < 1e-9);
        }

        #[test]
        fn ratios_of_geometric_means_do_not_depend_on_the_scale_of_any_case(
            pairs in prop::collection::vec((1e-3..1e3_f64, 1e-3..1e3_f64, 1e-3..1e3_f64), 1..20),
        ) {
            let mean = |read: fn(&(f64, f64, f64)) -> f64| {
                geometric_mean(&pairs.iter().map(read).collect::<Vec<_>>()).unwrap()
            };
            let plain = mean(|(a, _, _)| *a) / mean(|(_, b, _)| *b);
            let scaled = mean(|(a, _, scale)| a * scale) / mean(|(_, b, scale)| b * scale);
            prop_assert!((plain / scaled - 1.0).abs() < 1e-9);
        }

        #[test]
        fn median_and_spread_do_not_depend_on_the_order(mut values in values()) {
            let before = (median(&values), spread(&values));
            values.reverse();
            prop_assert_eq!(before, (median(&values), spread(&values)));
        }
    }
}
