//! Several copies of one subject that take turns: whether a place among them is dearer.
//!
//! Never compares a place with another place alone: with the mean of all, each has the same noise
//! beside it.

use super::power::Cost;
use crate::effect::Effect;
use crate::interval::{Interval, estimate};
use crate::statistics::mean;
use crate::turns::{Start, Turn, log_ratio};

/// How much dearer a place is than the mean of all places, as a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dearer {
    pub share: f64,
    /// Holds the truth in 99 of 100 cases.
    pub interval: Option<Interval>,
}

/// By place. `None` of a place without a figure.
pub fn dearer(starts: &[Start], cost: Cost) -> Vec<Option<Dearer>> {
    let places = starts.first().map_or(0, Vec::len);
    let figure = |turn: &Turn| cost.of(turn);
    // Each place against the first, less the mean of all of those.
    let of_starts: Vec<Vec<f64>> = starts
        .iter()
        .filter_map(|start| {
            let logs: Option<Vec<f64>> =
                start.iter().map(|turns| log_ratio(turns, &start[0], figure)).collect();
            let logs = logs?;
            let centre = mean(&logs)?;
            Some(logs.into_iter().map(|log| log - centre).collect())
        })
        .collect();
    (0..places)
        .map(|place| {
            let logs: Vec<f64> = of_starts.iter().map(|logs| logs[place]).collect();
            let effect = Effect::of_logarithms(estimate(&logs)?);
            let less_one = |all: Interval| Interval { low: all.low - 1.0, high: all.high - 1.0 };
            Some(Dearer { share: effect.ratio() - 1.0, interval: effect.interval().map(less_one) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix;
    use crate::turns::Thawed;

    fn starts(costs: [f64; 4]) -> Vec<Start> {
        let mut random = SplitMix(5);
        let mut turn = |cost: f64| {
            let cpu_ns = 1e7 * cost * (1.0 + 0.01 * random.normal());
            let thawed = Thawed { operations: 1_000, cpu_ns: cpu_ns as u64, ..Thawed::default() };
            Turn { elapsed_ns: 10_000_000, operations: 1_000, thawed, ..Turn::default() }
        };
        (0..20).map(|_| costs.map(|cost| (0..12).map(|_| turn(cost)).collect()).into()).collect()
    }

    #[test]
    fn copies_differ_by_nothing() {
        for place in dearer(&starts([1.0; 4]), Cost::CpuTime) {
            let Dearer { share, interval } = place.unwrap();
            let interval = interval.unwrap();
            assert!(share.abs() < 0.003 && interval.low < 0.0 && interval.high > 0.0, "{place:?}");
        }
    }

    #[test]
    fn a_dear_place_is_found() {
        let places = dearer(&starts([1.0, 1.0, 1.02, 1.0]), Cost::CpuTime);
        let third = places[2].unwrap();
        assert!((third.share - 0.015).abs() < 0.003, "{third:?}");
        assert!(third.interval.unwrap().low > 0.01, "{third:?}");
        assert!(places[0].unwrap().interval.unwrap().high < 0.0);
    }

    #[test]
    fn of_nothing_there_are_no_places() {
        assert_eq!(dearer(&[], Cost::CpuTime), []);
    }
}
