//! Duels: subjects that took turns in lock-step, and what their turns say about each other.
//!
//! Never looks at a latency: there is none of a subject that was frozen in between.

mod json;
mod ratio;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::ops::Add;

use serde::{Deserialize, Serialize};

pub use ratio::{Ratio, Verdict, ratio};

use crate::paint::Style;
use crate::record::{AxisValue, Status};

/// What one subject did while the others were frozen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub elapsed_ns: u64,
    pub operations: u64,
    /// How long threads of the subject and of what loads it were ready to run and waited for a
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
}

impl Add for Turn {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (one, two) = (self.thawed, other.thawed);
        Self {
            elapsed_ns: self.elapsed_ns + other.elapsed_ns,
            operations: self.operations + other.operations,
            waited_ns: self.waited_ns + other.waited_ns,
            thawed: Thawed {
                elapsed_ns: one.elapsed_ns + two.elapsed_ns,
                operations: one.operations + two.operations,
                cpu_ns: one.cpu_ns + two.cpu_ns,
                driver_cpu_ns: one.driver_cpu_ns + two.driver_cpu_ns,
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
}

/// One round: what each side did in its two turns, on the way there and back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub sides: Vec<[Turn; 2]>,
}

/// The rounds of processes that were started together: one bout of a duel. Another bout is
/// fought by new processes, whose memory lies elsewhere.
pub type Bout = Vec<Round>;

/// All turns of a side together.
pub fn turns_of(bouts: &[Bout], side: usize) -> Turn {
    let turns = bouts.iter().flatten().flat_map(|round| round.sides[side]);
    turns.fold(Turn::default(), |a, b| a + b)
}

/// One scenario case, fought out.
#[derive(Debug, Clone)]
pub struct DuelCase {
    pub scenario: String,
    pub question: String,
    pub workload: String,
    pub case: Vec<AxisValue>,
    /// `request`, or the name of the tasks that were counted.
    pub operation: String,
    /// Ids; the first one is what the others are compared with.
    pub subjects: Vec<String>,
    pub result: Result<Vec<Bout>, NoResult>,
    pub warnings: Vec<Warning>,
}

/// What makes the ratios less than they seem.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    /// Whom it is about; all of them where there is none.
    pub subject: Option<String>,
    pub text: String,
}

/// Why there are no ratios.
#[derive(Debug, Clone)]
pub struct NoResult {
    /// Whose fault it is, where it is one's.
    pub subject: Option<String>,
    pub status: Status,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
    Markdown,
}

/// Writes one case in a format of texts; JSON wants all of them at once.
pub fn write(
    cases: &[DuelCase],
    concern: f64,
    output: &mut impl Write,
    format: Format,
    style: Style,
) -> io::Result<()> {
    match format {
        Format::Table => output.write_all(table::draw(cases, concern, style).as_bytes()),
        Format::Markdown => output.write_all(table::page(cases, concern).as_bytes()),
        Format::Json => json::write(cases, concern, output),
    }
}

/// 3 when a case could not be measured, 4 when there was nothing to fight, 0 otherwise.
pub fn exit_code(cases: &[DuelCase]) -> u8 {
    let failed = |case: &DuelCase| {
        case.result.as_ref().is_err_and(|none| none.status != Status::Unsupported)
    };
    match cases {
        _ if cases.iter().any(failed) => 3,
        _ if cases.iter().all(|case| case.result.is_err()) => 4,
        _ => 0,
    }
}
