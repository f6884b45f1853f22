//! Whether a figure, or the ratio of two, is as a scenario says.
//!
//! Never takes what cannot be told for a yes: an interval that holds the bound leaves it open.

use std::convert::identity;

use crate::effect::Effect;
use crate::expectation_text::in_unit;
use crate::interval::{Estimate, Interval, estimate, estimate_difference};
use crate::number;
use crate::record::expectation::{Comparison, Expectation};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    CannotTell,
}

impl Answer {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Answer::No, _) | (_, Answer::No) => Answer::No,
            (Answer::Yes, Answer::Yes) => Answer::Yes,
            _ => Answer::CannotTell,
        }
    }

    pub(super) fn word(self) -> &'static str {
        ["yes", "no", "cannot tell"][self as usize]
    }
}

/// Whether the mean of a figure is as expected, and the mean or why there is none. It is the geometric
/// mean, as in ratios, unless some values are 0.
pub(super) fn figure(values: &[f64], expected: &Expectation) -> (Answer, String) {
    let write = |value| in_unit(&expected.metric, value);
    let are_equal = values.windows(2).all(|pair| pair[0] == pair[1]);
    let estimated = match is_positive(values) && !are_equal {
        true => estimate(&logarithms(values)).map(|it| (it, f64::exp as fn(f64) -> f64)),
        false => estimate(values).map(|it| (it, identity as fn(f64) -> f64)),
    };
    let Some((Estimate { value, half_width }, from_scale)) = estimated else {
        return (Answer::CannotTell, "there are no figures".to_owned());
    };
    let mean = write(from_scale(value));
    let Some(half_width) = half_width else {
        return (Answer::CannotTell, format!("{mean}, of one trial only"));
    };
    // No figure is negative.
    let low = from_scale(value - half_width).max(0.0);
    let interval = Interval { low, high: from_scale(value + half_width) };
    let text = match half_width {
        0.0 => mean,
        _ => format!("{mean} ({}…{})", write(interval.low), write(interval.high)),
    };
    (within(interval, expected), text)
}

/// Whether a ratio is as expected, and the ratio or why there is none.
pub(super) fn ratio([of, to]: [&[f64]; 2], expected: &Expectation) -> (Answer, String) {
    if of.is_empty() || to.is_empty() {
        return (Answer::CannotTell, "there are no figures on both sides".to_owned());
    }
    let is_zero = |values: &[f64]| values.iter().all(|value| *value == 0.0);
    if is_zero(of) && is_positive(to) {
        let answer =
            if expected.comparison.holds(0.0, expected.value) { Answer::Yes } else { Answer::No };
        return (answer, "0×".to_owned());
    }
    if !is_positive(of) || !is_positive(to) {
        return (Answer::CannotTell, "some of the figures are 0".to_owned());
    }
    let Some(difference) = estimate_difference(&logarithms(of), &logarithms(to)) else {
        return (Answer::CannotTell, "there are no figures on both sides".to_owned());
    };
    effect(Effect::of_logarithms(difference), expected)
}

/// The same of a ratio that is known.
pub(super) fn effect(effect: Effect, expected: &Expectation) -> (Answer, String) {
    match effect.interval() {
        None => {
            (Answer::CannotTell, format!("{}, of one trial only", number::ratio(effect.ratio())))
        }
        Some(interval) => {
            let text = number::ratio_and_range(effect.ratio(), interval.low, interval.high);
            (within(interval, expected), text)
        }
    }
}

fn is_positive(values: &[f64]) -> bool {
    values.iter().all(|value| *value > 0.0)
}

fn logarithms(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.ln()).collect()
}

/// Whether all of an interval is as expected, or nothing of it.
fn within(Interval { low, high }: Interval, expected: &Expectation) -> Answer {
    let is = |value| expected.comparison.holds(value, expected.value);
    let (all, some) = match expected.comparison {
        Comparison::AtMost | Comparison::Below => (is(high), is(low)),
        Comparison::AtLeast | Comparison::Above => (is(low), is(high)),
        Comparison::Equal => (is(low) && is(high), (low..=high).contains(&expected.value)),
    };
    match (all, some) {
        (true, _) => Answer::Yes,
        (false, false) => Answer::No,
        (false, true) => Answer::CannotTell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(is: &str) -> Expectation {
        Expectation::parse(is).unwrap()
    }

    #[test]
    fn an_interval_decides_or_leaves_it_open() {
        let near = |centre: f64| [0.98, 1.0, 1.02, 0.99, 1.01].map(|it| it * centre);
        for (centre, is, answer) in [
            (0.4, "ops <= 0.5", Answer::Yes),
            (0.6, "ops <= 0.5", Answer::No),
            (0.5, "ops <= 0.5", Answer::CannotTell),
            (3.0, "ops >= 2", Answer::Yes),
            (1.0, "ops > 2", Answer::No),
        ] {
            let sides = [near(centre * 7.0), near(7.0)];
            assert_eq!(ratio([&sides[0], &sides[1]], &expected(is)).0, answer, "{centre} {is}");
            assert_eq!(figure(&near(centre), &expected(is)).0, answer, "{centre} {is}");
        }
        for (of, to, answer) in [
            (vec![0.0, 0.0], vec![3.0, 4.0], Answer::Yes),
            (vec![0.0, 1.0], vec![3.0, 4.0], Answer::CannotTell),
            (vec![1.0], vec![9.0], Answer::CannotTell),
            (vec![], vec![9.0], Answer::CannotTell),
        ] {
            assert_eq!(ratio([&of, &to], &expected("ops < 1")).0, answer, "{of:?} {to:?}");
        }
    }

    #[test]
    fn equal_figures_decide_by_themselves() {
        for (values, is, answer, text) in [
            (&[2.0, 2.0][..], "threads.peak <= 2", Answer::Yes, "2"),
            (&[2.0, 2.0], "threads.peak = 2", Answer::Yes, "2"),
            (&[0.0, 0.0], "threads.peak = 2", Answer::No, "0"),
            (&[2.0], "threads.peak <= 4", Answer::CannotTell, "2, of one trial only"),
            (&[], "threads.peak <= 4", Answer::CannotTell, "there are no figures"),
            (&[3.0, 2.0, 2.0], "threads.peak = 2", Answer::CannotTell, "2.29 (0.60…8.76)"),
            (&[2.0, 0.0], "stalls.count <= 3", Answer::CannotTell, "1 (0…64.7)"),
            (&[5e6, 5e6], "latency.p50 <= 4000000", Answer::No, "5 ms"),
        ] {
            assert_eq!(figure(values, &expected(is)), (answer, text.to_owned()), "{values:?} {is}");
        }
    }
}
