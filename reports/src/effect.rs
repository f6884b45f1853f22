//! The ratio of two figures, its interval, and whether the two are the same.
//!
//! One rule for tables, crossovers, `compare` and `duel`. Never gives a verdict without the size of
//! the difference: figures that are the same still have a ratio and an interval.

use serde::Serialize;

use crate::interval::{Estimate, Interval};

/// A ratio, kept as a logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    log: Estimate,
}

/// What an effect shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of the interval lies beyond what is negligible, above 1.
    More,
    /// The same, below 1.
    Less,
    /// All of the interval is close to 1.
    Same,
    /// The interval is too wide, or there is none.
    CannotTell,
}

/// Which differences matter, as shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// A difference up to this share is ignored, however sure it is.
    pub negligible: f64,
    /// Figures that surely differ by less than this share are the same.
    pub same: f64,
}

impl Rule {
    /// For tables and crossovers: 1 % is no reason to choose one subject over another.
    pub const TABLE: Rule = Rule { negligible: 0.01, same: 0.10 };
    /// For latencies, which are known to the width of a histogram's bucket.
    pub const LATENCY: Rule = Rule { negligible: 0.02, ..Rule::TABLE };
}

impl Effect {
    pub(crate) fn of_logarithms(log: Estimate) -> Self {
        Self { log }
    }

    /// Without an interval.
    pub(crate) fn of_ratio(ratio: f64) -> Self {
        Self { log: Estimate { value: ratio.ln(), half_width: None } }
    }

    pub(crate) fn log(&self) -> Estimate {
        self.log
    }

    pub fn ratio(&self) -> f64 {
        self.log.value.exp()
    }

    /// Holds the true ratio in 99 of 100 cases; `None` if there are too few values.
    pub fn interval(&self) -> Option<Interval> {
        let half = self.log.half_width?;
        Some(Interval { low: (self.log.value - half).exp(), high: (self.log.value + half).exp() })
    }

    /// How far the true ratio may be from the one found, as a share of it.
    pub fn uncertainty(&self) -> Option<f64> {
        Some(self.log.half_width?.exp_m1())
    }

    pub fn inverse(self) -> Self {
        Self { log: Estimate { value: -self.log.value, ..self.log } }
    }

    pub fn verdict(&self, rule: Rule) -> Verdict {
        let (Some(half), Some(below)) = (self.log.half_width, self.below()) else {
            return Verdict::CannotTell;
        };
        let beyond = rule.negligible.ln_1p();
        match self.log.value {
            value if value - half > beyond => Verdict::More,
            value if value + half < -beyond => Verdict::Less,
            _ if below <= rule.same => Verdict::Same,
            _ => Verdict::CannotTell,
        }
    }

    /// By no more than this share the two differ. Both sides of 1 count alike: 0.8 is as far from
    /// 1 as 1.25.
    pub fn below(&self) -> Option<f64> {
        Some((self.log.value.abs() + self.log.half_width?).exp_m1())
    }

    /// The verdict, where there is an interval; else what the ratio alone suggests.
    pub fn hint(&self, rule: Rule) -> Verdict {
        match self.log.half_width {
            Some(_) => self.verdict(rule),
            None if self.log.value.is_nan() => Verdict::CannotTell,
            None if self.log.value > rule.negligible.ln_1p() => Verdict::More,
            None if self.log.value < -rule.negligible.ln_1p() => Verdict::Less,
            None => Verdict::Same,
        }
    }

    /// The least difference that would have been called one, as a share.
    pub fn smallest_visible(&self, rule: Rule) -> Option<f64> {
        Some((self.log.half_width? + rule.negligible.ln_1p()).exp_m1())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(ratio: f64, uncertainty: f64) -> Effect {
        Effect::of_logarithms(Estimate { value: ratio.ln(), half_width: Some(uncertainty.ln_1p()) })
    }

    #[test]
    fn every_verdict() {
        let verdict = |ratio, uncertainty| effect(ratio, uncertainty).verdict(Rule::TABLE);
        assert_eq!(verdict(0.79, 0.1), Verdict::Less);
        assert_eq!(verdict(1.3, 0.1), Verdict::More);
        assert_eq!(verdict(0.79, 0.4), Verdict::CannotTell);
        assert_eq!(verdict(0.99, 0.03), Verdict::Same);
        let below = effect(0.99, 0.03).below().unwrap();
        assert!((below - 0.0404).abs() < 1e-4, "{below}");
        // Certainly different, but by too little to matter for a choice.
        assert_eq!(verdict(1.005, 0.001), Verdict::Same);
        assert_eq!(verdict(1.0, 0.12), Verdict::CannotTell);
    }

    #[test]
    fn without_an_interval_there_is_only_a_hint() {
        let half = Effect::of_ratio(0.5);
        assert_eq!(
            (half.verdict(Rule::TABLE), half.hint(Rule::TABLE)),
            (Verdict::CannotTell, Verdict::Less)
        );
        assert_eq!(Effect::of_ratio(0.0).hint(Rule::TABLE), Verdict::Less);
        assert_eq!(Effect::of_ratio(f64::NAN).hint(Rule::TABLE), Verdict::CannotTell);
        assert_eq!(half.interval(), None);
    }

    #[test]
    fn the_inverse_is_as_sure() {
        let there = effect(0.8, 0.05);
        let back = there.inverse();
        assert!((there.ratio() * back.ratio() - 1.0).abs() < 1e-12);
        assert_eq!(
            (there.uncertainty(), back.verdict(Rule::TABLE)),
            (back.uncertainty(), Verdict::More)
        );
    }

    #[test]
    fn what_could_have_been_seen_is_just_seen() {
        let rule = Rule { negligible: 0.02, same: 0.10 };
        let smallest = effect(1.0, 0.03).smallest_visible(rule).unwrap();
        assert_eq!(effect(1.0 + smallest * 1.001, 0.03).verdict(rule), Verdict::More);
        assert_ne!(effect(1.0 + smallest * 0.999, 0.03).verdict(rule), Verdict::More);
    }
}
