//! `quadrant report`: the tables of a run again, from its records.
//!
//! Never measures, and never holds more than the cases that are not complete yet. Its exit code does
//! not repeat the outcome of the run.

use std::io::{self, BufWriter};
use std::path::PathBuf;

use clap::Args;
use quadrant_reports::format::Format;
use quadrant_reports::record::by_case::{ByCase, CaseCounts};
use quadrant_reports::report::Reporter;

use crate::commands::arguments::{self, TableOptions};
use crate::commands::failure::Failure;
use crate::commands::run::each_record;
use crate::terminal::color::Color;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;

#[derive(Debug, Clone, Args)]
pub struct ReportOptions {
    /// The folder of a run, with its records.jsonl
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[arg(long, default_value = "table", value_parser = arguments::format(&Format::ALL))]
    pub format: Format,
    #[command(flatten)]
    pub tables: TableOptions,
}

pub fn report(options: &ReportOptions, color: Color) -> Result<u8, Failure> {
    let view = options.tables.view(options.format)?;
    // Twice over the file: first which case ends where, then the records themselves.
    let mut counts = CaseCounts::default();
    each_record(&options.folder, |record| counts.add(&record))?;
    if counts.cases() == 0 {
        say!("there are no records in {}", options.folder.display());
        return Ok(4);
    }
    let output = BufWriter::new(io::stdout());
    let mut reporter = Reporter::new(output, options.format, standard_output::style(color), view)?;
    let mut by_case = ByCase::new(counts);
    let mut written = Ok(());
    each_record(&options.folder, |record| {
        if let (Some(case), Ok(())) = (by_case.add(record), &written) {
            written = reporter.case(&case);
            if by_case.ends_scenario(&case) && written.is_ok() {
                written = reporter.end_scenario(&case[0].run_id, &case[0].scenario);
            }
        }
    })?;
    for case in by_case.rest() {
        written = written.and_then(|()| reporter.case(&case));
    }
    let written = written.and_then(|()| reporter.finish().map(drop));
    standard_output::unless_closed(written)?;
    Ok(0)
}
