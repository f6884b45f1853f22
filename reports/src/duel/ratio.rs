//! The ratio of two subjects of a duel, and how sure it is.
//!
//! Never counts rounds of one start as independent: the starts are what is resampled.

use serde::Serialize;

use crate::effect::{Answer, Effect, Rule};
use crate::interval::{Interval, estimate};
use crate::turns::{Start, Turn, log_ratio};

/// A difference of less is not told apart from what the method itself may add.
const NOISE: f64 = 0.001;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of the interval lies above 1 …
    More,
    /// … or below …
    Less,
    /// … or around it, no further than what is negligible.
    Same,
    CannotTell,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    pub value: f64,
    /// Holds the truth in 99 of 100 cases.
    pub interval: Interval,
    effect: Effect,
}

impl Ratio {
    /// `concern` is a share: differences up to it are the same to whoever asks.
    pub fn verdict(&self, concern: f64) -> Verdict {
        match self.effect.answer(Rule { negligible: NOISE, same: concern }) {
            Answer::More => Verdict::More,
            Answer::Less => Verdict::Less,
            Answer::Same { .. } => Verdict::Same,
            Answer::NotTold => Verdict::CannotTell,
        }
    }
}

/// A subject against the first one, by a figure of theirs. `None` when there are too few starts to
/// say how sure it is.
pub fn ratio(starts: &[Start], subject: usize, figure: impl Fn(&Turn) -> f64) -> Option<Ratio> {
    let of_starts: Vec<f64> =
        starts.iter().filter_map(|start| log_ratio(&start[subject], &start[0], &figure)).collect();
    let effect = Effect::of_logarithms(estimate(&of_starts)?);
    Some(Ratio { value: effect.ratio(), interval: effect.interval()?, effect })
}
