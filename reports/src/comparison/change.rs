//! How one figure changed between two runs, and how sure that is.
//!
//! Never pairs trials: trial 2 of one run and trial 2 of another ran under different conditions.

use serde::Serialize;

use super::metric::Better;
use crate::effect::{self, Effect, Rule};
use crate::interval::{Estimate, Interval, estimate_difference};
use crate::statistics::{mean, median};

/// Changes of less may be called `same`, with their bound, whatever the threshold.
const SAME_MAX: f64 = 0.10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse, and all of the interval lies beyond the threshold.
    Regressed,
    Improved,
    /// All of the interval lies within the threshold, or within the bound that is shown.
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

    pub(super) fn is_change(self) -> bool {
        matches!(self, Verdict::Regressed | Verdict::Improved)
    }
}

/// What the two figures were related to, so that what the machine did between the runs cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The reference, which ran in the same turns.
    Reference,
    /// The median change of the other subjects of the case.
    Others,
    /// Nothing.
    Absolute,
}

/// What one side has of one figure.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Values {
    /// As measured, by start or trial.
    pub absolute: Vec<f64>,
    /// Logarithms of the ratios to the reference, by start. Empty where there is none.
    pub to_reference: Vec<f64>,
}

/// One figure of one cell in two runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// As measured: the means over starts or trials.
    pub base: f64,
    pub new: f64,
    pub basis: Basis,
    pub better: Better,
    scale: Scale,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    /// Of a ratio.
    Logarithm(Effect),
    /// For what may be zero, as stalls: of a difference.
    Plain(Estimate),
}

impl Change {
    /// `None` when a side has no such figure. `is_one_reference`: both runs had the same one.
    pub(super) fn new(
        base: &Values,
        new: &Values,
        better: Better,
        is_one_reference: bool,
    ) -> Option<Self> {
        let (base_mean, new_mean) = (mean(&base.absolute)?, mean(&new.absolute)?);
        let of = |scale, basis| Change { base: base_mean, new: new_mean, basis, better, scale };
        let by_ratio = |new: &[f64], base: &[f64]| {
            estimate_difference(new, base).map(Effect::of_logarithms).map(Scale::Logarithm)
        };
        if is_one_reference && let Some(scale) = by_ratio(&new.to_reference, &base.to_reference) {
            return Some(of(scale, Basis::Reference));
        }
        let scale = if base.absolute.iter().chain(&new.absolute).all(|value| *value > 0.0) {
            let logarithms = |values: &[f64]| values.iter().map(|v| v.ln()).collect::<Vec<_>>();
            by_ratio(&logarithms(&new.absolute), &logarithms(&base.absolute))?
        } else {
            Scale::Plain(estimate_difference(&new.absolute, &base.absolute)?)
        };
        Some(of(scale, Basis::Absolute))
    }

    /// The change that is left if what changed in the other subjects of the case is the machine's.
    pub(super) fn beside(self, others: &[Change]) -> Self {
        let logs: Vec<Estimate> = others.iter().filter_map(|other| other.log()).collect();
        let halves: Option<Vec<f64>> = logs.iter().map(|log| log.half_width).collect();
        let values: Vec<f64> = logs.iter().map(|log| log.value).collect();
        let machine = median(&values).zip(halves.as_deref().and_then(median));
        let (Some(own), Some((machine, half))) = (self.log(), machine) else { return self };
        // A median of normal values is a quarter less sure than their mean.
        let half = 1.25 * half / (values.len() as f64).sqrt();
        let half_width = own.half_width.map(|own| own.hypot(half));
        let log = Estimate { value: own.value - machine, half_width };
        let scale = Scale::Logarithm(Effect::of_logarithms(log));
        Self { scale, basis: Basis::Others, ..self }
    }

    /// `None` of what may be zero.
    fn effect(&self) -> Option<&Effect> {
        match &self.scale {
            Scale::Logarithm(effect) => Some(effect),
            Scale::Plain(_) => None,
        }
    }

    fn log(&self) -> Option<Estimate> {
        Some(self.effect()?.log())
    }

    /// `new / base`; `None` when only the base is zero.
    pub fn ratio(&self) -> Option<f64> {
        match self.scale {
            Scale::Logarithm(effect) => Some(effect.ratio()),
            Scale::Plain(_) if self.base == self.new => Some(1.0),
            Scale::Plain(_) => (self.base > 0.0).then(|| self.new / self.base),
        }
    }

    /// Of the ratio; `None` with a single trial on a side: then nothing is sure.
    pub fn interval(&self) -> Option<Interval> {
        match self.scale {
            Scale::Logarithm(effect) => effect.interval(),
            Scale::Plain(Estimate { value, half_width }) => {
                let half = half_width.filter(|_| self.base > 0.0)?;
                let as_ratio = |difference: f64| (self.base + difference).max(0.0) / self.base;
                Some(Interval { low: as_ratio(value - half), high: as_ratio(value + half) })
            }
        }
    }

    /// Relative to the figure itself.
    pub(super) fn uncertainty(&self) -> Option<f64> {
        self.effect()?.uncertainty()
    }

    /// `threshold` is a share: 0.02 for two per cent.
    pub fn verdict(&self, threshold: f64) -> Verdict {
        let found = match self.scale {
            Scale::Logarithm(effect) => effect.verdict(rule(threshold)),
            Scale::Plain(Estimate { value, half_width }) => {
                let within = threshold * self.base.max(self.new);
                match half_width {
                    None => effect::Verdict::CannotTell,
                    Some(half) if value - half > within => effect::Verdict::More,
                    Some(half) if value + half < -within => effect::Verdict::Less,
                    Some(half) if value.abs() + half <= within => effect::Verdict::Same,
                    Some(_) => effect::Verdict::CannotTell,
                }
            }
        };
        match (found, self.better) {
            (effect::Verdict::More, Better::More) | (effect::Verdict::Less, Better::Less) => {
                Verdict::Improved
            }
            (effect::Verdict::More | effect::Verdict::Less, _) => Verdict::Regressed,
            (effect::Verdict::Same, _) => Verdict::Same,
            (effect::Verdict::CannotTell, _) => Verdict::CannotTell,
        }
    }

