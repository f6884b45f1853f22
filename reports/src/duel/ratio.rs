//! The ratio of two subjects of a duel, and how sure it is.
//!
//! Never counts rounds of one start as independent: the starts are what is resampled.

use serde::Serialize;

use super::turns_of;
use crate::effect::{Effect, Rule, Verdict};
use crate::interval::{Interval, estimate};
use crate::record::driver_limit::BUSY_MAX;
use crate::record::turns::{Start, Turn, log_ratio};

/// A difference of less is not told apart from what the method itself may add.
const NOISE: f64 = 0.001;

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
        self.effect.verdict(Rule { negligible: NOISE, same: concern })
    }
}

/// How a subject stands to the first one, and by which figure that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    Ahead { by: Decisive },
    Behind { by: Decisive },
    Same,
    CannotTell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decisive {
    Throughput,
    CpuPerOp,
}

/// Throughput decides, unless the load driver was the limit of either; where it cannot tell, CPU
/// time per operation does.
pub fn conclusion(starts: &[Start], subject: usize, concern: f64) -> Option<Conclusion> {
    let throughput = ratio(starts, subject, Turn::ops_per_sec)?.verdict(concern);
    let cpu = ratio(starts, subject, Turn::cpu_ns_per_op)?.verdict(concern);
    let is_limited = [0, subject].iter().any(|&it| turns_of(starts, it).driver_busy() >= BUSY_MAX);
    let by_cpu = match cpu {
        Verdict::Less => Conclusion::Ahead { by: Decisive::CpuPerOp },
        Verdict::More => Conclusion::Behind { by: Decisive::CpuPerOp },
        Verdict::Same => Conclusion::Same,
        Verdict::CannotTell => Conclusion::CannotTell,
    };
    Some(match throughput {
        _ if is_limited => by_cpu,
        Verdict::More => Conclusion::Ahead { by: Decisive::Throughput },
        Verdict::Less => Conclusion::Behind { by: Decisive::Throughput },
        Verdict::Same if by_cpu == Conclusion::CannotTell => Conclusion::Same,
        Verdict::CannotTell if by_cpu == Conclusion::Same => Conclusion::CannotTell,
        Verdict::Same | Verdict::CannotTell => by_cpu,
    })
}

/// A subject against the first one, by a figure of theirs. `None` when there are too few starts to
/// say how sure it is.
pub fn ratio(starts: &[Start], subject: usize, figure: impl Fn(&Turn) -> f64) -> Option<Ratio> {
    let of_starts: Vec<f64> =
        starts.iter().filter_map(|start| log_ratio(&start[subject], &start[0], &figure)).collect();
    let effect = Effect::of_logarithms(estimate(&of_starts)?);
    Some(Ratio { value: effect.ratio(), interval: effect.interval()?, effect })
}
