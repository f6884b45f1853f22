//! How one figure changed between two runs, and how sure that is.
//!
//! Never pairs trials: trial 2 of one run and trial 2 of another met different weather, so each
//! side is resampled by itself.

use serde::Serialize;

use super::metric::Better;
use crate::interval::{Estimate, Interval, estimate_difference};
use crate::statistics::{geometric_mean, mean};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse, and all of the interval lies beyond the threshold.
    Regressed,
    Improved,
    /// All of the interval lies within the threshold.
    Same,
    CannotTell,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Regressed => "regressed",
            Verdict::Improved => "improved",
            Verdict::Same => "same",
            Verdict::CannotTell => "cannot tell",
        }
    }
}

/// One figure of one cell in two runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The means over the trials: geometric ones, unless a trial had none of it.
    pub base: f64,
    pub new: f64,
    /// `new / base`; `None` when only the base is zero.
    pub ratio: Option<f64>,
    /// Of the ratio; `None` with a single trial on a side: then nothing is sure.
    pub interval: Option<Interval>,
    pub verdict: Verdict,
}

/// `threshold` is a share: 0.02 for two per cent. `None` when a side has no such figure.
pub fn change(base: &[f64], new: &[f64], better: Better, threshold: f64) -> Option<Change> {
    if base.is_empty() || new.is_empty() {
        return None;
    }
    let on_a_logarithmic_scale = base.iter().chain(new).all(|value| *value > 0.0);
    if on_a_logarithmic_scale {
        by_ratio(base, new, better, threshold)
    } else {
        by_difference(base, new, better, threshold)
    }
}

fn by_ratio(base: &[f64], new: &[f64], better: Better, threshold: f64) -> Option<Change> {
    let logarithms = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    let (base_mean, new_mean) = (geometric_mean(base)?, geometric_mean(new)?);
    let interval = difference(&logarithms(base), &logarithms(new));
    Some(Change {
        base: base_mean,
        new: new_mean,
        ratio: Some(new_mean / base_mean),
        interval: interval.map(|found| Interval { low: found.low.exp(), high: found.high.exp() }),
        verdict: verdict(interval, threshold.ln_1p(), better),
    })
}

/// For what may be zero, as stalls: means and their difference.
fn by_difference(base: &[f64], new: &[f64], better: Better, threshold: f64) -> Option<Change> {
    let (base_mean, new_mean) = (mean(base)?, mean(new)?);
    let interval = difference(base, new);
    let as_ratio = |difference: f64| (base_mean + difference).max(0.0) / base_mean;
    let from_something = base_mean > 0.0;
    Some(Change {
        base: base_mean,
        new: new_mean,
        ratio: match (base_mean, new_mean) {
            (0.0, 0.0) => Some(1.0),
            _ => from_something.then(|| new_mean / base_mean),
        },
        interval: interval
            .filter(|_| from_something)
            .map(|found| Interval { low: as_ratio(found.low), high: as_ratio(found.high) }),
        verdict: verdict(interval, threshold * base_mean.max(new_mean), better),
    })
}

fn difference(base: &[f64], new: &[f64]) -> Option<Interval> {
    let Estimate { value, half_width } = estimate_difference(new, base)?;
    let half = half_width?;
    Some(Interval { low: value - half, high: value + half })
}

