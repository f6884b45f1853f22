//! How often a comparison finds what is there, and how often what is not.
//!
//! Starts are independent of each other, so out of some thirty many a comparison of ten can be
//! drawn: each as somebody might have made it. Never judges a comparison in another way than a
//! duel does.

use crate::driver_limit::BUSY_MAX;
use crate::duel::{Ratio, Verdict, ratio, turns_of};
use crate::random::SplitMix;
use crate::statistics::mean;
use crate::turns::{Start, Turn};

const DRAWN: usize = 400;

/// What decides between the sides of a duel, as what an operation takes: more of it is slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Where the load driver limits the throughput of a side.
    CpuTime,
    /// Elsewhere: throughput, turned round.
    Time,
}

impl Cost {
    /// As a ranking decides.
    pub fn that_decides(starts: &[Start]) -> Self {
        let sides = starts.first().map_or(0, Vec::len);
        let is_limited = (0..sides).any(|side| turns_of(starts, side).driver_busy() >= BUSY_MAX);
        if is_limited { Cost::CpuTime } else { Cost::Time }
    }

    /// What an operation took.
    pub fn of(self, turn: &Turn) -> f64 {
        match self {
            Cost::CpuTime => turn.cpu_ns_per_op(),
            Cost::Time => 1e9 / turn.ops_per_sec(),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Cost::CpuTime => "CPU time for an operation",
            Cost::Time => "throughput",
        }
    }
}

/// What comparisons of one side with the first come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// The share of comparisons that call a side another than the first …
    pub flagged: f64,
    /// … and of those that call it slower.
    pub slower: f64,
    /// The standard deviation of their ratios.
    pub spread: f64,
    /// The mean of their ratios of what an operation takes.
    pub ratio: f64,
}

/// Of comparisons of so many starts each. Where both sides are `copies` it is chance which is which,
/// so they change places in some of the starts: what is left to flag is chance as well. `None` of
/// fewer than three starts: they say nothing of how others would have been.
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
    // With replacement, as if there were any number of starts like these.
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_spreads_too_much_is_not_found() {
        let blurred = power(&starts(0.99, 0.05), 1, Cost::Time, STARTS, false).unwrap();
        assert!(blurred.slower < 0.5 && blurred.spread > 0.01, "{blurred:?}");
    }

    #[test]
    fn a_busy_driver_leaves_the_cpu_time_to_decide() {
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
    fn two_starts_say_nothing_of_others() {
        assert_eq!(power(&starts(1.0, 0.0)[..2], 1, Cost::Time, STARTS, false), None);
    }
}
