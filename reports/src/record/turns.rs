//! Turns: what one subject did while the others of its case were frozen.
//!
//! Subjects that were alive together took their turns round by round, so turn 3 of one and turn 3
//! of another ran under the same conditions. Never holds a latency: a frozen subject has none.

use std::ops::Add;

use serde::{Deserialize, Serialize};

/// The share of rounds that is left out at either end of a mean: those that a neighbour spoilt.
const TRIMMED: f64 = 0.25;

/// One turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub elapsed_ns: u64,
    pub operations: u64,
    /// How long threads of the subject and of its load driver were ready to run and waited for a
    /// CPU, all added up.
    pub waited_ns: u64,
    pub thawed: Thawed,
}

/// The same from being thawed to being frozen again, the first moments included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thawed {
    pub elapsed_ns: u64,
    pub operations: u64,
    pub cpu_ns: u64,
    /// Of the process that loads it; 0 where there is none.
    pub driver_cpu_ns: u64,
    #[serde(default)]
    pub page_faults: u64,
}

impl Add for Turn {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (one, two) = (self.thawed, other.thawed);
        Self {
            elapsed_ns: self.elapsed_ns.saturating_add(other.elapsed_ns),
            operations: self.operations.saturating_add(other.operations),
            waited_ns: self.waited_ns.saturating_add(other.waited_ns),
            thawed: Thawed {
                elapsed_ns: one.elapsed_ns.saturating_add(two.elapsed_ns),
                operations: one.operations.saturating_add(two.operations),
                cpu_ns: one.cpu_ns.saturating_add(two.cpu_ns),
                driver_cpu_ns: one.driver_cpu_ns.saturating_add(two.driver_cpu_ns),
                page_faults: one.page_faults.saturating_add(two.page_faults),
            },
        }
    }
}

impl Turn {
    pub fn ops_per_sec(&self) -> f64 {
        self.operations as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }

    pub fn cpu_ns_per_op(&self) -> f64 {
        self.thawed.cpu_ns as f64 / self.thawed.operations.max(1) as f64
    }

    /// The share of the time that the load driver was busy.
    pub fn driver_busy(&self) -> f64 {
        self.thawed.driver_cpu_ns as f64 / self.thawed.elapsed_ns.max(1) as f64
    }
}

/// The turns of subjects that were started together, by subject and then by round. Another start
/// has new processes, whose memory lies elsewhere.
pub type Start = Vec<Vec<Turn>>;

pub fn sum(turns: &[Turn]) -> Turn {
    turns.iter().copied().fold(Turn::default(), Add::add)
}

/// The logarithm of `of / to` by a figure of theirs, as a trimmed mean over the rounds that both
/// took part in. `None` where no round has a figure of both.
pub fn log_ratio(of: &[Turn], to: &[Turn], figure: impl Fn(&Turn) -> f64) -> Option<f64> {
    let mut logarithms: Vec<f64> = of
        .iter()
        .zip(to)
        .map(|(of, to)| (figure(of) / figure(to)).ln())
        .filter(|value| value.is_finite())
        .collect();
    logarithms.sort_by(f64::total_cmp);
    let cut = (logarithms.len() as f64 * TRIMMED) as usize;
    let kept = &logarithms[cut..logarithms.len() - cut];
    (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
}