/// `interval` and `within` are on one scale, on which 0 is no change.
fn verdict(interval: Option<Interval>, within: f64, better: Better) -> Verdict {
    let Some(Interval { low, high }) = interval else {
        return Verdict::CannotTell;
    };
    let (more, less) = match better {
        Better::More => (Verdict::Improved, Verdict::Regressed),
        Better::Less => (Verdict::Regressed, Verdict::Improved),
    };
    if low > within {
        more
    } else if high < -within {
        less
    } else if low >= -within && high <= within {
        Verdict::Same
    } else {
        Verdict::CannotTell
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SplitMix;

    const THRESHOLD: f64 = 0.02;

    #[track_caller]
    fn check(base: &[f64], new: &[f64], better: Better, expected: Verdict) {
        assert_eq!(change(base, new, better, THRESHOLD).unwrap().verdict, expected);
    }

    #[test]
    fn clear_cases() {
        use Better::{Less, More};
        use Verdict::{CannotTell, Improved, Regressed, Same};
        let base = [100.0, 100.2, 99.8, 100.1, 99.9];
        let times = |factor: f64| base.map(|value| value * factor);
        check(&base, &times(0.9), More, Regressed);
        check(&base, &times(1.1), More, Improved);
        check(&base, &times(1.1), Less, Regressed);
        check(&base, &times(0.9), Less, Improved);
        check(&base, &times(1.001), More, Same);
        // Surely different, and by no more than anybody cares for.
        check(&base, &times(1.01), More, Same);
        check(&base, &[60.0, 140.0, 90.0], More, CannotTell);
        check(&[100.0], &[50.0], More, CannotTell);
    }

    #[test]
    fn what_may_be_zero_is_compared_by_its_difference() {
        use Better::Less;
        use Verdict::{CannotTell, Improved, Regressed, Same};
        check(&[0.0; 3], &[0.0; 3], Less, Same);
        check(&[0.0; 3], &[40.0; 3], Less, Regressed);
        check(&[40.0, 41.0, 39.0], &[0.0; 3], Less, Improved);
        check(&[0.0; 3], &[0.0, 1.0, 0.0], Less, CannotTell);
        let none = change(&[0.0; 3], &[0.0; 3], Less, THRESHOLD).unwrap();
        assert_eq!((none.ratio, none.interval), (Some(1.0), None));
        let from_none = change(&[0.0; 3], &[1.0; 3], Less, THRESHOLD).unwrap();
        assert_eq!((from_none.ratio, from_none.interval), (None, None));
        assert_eq!(change(&[], &[1.0], Less, THRESHOLD), None);
    }

    fn trials(random: &mut SplitMix, count: usize, truth: f64, noise: f64) -> Vec<f64> {
        (0..count).map(|_| truth * (1.0 + noise * random.normal())).collect()
    }

    /// How many of 500 simulated comparisons were flagged as a change for the worse or better.
    fn flagged(count: usize, factor: f64, noise: f64) -> usize {
        let mut random = SplitMix(count as u64);
        (0..500)
            .filter(|_| {
                let base = trials(&mut random, count, 100_000.0, noise);
                let new = trials(&mut random, count, 100_000.0 * factor, noise);
                let verdict = change(&base, &new, Better::More, THRESHOLD).unwrap().verdict;
                matches!(verdict, Verdict::Regressed | Verdict::Improved)
            })
            .count()
    }

    #[test]
    fn a_subject_against_itself_is_rarely_flagged_whatever_the_noise() {
        for (count, noise) in [(2, 0.03), (3, 0.003), (3, 0.01), (3, 0.1), (5, 0.03), (10, 0.05)] {
            let flagged = flagged(count, 1.0, noise);
            assert!(flagged <= 10, "{flagged} of 500 with {count} trials, noise {noise}");
        }
    }

    #[test]
    fn five_per_cent_slower_is_found() {
        for (count, noise) in [(4, 0.004), (6, 0.008), (10, 0.012)] {
            let flagged = flagged(count, 0.95, noise);
            assert!(flagged >= 475, "{flagged} of 500 with {count} trials, noise {noise}");
        }
    }

    fn mirrored(verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Regressed => Verdict::Improved,
            Verdict::Improved => Verdict::Regressed,
            other => other,
        }
    }

    proptest! {
        #[test]
        fn swapping_the_runs_inverts_the_ratio_and_mirrors_the_verdict(
            base in prop::collection::vec(1.0..1.2_f64, 1..8),
            new in prop::collection::vec(1.0..1.3_f64, 1..8),
        ) {
            let there = change(&base, &new, Better::More, THRESHOLD).unwrap();
            let back = change(&new, &base, Better::More, THRESHOLD).unwrap();
            prop_assert!((there.ratio.unwrap() * back.ratio.unwrap() - 1.0).abs() < 1e-12);
            prop_assert_eq!(mirrored(there.verdict), back.verdict);
            if let (Some(there), Some(back)) = (there.interval, back.interval) {
                prop_assert!((there.low * back.high - 1.0).abs() < 1e-12);
                prop_assert!((there.high * back.low - 1.0).abs() < 1e-12);
            }
        }

        #[test]
        fn the_unit_does_not_matter(
            base in prop::collection::vec(1.0..1.2_f64, 2..8),
            new in prop::collection::vec(1.0..1.3_f64, 2..8),
            scale in 1e-6..1e6_f64,
        ) {
            let scaled = |values: &[f64]| values.iter().map(|v| v * scale).collect::<Vec<_>>();
            let plain = change(&base, &new, Better::Less, THRESHOLD).unwrap();
            let other = change(&scaled(&base), &scaled(&new), Better::Less, THRESHOLD).unwrap();
            prop_assert!((plain.ratio.unwrap() / other.ratio.unwrap() - 1.0).abs() < 1e-9);
        }
    }
}
