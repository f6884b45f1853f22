//! How often a comparison finds what is there, and how often what is not.
//!
//! Bouts are independent of each other, so out of some twenty many a comparison of five can be
//! drawn: each as somebody might have made it. Never judges a comparison in another way than a
//! duel does.

use crate::bootstrap::SplitMix;
use crate::duel::{Bout, Ratio, Turn, Verdict, ratio};
use crate::statistics::mean;

const DRAWN: usize = 400;

/// How a comparison is made by default.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    pub bouts: usize,
    /// Differences up to this share are nobody's concern.
    pub threshold: f64,
}

/// What comparisons of one side with the first come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// The share of comparisons that say faster or slower …
    pub flagged: f64,
    /// … and of those that say slower.
    pub slower: f64,
    /// The standard deviation of their ratios.
    pub spread: f64,
    /// The mean of their ratios.
    pub ratio: f64,
}

/// `None` unless there are more bouts than one comparison takes.
pub fn power(bouts: &[Bout], side: usize, comparison: Comparison) -> Option<Power> {
    if bouts.len() <= comparison.bouts {
        return None;
    }
    let mut random = SplitMix(0x5eed);
    let mut drawn = || -> Vec<Bout> {
        let mut left: Vec<usize> = (0..bouts.len()).collect();
        (0..comparison.bouts)
            .map(|_| bouts[left.swap_remove(random.below(left.len()))].clone())
            .collect()
    };
    let ratios: Vec<Ratio> =
        (0..DRAWN).filter_map(|_| ratio(&drawn(), side, Turn::ops_per_sec)).collect();
    let share = |wanted: &[Verdict]| {
        let found =
            ratios.iter().filter(|ratio| wanted.contains(&ratio.verdict(comparison.threshold)));
        found.count() as f64 / ratios.len() as f64
    };
    let values: Vec<f64> = ratios.iter().map(|ratio| ratio.value).collect();
    let centre = mean(&values)?;
    let squares: Vec<f64> = values.iter().map(|value| (value - centre).powi(2)).collect();
    Some(Power {
        flagged: share(&[Verdict::More, Verdict::Less]),
        slower: share(&[Verdict::Less]),
        spread: mean(&squares)?.sqrt(),
        ratio: centre,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duel::Round;

    const DEFAULT: Comparison = Comparison { bouts: 5, threshold: 0.003 };

    /// Bouts whose second side is `ratio` times as fast, each bout off by some noise of its own.
    fn bouts(ratio: f64, noise: f64) -> Vec<Bout> {
        let mut random = SplitMix(11);
        let turn = |rate: f64| Turn {
            elapsed_ns: 20_000_000,
            operations: (rate * 20_000.0) as u64,
            ..Turn::default()
        };
        (0..20)
            .map(|_| {
                let off = 1.0 + noise * random.normal();
                vec![Round { sides: vec![[turn(1.0); 2], [turn(ratio * off); 2]] }; 3]
            })
            .collect()
    }

    #[test]
    fn a_copy_is_not_flagged_and_a_slowdown_is() {
        let copy = power(&bouts(1.0, 0.002), 1, DEFAULT).unwrap();
        assert!(copy.flagged < 0.05 && copy.spread < 0.003, "{copy:?}");
        let slower = power(&bouts(0.95, 0.002), 1, DEFAULT).unwrap();
        assert!(slower.slower > 0.99 && (slower.ratio - 0.95).abs() < 0.003, "{slower:?}");
        let faster = power(&bouts(1.05, 0.002), 1, DEFAULT).unwrap();
        assert!(faster.slower == 0.0 && faster.flagged > 0.99, "{faster:?}");
    }

    #[test]
    fn what_spreads_too_much_is_not_found() {
        let blurred = power(&bouts(0.99, 0.05), 1, DEFAULT).unwrap();
        assert!(blurred.slower < 0.5 && blurred.spread > 0.01, "{blurred:?}");
    }

    #[test]
    fn a_single_comparison_says_nothing_of_its_kind() {
        assert_eq!(power(&bouts(1.0, 0.0)[..5], 1, DEFAULT), None);
    }
}
