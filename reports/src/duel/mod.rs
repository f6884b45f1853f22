//! Duels: subjects that took turns in lock-step, and the ratios of their turns.
//!
//! Never reads a latency: a subject that is frozen in between has none.

mod json;
mod ratio;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::ops::Add;

use serde::Serialize;

pub use crate::effect::Verdict;
pub use crate::format::Format;
pub use ratio::{Conclusion, Decisive, Ratio, conclusion, ratio};

use crate::record::turns::{Start, Turn, sum};
use crate::record::{AxisValue, Status};
use crate::style::Style;

/// All turns of a subject together, by its place in every start.
pub fn turns_of(starts: &[Start], subject: usize) -> Turn {
    starts.iter().map(|start| sum(&start[subject])).fold(Turn::default(), Add::add)
}

/// One scenario case, measured in turns.
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
    pub result: Result<Vec<Start>, NoResult>,
    pub warnings: Vec<Warning>,
}

/// Something that makes the ratios less reliable.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    /// The subject that it is about; `None` for all.
    pub subject: Option<String>,
    pub text: String,
}

/// Why there are no ratios.
#[derive(Debug, Clone)]
pub struct NoResult {
    /// The subject that caused it, if a single one did.
    pub subject: Option<String>,
    pub status: Status,
    pub reason: String,
}

/// Writes the cases one after the other.
pub fn write(
    cases: &[DuelCase],
    concern: f64,
    output: &mut impl Write,
    format: Format,
    style: Style,
) -> io::Result<()> {
    let json = || json::value(cases, concern);
    output.write_all(format.text(style, || table::parts(cases, concern), json).as_bytes())
}

/// By which `git bisect run` leaves a commit out.
pub const UNTESTABLE: u8 = 125;

/// 1 when a subject is worse than the first in a case, 125 when one cannot be told, 0 otherwise.
pub fn bisect_code(cases: &[DuelCase], concern: f64) -> u8 {
    let conclusions: Vec<Option<Conclusion>> = cases
        .iter()
        .flat_map(|case| {
            let starts = case.result.as_deref().unwrap_or_default();
            (1..case.subjects.len()).map(move |subject| conclusion(starts, subject, concern))
        })
        .collect();
    if conclusions.iter().any(|it| matches!(it, Some(Conclusion::Behind { .. }))) {
        1
    } else if conclusions.iter().any(|it| matches!(it, None | Some(Conclusion::CannotTell))) {
        UNTESTABLE
    } else {
        0
    }
}

/// 3 when a case could not be measured, 4 when nothing could be compared, 0 otherwise.
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
