//! `quadrant compare`: two results folders, cell by cell.
//!
//! Never decides what a difference means; the reports do. It reads the runs, and refuses those that
//! differ in more than what is compared.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use quadrant_reports::comparison::{Comparison, Names, Options, Side, better, choices};
use quadrant_reports::format::Format;

use crate::commands::arguments;
use crate::commands::failure::Failure;
use crate::commands::run::{find_cases, next_case, read_run};
use crate::terminal::color::Color;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
regressed and improved: the whole 99 % interval of the ratio lies beyond the threshold.
same (< 4 %): it lies within this bound. cannot tell: more starts or trials help, unless the
noise that a run warned of may explain the change.

Exit codes: 0 nothing regressed, 1 something did, 2 a folder cannot be read or the runs are
unlike, 4 there was nothing to compare")]
pub struct CompareOptions {
    /// The folder of the run before
    #[arg(value_name = "BASE", value_parser = arguments::results_folder())]
    pub base: PathBuf,
    /// The folder of the run after
    #[arg(value_name = "NEW", value_parser = arguments::results_folder())]
    pub new: PathBuf,
    /// Changes up to this many per cent are not flagged
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = arguments::percent)]
    pub threshold: f64,
    /// The figure that decides, by its name in expectations: ops_per_sec, latency.p99 …; without
    /// it CPU time per operation, throughput or p99, whichever is the sharpest in a cell
    #[arg(long, value_name = "NAME", value_parser = metric)]
    pub metric: Option<String>,
    /// Compare runs of other machines, CPUs or scenarios all the same
    #[arg(long)]
    pub force: bool,
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::READABLE))]
    pub format: Format,
}

fn metric(name: &str) -> Result<String, String> {
    match better(name) {
        Some(_) => Ok(name.to_owned()),
        None => {
            Err(format!("no figure of this name gets better or worse; there are {}", choices()))
        }
    }
}

pub fn compare(options: &CompareOptions, color: Color) -> Result<u8, Failure> {
    let unlike = unlike(options)?;
    let wanted = Options { metric: options.metric.clone(), threshold: options.threshold / 100.0 };
    let base = side(&options.base, &wanted)?;
    let new = side(&options.new, &wanted)?;
    let names = Names {
        base: options.base.display().to_string(),
        new: options.new.display().to_string(),
        unlike,
    };
    let comparison = Comparison::of(base, new, wanted);
    let mut output = io::BufWriter::new(io::stdout());
    let written =
        comparison.write(&mut output, options.format, &names, standard_output::style(color));
    standard_output::unless_closed(written.and_then(|()| io::Write::flush(&mut output)))?;
    if comparison.exit_code() == 4 {
        say!("no cell has figures in both runs, so there is nothing to compare");
    }
    Ok(comparison.exit_code())
}

/// The differences between the runs, which `--force` allows.
fn unlike(options: &CompareOptions) -> Result<Vec<String>, Failure> {
    let read =
        |folder: &Path| read_run(folder).map_err(|error| Failure::usage(format!("{error:#}")));
    let differences = read(&options.base)?.differences(&read(&options.new)?);
    if differences.is_empty() || options.force {
        return Ok(differences);
    }
    let list: String = differences.iter().map(|text| format!("  {text}\n")).collect();
    Err(Failure::usage(format!(
        "these runs were not made alike, so that a difference would say little of the subjects:\n\
         {list}--force compares them all the same"
    )))
}

fn side(folder: &Path, options: &Options) -> Result<Side, Failure> {
    let mut cases = find_cases(folder)?;
    let mut side = options.side();
    while let Some(case) = next_case(folder, &mut cases)? {
        side.add(&case.records);
    }
    Ok(side)
}
