//! The ratio of two sides of a duel, and how sure it is.
//!
//! Never throws a turn away for being odd: means are trimmed on both ends alike, by a share that
//! is known beforehand.

use serde::Serialize;

use super::{Bout, Turn};
use crate::bootstrap::{Interval, Sureness, interval};
use crate::statistics::mean;

/// The share of turns that is left out at either end: those that a neighbour spoilt.
const TRIMMED: f64 = 0.25;

/// A difference of less is not told apart from what the method itself may add.
const NOISE: f64 = 0.001;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of the interval lies above 1 …
    More,
    /// … or below …
    Less,
    /// … or around it, no further than what is nobody's concern.
    Same,
    CannotTell,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    pub value: f64,
    /// Holds the truth in 99 of 100 cases.
    pub interval: Interval,
}

impl Ratio {
    /// `concern` is a share: differences up to it are the same to whoever asks.
    pub fn verdict(&self, concern: f64) -> Verdict {
        let Interval { low, high } = self.interval;
        let within = |share: f64| low >= 1.0 / (1.0 + share) && high <= 1.0 + share;
        if low > 1.0 + NOISE {
            Verdict::More
        } else if high < 1.0 / (1.0 + NOISE) {
            Verdict::Less
        } else if within(concern) {
            Verdict::Same
        } else {
            Verdict::CannotTell
        }
    }
}

/// `side` against the first one, by a figure of theirs. `None` when there is not enough to say
/// how sure it is.
pub fn ratio(bouts: &[Bout], side: usize, figure: impl Fn(&Turn) -> f64) -> Option<Ratio> {
    let of_bout = |bout: &Bout| {
        let logarithms: Vec<f64> = bout
            .iter()
            .flat_map(|round| round.sides[side].into_iter().zip(round.sides[0]))
            .map(|(turn, first)| (figure(&turn) / figure(&first)).ln())
            .filter(|value| value.is_finite())
            .collect();
        trimmed_mean(logarithms)
    };
    let of_bouts: Vec<f64> = bouts.iter().filter_map(of_bout).collect();
    let interval = interval(&of_bouts, Sureness::Of99)?;
    Some(Ratio {
        value: mean(&of_bouts)?.exp(),
        interval: Interval { low: interval.low.exp(), high: interval.high.exp() },
    })
}

fn trimmed_mean(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let cut = (values.len() as f64 * TRIMMED) as usize;
    mean(&values[cut..values.len() - cut])
}
