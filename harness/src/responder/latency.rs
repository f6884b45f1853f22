//! How long a backend takes for an answer: a distribution, from which a seed draws.
//!
//! Never reads a clock.

use quadrant_reports::random::SplitMix;
use serde::{Deserialize, Serialize};

/// In nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Latency {
    Fixed(u64),
    Uniform {
        least: u64,
        most: u64,
    },
    /// With this mean.
    Exponential(u64),
    /// Points of the distribution, rising: the share of answers in millionths, and the time in which
    /// they come. Straight lines lie between them; below the first and above the last it is level.
    Quantiles(Vec<(u32, u64)>),
}

const MILLION: f64 = 1e6;

impl Latency {
    pub fn draw(&self, chance: &mut SplitMix) -> u64 {
        // One number for each answer, whatever the distribution; 53 bits, so never 1.
        let share = (chance.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        match self {
            Latency::Fixed(ns) => *ns,
            Latency::Uniform { least, most } => between(*least, *most, share),
            Latency::Exponential(mean) => (-(1.0 - share).ln() * *mean as f64) as u64,
            Latency::Quantiles(points) => quantile(points, share * MILLION),
        }
    }
}

fn between(least: u64, most: u64, share: f64) -> u64 {
    least + (most.saturating_sub(least) as f64 * share).round() as u64
}

fn quantile(points: &[(u32, u64)], at: f64) -> u64 {
    let above = points.partition_point(|(point, _)| f64::from(*point) <= at);
    match (above.checked_sub(1).map(|below| points[below]), points.get(above)) {
        (Some((low, least)), Some((high, most))) => {
            let share = (at - f64::from(low)) / f64::from(high - low);
            between(least, *most, share)
        }
        (Some((_, level)), None) | (None, Some(&(_, level))) => level,
        (None, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrant_suite::histogram::Histogram;

    const MS: u64 = 1_000_000;

    /// The quantiles of many draws, in milliseconds.
    #[track_caller]
    fn check(latency: &Latency, expected: &[(f64, f64)]) {
        let mut chance = SplitMix::new(7, "backend");
        let mut seen = Histogram::default();
        (0..200_000).for_each(|_| seen.record(latency.draw(&mut chance)));
        for (point, ms) in expected {
            let drawn = seen.quantile(*point) as f64 / MS as f64;
            assert!((drawn - ms).abs() <= ms * 0.03, "{latency:?}: {drawn} at {point}, not {ms}");
        }
    }

    #[test]
    fn draws_have_the_distribution_asked_for() {
        check(&Latency::Fixed(10 * MS), &[(0.0, 10.0), (1.0, 10.0)]);
        let uniform = Latency::Uniform { least: 5 * MS, most: 15 * MS };
        check(&uniform, &[(0.0, 5.0), (0.25, 7.5), (0.5, 10.0), (1.0, 15.0)]);
        let exponential = Latency::Exponential(10 * MS);
        check(&exponential, &[(0.5, 6.93), (0.9, 23.03), (0.99, 46.05)]);
        let quantiles = Latency::Quantiles(vec![(500_000, 5 * MS), (990_000, 103 * MS)]);
        check(&quantiles, &[(0.1, 5.0), (0.5, 5.0), (0.745, 54.0), (0.99, 103.0), (1.0, 103.0)]);
    }

    #[test]
    fn a_seed_repeats_its_delays() {
        let latency = Latency::Exponential(MS);
        let drawn = |seed| {
            let mut chance = SplitMix::new(seed, "users");
            (0..20).map(|_| latency.draw(&mut chance)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
