//! `quadrant classify`: in which quadrant each operation of each runtime is, by evidence.
//!
//! Never expects an answer: every cell is two experiments in a process of its own.

use std::time::Duration;

use clap::Args;
use quadrant_reports::behaviour::Findings;
use quadrant_reports::format::Format;
use quadrant_suite::checks;

use super::arguments;
use super::check;
use super::failure::Failure;
use super::selection::SubjectOptions;
use crate::adapters::discovery::Purpose;
use crate::system::limits;
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_output;
use crate::trial::Limits;

/// The group of checks whose answers are quadrants.
const GROUP: &str = "quadrants";

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
When does control come back? A thread of the system lets the operation complete once control is
back, or after 250 ms if it is not: what comes back with the result only is blocking.
Does the work go on by itself? The task holds its thread, once computing and once asleep, and from
outside it is seen whether the bytes are read, the connection is accepted, the file is opened.

Exit codes: 0 every operation has its quadrant, 3 one could not be tried, 4 none ran on any subject,
130 interrupted")]
pub struct ClassifyOptions {
    /// Only these operations: globs such as `recv-*`; without one, all
    #[arg(value_name = "OPERATION")]
    operations: Vec<String>,
    #[command(flatten)]
    subjects: SubjectOptions,
    /// What was seen of each operation, for several subjects too
    #[arg(long)]
    evidence: bool,
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::READABLE))]
    format: Format,
}

pub fn classify(options: &ClassifyOptions, color: Color) -> Result<u8, Failure> {
    const SEED: u64 = 1;
    // An operation that never ends answers by itself, sooner than this.
    const LIMIT: Duration = Duration::from_secs(20);
    let groups = checks::GROUPS.iter().filter(|(group, _)| *group == GROUP);
    let wanted = check::wanted(&options.operations, "operation", groups)?;
    limits::raise();
    let progress = Progress::new();
    let subjects = options.subjects.find(Purpose::Checks, Limits::USUAL, &progress)?;
    progress.trials((wanted.len() * subjects.len()) as u64);
    let answers = check::ask(&wanted, &subjects, SEED, LIMIT, &progress, || progress.advance(1))?;
    progress.end();
    let findings = Findings {
        checks: wanted.iter().map(|(group, check)| check::asked(group, check)).collect(),
        subjects: subjects.into_iter().map(|subject| subject.id).collect(),
        answers,
        seed: SEED,
        ..Findings::default()
    };
    let style = standard_output::style(color);
    standard_output::write(&findings.quadrants(options.format, style, options.evidence))?;
    Ok(match findings.each().any(|found| found.is_failure() || found.answer.is_unmeasured()) {
        true => 3,
        false if findings.has_answers() => 0,
        false => 4,
    })
}
