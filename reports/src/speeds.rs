//! Whether a subject has two speeds, from one start to the next.
//!
//! Never finds them in few starts or in noise: of starts that differ by chance alone, at most one
//! case in a hundred is said to have two.

use crate::statistics::mean;

const STARTS_MIN: usize = 6;
const CLUSTER_MIN: usize = 2;
/// Closer than this two speeds are of no interest.
const APART_MIN: f64 = 0.03;

/// Two speeds as means of logarithms, the lower one first. `None` where it has one, or where it
/// cannot be told.
pub(crate) fn two_speeds(logarithms: &[f64]) -> Option<[f64; 2]> {
    let mut sorted = logarithms.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    if count < STARTS_MIN {
        return None;
    }
    (CLUSTER_MIN..=count - CLUSTER_MIN)
        .filter_map(|cut| {
            let (low, high) = sorted.split_at(cut);
            let gap = high[0] - low[low.len() - 1];
            let within = ((squares(low)? + squares(high)?) / (count - 2) as f64).sqrt();
            let means = [mean(low)?, mean(high)?];
            let is_clear = gap > within * gap_min(count) && means[1] - means[0] > APART_MIN;
            is_clear.then_some((gap / within.max(f64::MIN_POSITIVE), means))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, means)| means)
}

/// In standard deviations within the clusters: what uniform noise exceeds in one case of a
/// hundred, and normal noise more seldom. Of few starts some lie close together by chance.
fn gap_min(count: usize) -> f64 {
    (10.3 * (6.0 / count as f64).powf(1.25)).max(2.8)
}

fn squares(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    Some(values.iter().map(|value| (value - centre).powi(2)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix;

    fn logarithms(ratios: &[f64]) -> Vec<f64> {
        ratios.iter().map(|ratio| ratio.ln()).collect()
    }

    #[test]
    fn two_speeds_are_found() {
        let ratios = [0.80, 0.81, 0.79, 0.89, 0.905, 0.80, 0.895, 0.79, 0.90, 0.805];
        let [low, high] = two_speeds(&logarithms(&ratios)).unwrap().map(f64::exp);
        assert!((low - 0.799).abs() < 0.001 && (high - 0.8975).abs() < 0.001, "{low} {high}");
        let [low, high] = two_speeds(&logarithms(&[18.0, 40.0, 17.5, 17.8, 17.9, 41.0])).unwrap();
        assert!((high - low).exp() > 2.2);
    }

    #[test]
    fn one_slow_start_or_few_starts_or_a_small_gap_are_none() {
        assert_eq!(two_speeds(&logarithms(&[1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 0.5])), None);
        assert_eq!(two_speeds(&logarithms(&[1.0, 1.0, 1.0, 2.0, 2.0])), None);
        assert_eq!(two_speeds(&logarithms(&[1.0, 1.0, 1.0, 1.0, 1.02, 1.02, 1.02])), None);
        assert_eq!(two_speeds(&[1.0; 10]), None);
    }

    #[test]
    fn noise_of_one_speed_is_seldom_taken_for_two() {
        for count in [6, 7, 8, 10, 12, 15, 20, 40] {
            for is_normal in [true, false] {
                let mut random = SplitMix(count);
                let mut draw = || match is_normal {
                    true => random.normal(),
                    false => random.draw() as f64 / u64::MAX as f64,
                };
                let found = (0..1_000)
                    .filter(|_| {
                        let starts: Vec<f64> = (0..count).map(|_| draw()).collect();
                        two_speeds(&starts).is_some()
                    })
                    .count();
                let most = if is_normal { 16 } else { 22 };
                assert!(found <= most, "{found} of 1,000 with {count} starts, normal: {is_normal}");
            }
        }
    }
}
