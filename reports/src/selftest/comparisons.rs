//! Comparisons whose result is known: how often a comparison flags a difference that is there, and
//! one that is not, and whether a place in the turns costs more.
//!
//! Never judges a comparison in another way than a duel does.

use super::cases::Cases;
use crate::duel::{Ratio, Verdict, ratio, turns_of};
use crate::effect::Effect;
use crate::interval::{Interval, estimate};
use crate::random::SplitMix;
use crate::record::driver_limit::BUSY_MAX;
use crate::record::turns::{Start, Turn, log_ratio};
use crate::statistics::mean;

const DRAWN: usize = 400;

/// The cost of an operation that decides between the sides of a duel; more of it is slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Where the load driver limits the throughput of a side.
    CpuTime,
    /// Elsewhere: the inverse of the throughput.
    Time,
}

impl Cost {
    /// As a ranking decides.
    pub fn that_decides(starts: &[Start]) -> Self {
        let sides = starts.first().map_or(0, Vec::len);
        let is_limited = (0..sides).any(|side| turns_of(starts, side).driver_busy() >= BUSY_MAX);
        if is_limited { Cost::CpuTime } else { Cost::Time }
    }

    /// Per operation of that turn.
    pub fn of(self, turn: &Turn) -> f64 {
        match self {
            Cost::CpuTime => turn.cpu_ns_per_op(),
            Cost::Time => 1e9 / turn.ops_per_sec(),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Cost::CpuTime => "CPU time per operation",
            Cost::Time => "throughput",
        }
    }
}

/// The results of many comparisons of one side with the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// The share of comparisons that call a side different from the first …
    pub flagged: f64,
    /// … and of those that call it slower.
    pub slower: f64,
    /// The standard deviation of the ratios.
    pub spread: f64,
    /// The mean of the ratios of the cost.
    pub ratio: f64,
}

/// Draws many comparisons of `starts_of_one` starts each, with replacement: starts are independent
/// of each other. If both sides are `copies` they change places at random, so that only chance is
/// left to flag. `None` of fewer than three starts: they do not show how much starts vary.
pub fn power(
    starts: &[Start],
    side: usize,
    cost: Cost,
    starts_of_one: usize,
    copies: bool,
) -> Option<Power> {
    if starts.len() < 3 {
        return None;
    }
    let mut random = SplitMix(0x5eed);
    let mut drawn = || -> Vec<Start> {
        let draw = |_| {
            let mut start = starts[random.below(starts.len())].clone();
            if copies && random.below(2) == 1 {
                start.swap(0, side);
            }
            start
        };
        (0..starts_of_one).map(draw).collect()
    };
    let ratios: Vec<Ratio> =
        (0..DRAWN).filter_map(|_| ratio(&drawn(), side, |turn| cost.of(turn))).collect();
    let share = |wanted: &[Verdict]| {
        let found = ratios.iter().filter(|ratio| wanted.contains(&ratio.verdict(0.0)));
        found.count() as f64 / ratios.len() as f64
    };
    let values: Vec<f64> = ratios.iter().map(|ratio| ratio.value).collect();
    let centre = mean(&values)?;
    let squares: Vec<f64> = values.iter().map(|value| (value - centre).powi(2)).collect();
    Some(Power {
        flagged: share(&[Verdict::More, Verdict::Less]),
        slower: share(&[Verdict::More]),
        spread: mean(&squares)?.sqrt(),
        ratio: centre,
    })
}

