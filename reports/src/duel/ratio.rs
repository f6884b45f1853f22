//! The ratio of two subjects of a duel, and how sure it is.
//!
//! Never counts rounds of one start as independent: the starts are what is resampled.

use serde::Serialize;

use crate::bootstrap::{Interval, Sureness, interval};
use crate::statistics::mean;
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

/// A subject against the first one, by a figure of theirs. `None` when there are too few starts to
/// say how sure it is.
pub fn ratio(starts: &[Start], subject: usize, figure: impl Fn(&Turn) -> f64) -> Option<Ratio> {
    let of_starts: Vec<f64> =
        starts.iter().filter_map(|start| log_ratio(&start[subject], &start[0], &figure)).collect();
    let interval = interval(&of_starts, Sureness::Of99)?;
    Some(Ratio {
        value: mean(&of_starts)?.exp(),
        interval: Interval { low: interval.low.exp(), high: interval.high.exp() },
    })
}
