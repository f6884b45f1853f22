//! How the requests of an open loop follow each other: a rate, which may rise or fall within the
//! window, with even or random gaps, or bursts.
//!
//! Never depends on the subject. It says nothing about when a load begins: a
//! [`Schedule`](super::schedule::Schedule) places it in time.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Equal gaps.
    Even(Rate),
    /// Each request is due at a moment that does not depend on the others.
    Poisson(Rate),
    /// `count` requests at one moment, again and again.
    Bursts { count: u32, every_ns: u64 },
}

/// Requests per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Before the window, and at its start.
    pub from: u64,
    /// At the window's end, reached in a straight line.
    pub to: u64,
    /// The length of the window.
    pub over_ns: u64,
}

impl Rate {
    pub fn constant(per_sec: u64) -> Self {
        Self { from: per_sec, to: per_sec, over_ns: 0 }
    }
}

impl Arrivals {
    pub fn even(per_sec: u64) -> Self {
        Arrivals::Even(Rate::constant(per_sec))
    }

    fn rate(self) -> Option<Rate> {
        match self {
            Arrivals::Even(rate) | Arrivals::Poisson(rate) => Some(rate),
            Arrivals::Bursts { .. } => None,
        }
    }

    /// The rate that changes within the window, if one does.
    pub fn ramp(self) -> Option<Rate> {
        self.rate().filter(|rate| rate.from != rate.to)
    }

    /// The same for a window of another length.
    pub fn within(mut self, window_ns: u64) -> Self {
        if let Arrivals::Even(rate) | Arrivals::Poisson(rate) = &mut self {
            rate.over_ns = window_ns;
        }
        self
    }

    /// Requests per second on average over the window.
    pub fn mean_per_sec(self) -> f64 {
        match self {
            Arrivals::Even(Rate { from, to, .. }) | Arrivals::Poisson(Rate { from, to, .. }) => {
                (from as f64).midpoint(to as f64)
            }
            Arrivals::Bursts { count, every_ns } => f64::from(count) * 1e9 / every_ns as f64,
        }
    }

    /// The most that is asked for over any longer time. A burst is due at once, and then there is
    /// time to send it.
    pub fn most_per_sec(self) -> f64 {
        self.rate().map_or_else(|| self.mean_per_sec(), |rate| rate.from.max(rate.to) as f64)
    }

    /// The rate itself where it is the same at every moment.
    pub fn exact_per_sec(self) -> Option<u64> {
        match self {
            Arrivals::Even(rate) if rate.from == rate.to => Some(rate.from),
            _ => None,
        }
    }

    /// The mean time between two moments at which requests are due.
    pub fn interval_ns(self) -> u64 {
        match self {
            Arrivals::Bursts { every_ns, .. } => every_ns,
            _ => (1e9 / self.mean_per_sec()) as u64,
        }
    }
}