/// By place, of several copies of one subject that take turns: how much more it costs than the
/// mean of all places, as a share. Never compares single places with each other: the mean of all
/// has the same noise beside each.
pub fn cost_of_places(starts: &[Start], cost: Cost) -> Vec<Cases> {
    let places = starts.first().map_or(0, Vec::len);
    let figure = |turn: &Turn| cost.of(turn);
    // Each place against the first, less the mean of those.
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
    let above_mean = |place| {
        let logs: Vec<f64> = of_starts.iter().map(|logs| logs[place]).collect();
        let effect = estimate(&logs).map(Effect::of_logarithms);
        let less_one = |all: Interval| Interval { low: all.low - 1.0, high: all.high - 1.0 };
        Cases::Known {
            value: effect.map(|effect| effect.ratio() - 1.0),
            interval: effect.and_then(|effect| effect.interval()).map(less_one),
            of: starts.len() as u64,
        }
    };
    (0..places).map(above_mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::turns::Thawed;

    const STARTS: usize = 10;

    /// Starts whose second side is `ratio` times as fast, each start off by some noise of its own.
    fn starts(ratio: f64, noise: f64) -> Vec<Start> {
        let mut random = SplitMix(11);
        let turn = |rate: f64| Turn {
            elapsed_ns: 20_000_000,
            operations: (rate * 20_000.0) as u64,
            ..Turn::default()
        };
        (0..30)
            .map(|_| {
                let off = 1.0 + noise * random.normal();
                vec![vec![turn(1.0); 6], vec![turn(ratio * off); 6]]
            })
            .collect()
    }

    #[test]
    fn a_copy_is_not_flagged_and_a_slowdown_is() {
        let copy = power(&starts(1.0, 0.002), 1, Cost::Time, STARTS, true).unwrap();
        assert!(copy.flagged < 0.05 && copy.spread < 0.003, "{copy:?}");
        let slower = power(&starts(0.95, 0.002), 1, Cost::Time, STARTS, false).unwrap();
        assert!(slower.slower > 0.99 && (slower.ratio - 1.0 / 0.95).abs() < 0.003, "{slower:?}");
        let faster = power(&starts(1.05, 0.002), 1, Cost::Time, STARTS, false).unwrap();
        assert!(faster.slower == 0.0 && faster.flagged > 0.99, "{faster:?}");
    }

    #[test]
    fn a_large_spread_hides_a_slowdown() {
        let blurred = power(&starts(0.99, 0.05), 1, Cost::Time, STARTS, false).unwrap();
        assert!(blurred.slower < 0.5 && blurred.spread > 0.01, "{blurred:?}");
    }

    #[test]
    fn with_a_busy_driver_cpu_time_decides() {
        let mut starts = starts(1.0, 0.0);
        assert_eq!(Cost::that_decides(&starts), Cost::Time);
        for turn in starts.iter_mut().flat_map(|start| &mut start[1]) {
            turn.thawed.elapsed_ns = turn.elapsed_ns;
            turn.thawed.driver_cpu_ns = turn.elapsed_ns * 95 / 100;
        }
        assert_eq!(Cost::that_decides(&starts), Cost::CpuTime);
        assert_eq!(Cost::that_decides(&[]), Cost::Time);
    }

    #[test]
    fn two_starts_are_too_few() {
        assert_eq!(power(&starts(1.0, 0.0)[..2], 1, Cost::Time, STARTS, false), None);
    }

    fn four_places(costs: [f64; 4]) -> Vec<Start> {
        let mut random = SplitMix(5);
        let mut turn = |cost: f64| {
            let cpu_ns = 1e7 * cost * (1.0 + 0.01 * random.normal());
            let thawed = Thawed { operations: 1_000, cpu_ns: cpu_ns as u64, ..Thawed::default() };
            Turn { elapsed_ns: 10_000_000, operations: 1_000, thawed, ..Turn::default() }
        };
        (0..20).map(|_| costs.map(|cost| (0..12).map(|_| turn(cost)).collect()).into()).collect()
    }

    #[test]
    fn copies_cost_the_same() {
        for place in cost_of_places(&four_places([1.0; 4]), Cost::CpuTime) {
            let (share, interval) = (place.value().unwrap(), place.interval().unwrap());
            assert!(share.abs() < 0.003 && interval.low < 0.0 && interval.high > 0.0, "{place:?}");
        }
    }

    #[test]
    fn a_costly_place_is_found() {
        let places = cost_of_places(&four_places([1.0, 1.0, 1.02, 1.0]), Cost::CpuTime);
        let third = &places[2];
        assert!((third.value().unwrap() - 0.015).abs() < 0.003, "{third:?}");
        assert!(third.interval().unwrap().low > 0.01, "{third:?}");
        assert!(places[0].interval().unwrap().high < 0.0);
    }

    #[test]
    fn without_starts_there_are_no_places() {
        assert_eq!(cost_of_places(&[], Cost::CpuTime), []);
    }
}