    /// Of a figure that is the same: by less than this share it may still differ.
    pub fn below(&self, threshold: f64) -> Option<f64> {
        self.effect().filter(|_| self.verdict(threshold) == Verdict::Same)?.below()
    }

    /// The least change that would have been called one, as a share.
    pub fn smallest_visible(&self, threshold: f64) -> Option<f64> {
        self.effect()?.smallest_visible(rule(threshold))
    }
}

fn rule(threshold: f64) -> Rule {
    Rule { negligible: threshold, same: threshold.max(SAME_MAX) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SplitMix;

    const THRESHOLD: f64 = 0.02;

    fn change(base: &[f64], new: &[f64], better: Better) -> Option<Change> {
        let values = |values: &[f64]| Values { absolute: values.to_vec(), ..Values::default() };
        Change::new(&values(base), &values(new), better, false)
    }

    #[track_caller]
    fn check(base: &[f64], new: &[f64], better: Better, expected: Verdict) {
        assert_eq!(change(base, new, better).unwrap().verdict(THRESHOLD), expected);
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
        // Surely different, and by no more than the threshold.
        check(&base, &times(1.01), More, Same);
        check(&base, &[60.0, 140.0, 90.0], More, CannotTell);
        check(&[100.0], &[50.0], More, CannotTell);
        let nearly = change(&base, &times(1.02), More).unwrap();
        assert!((nearly.below(THRESHOLD).unwrap() - 0.024).abs() < 0.002);
    }

    #[test]
    fn what_may_be_zero_is_compared_by_its_difference() {
        use Better::Less;
        use Verdict::{CannotTell, Improved, Regressed, Same};
        check(&[0.0; 3], &[0.0; 3], Less, Same);
        check(&[0.0; 3], &[40.0; 3], Less, Regressed);
        check(&[40.0, 41.0, 39.0], &[0.0; 3], Less, Improved);
        check(&[0.0; 3], &[0.0, 1.0, 0.0], Less, CannotTell);
        let none = change(&[0.0; 3], &[0.0; 3], Less).unwrap();
        assert_eq!((none.ratio(), none.interval()), (Some(1.0), None));
        let from_none = change(&[0.0; 3], &[1.0; 3], Less).unwrap();
        assert_eq!((from_none.ratio(), from_none.interval()), (None, None));
        assert_eq!(change(&[], &[1.0], Less), None);
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
                change(&base, &new, Better::More).unwrap().verdict(THRESHOLD).is_change()
            })
            .count()
    }

    #[test]
    fn a_copy_is_rarely_flagged() {
        for (count, noise) in [(2, 0.03), (3, 0.003), (3, 0.01), (3, 0.1), (5, 0.03), (10, 0.05)] {
            let flagged = flagged(count, 1.0, noise);
            assert!(flagged <= 7, "{flagged} of 500 with {count} trials, noise {noise}");
        }
    }

    #[test]
    fn five_per_cent_slower_is_found() {
        for (count, noise) in [(4, 0.004), (6, 0.008), (10, 0.012)] {
            let flagged = flagged(count, 0.95, noise);
            assert!(flagged >= 475, "{flagged} of 500 with {count} trials, noise {noise}");
        }
    }

    #[test]
    fn what_the_others_did_too_is_the_machine() {
        let all = |factor: f64| {
            let base = [100.0, 100.4, 99.6, 100.2, 99.8, 100.1];
            change(&base, &base.map(|value| value * factor), Better::Less).unwrap()
        };
        let others = [all(1.2), all(1.19), all(1.6), all(1.21)];
        let own = all(1.2).beside(&others);
        assert_eq!((own.verdict(THRESHOLD), own.basis), (Verdict::Same, Basis::Others));
        assert_eq!(all(1.32).beside(&others).verdict(THRESHOLD), Verdict::Regressed);
        assert_eq!(all(1.2).beside(&[]).verdict(THRESHOLD), Verdict::Regressed);
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
            let there = change(&base, &new, Better::More).unwrap();
            let back = change(&new, &base, Better::More).unwrap();
            prop_assert!((there.ratio().unwrap() * back.ratio().unwrap() - 1.0).abs() < 1e-12);
            prop_assert_eq!(mirrored(there.verdict(THRESHOLD)), back.verdict(THRESHOLD));
            if let (Some(there), Some(back)) = (there.interval(), back.interval()) {
                prop_assert!((there.low * back.high - 1.0).abs() < 1e-9);
                prop_assert!((there.high * back.low - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn the_unit_does_not_matter(
            base in prop::collection::vec(1.0..1.2_f64, 2..8),
            new in prop::collection::vec(1.0..1.3_f64, 2..8),
            scale in 1e-6..1e6_f64,
        ) {
            let scaled = |values: &[f64]| values.iter().map(|v| v * scale).collect::<Vec<_>>();
            let plain = change(&base, &new, Better::Less).unwrap();
            let other = change(&scaled(&base), &scaled(&new), Better::Less).unwrap();
            prop_assert!((plain.ratio().unwrap() / other.ratio().unwrap() - 1.0).abs() < 1e-9);
        }
    }
}
