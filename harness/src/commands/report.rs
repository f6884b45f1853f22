//! `quadrant report`: the tables of a run again, from its records.
//!
//! Never measures, and never holds more than a few cases, or the cases of a scenario whose axis is the
//! rows of its tables. Its exit code does not repeat the outcome of the run.

use std::io::{self, BufWriter};
use std::iter;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::thread;

use clap::Args;
use quadrant_reports::format::Format;
use quadrant_reports::report::Reporter;

use crate::commands::arguments::{self, TableOptions};
use crate::commands::failure::Failure;
use crate::commands::run::{find_cases, next_case};
use crate::terminal::color::Color;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;

/// Cases that are passed on together: waking the thread that writes takes as long as reading several
/// records.
const TOGETHER: usize = 16;

#[derive(Debug, Clone, Args)]
pub struct ReportOptions {
    /// The folder of a run, or the records.jsonl in it
    #[arg(value_name = "DIR", value_parser = arguments::results_folder())]
    pub folder: PathBuf,
    #[arg(long, default_value = "table", value_parser = arguments::format(&Format::OF_RECORDS))]
    pub format: Format,
    #[command(flatten)]
    pub tables: TableOptions,
}

pub fn report(options: &ReportOptions, color: Color) -> Result<u8, Failure> {
    let view = options.tables.view(options.format)?;
    let mut cases = find_cases(&options.folder)?;
    if cases.is_empty() {
        say!("there are no records in {}", options.folder.display());
        return Ok(4);
    }
    options.tables.check_rows(cases.axes())?;
    let output = BufWriter::new(io::stdout());
    let mut reporter = Reporter::new(output, options.format, standard_output::style(color), view)?;
    // Some are read while those before are written, which takes about as long.
    let (sender, read) = sync_channel(1);
    let written = thread::scope(|scope| {
        scope.spawn(move || {
            let next = || next_case(&options.folder, &mut cases).transpose();
            let mut left = iter::from_fn(next);
            loop {
                let together: Vec<_> = left.by_ref().take(TOGETHER).collect();
                // When nothing more can be written, the channel is closed.
                if together.is_empty() || sender.send(together).is_err() {
                    break;
                }
            }
        });
        for case in read.into_iter().flatten() {
            let case = case?;
            let (run, scenario) = (&case.records[0].run_id, &case.records[0].scenario);
            let mut written = reporter.case(&case.records);
            if case.ends_scenario {
                written = written.and_then(|()| reporter.end_scenario(run, scenario));
            }
            if written.is_err() {
                return Ok(written);
            }
        }
        Ok::<_, Failure>(reporter.finish().map(drop))
    })?;
    standard_output::unless_closed(written)?;
    Ok(0)
}
