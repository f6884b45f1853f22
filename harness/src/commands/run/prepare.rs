//! Prepares a run: reads the scenarios, finds the subjects, opens the folder for the records.
//!
//! Never runs a trial.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use quadrant_reports::format::Format;
use quadrant_reports::report::Reporter;
use quadrant_reports::style::Style;
use quadrant_reports::view::View;

use super::all_cases::{Run, unwritable_report};
use super::behaviours::Behaviours;
use super::ceilings::Ceilings;
use super::options::RunOptions;
use super::planned_case::Circumstances;
use super::results::{self, Results};
use super::run_file::{self, RunFile};
use super::warnings;
use crate::commands::failure::Failure;
use crate::commands::selection::unmatched;
use crate::fixtures::FixtureStore;
use crate::system::interrupt;
use crate::system::paths::{self, Home, Kind};
use crate::system::{cgroup, limits};
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;

/// Runs what was asked for and returns the exit code.
pub fn run(mut options: RunOptions, color: Color) -> Result<u8, Failure> {
    limits::raise();
    cgroup::sweep();
    let resumed = options.resume.as_deref().map(run_file::resume_run).transpose().map_err(usage)?;
    match &resumed {
        Some(run) => options = run.options.clone().resumed(options).map_err(Failure::usage)?,
        None => results::check(&options.out.clone().unwrap_or_else(default_parent))?,
    }
    let mut view = options.tables.view(options.format)?;
    // Specs first: an error there should not come after a build.
    let scenarios = options.scenarios.load()?;
    let axes = scenarios.iter().flat_map(|selected| selected.scenario.axes());
    options.tables.check_rows(axes.map(|axis| axis.name.as_str()))?;
    if resumed.as_ref().is_some_and(|run| run.specs != run_file::digests(&scenarios)) {
        let folder = options.resume.unwrap_or_default();
        return Err(Failure::usage(format!(
            "the scenarios have changed since the run in {} was begun: its records and new ones \
             would not belong together. Begin a new run",
            folder.display()
        )));
    }
    let progress = Progress::new();
    let found = options.subjects.find_for(&scenarios, options.limits(), &progress)?;
    let demanded = options.subjects.find_demanded(&scenarios, options.limits(), &progress)?;
    if interrupt::requested() || found.subjects.is_empty() {
        progress.end();
        report_nothing(options.format)?;
        if interrupt::requested() {
            return Ok(interrupt::EXIT_CODE);
        }
        say!("no subject matches; `quadrant list subjects` shows what there is");
        return Ok(4);
    }
    for warning in warnings::overridden(&options.cells, &scenarios) {
        progress.warn(warning);
    }
    // A choice of subjects leaves others out on purpose.
    if options.subjects.means_all() {
        for selected in &scenarios {
            for warning in unmatched::warnings(&selected.name, &selected.scenario, &found) {
                progress.warn(format!("warning: {warning}"));
            }
        }
    }
    let all = found.subjects.iter().chain(&found.passed_over);
    let references = all.filter(|subject| subject.is_reference()).cloned().collect();

    let executable = paths::own_program()?;
    let run = resumed.unwrap_or_else(|| RunFile::new(&options, &scenarios, &found.subjects));
    let (results, earlier) = match &options.resume {
        Some(folder) => {
            let (results, cases) = Results::reopen(folder).map_err(usage)?;
            (results, Some(cases))
        }
        None => {
            let folder = options.out.clone().unwrap_or_else(|| default_parent().join(&run.run_id));
            view.legend |= io::stdout().is_terminal() && is_first_run(&folder);
            (Results::create(folder, &run)?, None)
        }
    };
    // This process stamps the phases, by the clock that all processes use.
    run.clock.install();
    let reporter =
        Reporter::new(io::stdout(), options.format, standard_output::style(color), view)?;
    let run = Run {
        circumstances: Circumstances { seed: run.seed, clock: run.clock, cpus: run.cpus },
        run_id: run.run_id,
        results,
        earlier,
        fixtures: FixtureStore::new(paths::temporary()),
        ceilings: Ceilings::default(),
        behaviours: Behaviours::of(demanded),
        executable,
        options,
        subjects: found.subjects.into(),
        references,
        progress,
        done: 0,
        planned: 0,
        fault: None,
    };
    run.all_cases(&scenarios, reporter)
}

fn usage(error: anyhow::Error) -> Failure {
    Failure::usage(format!("{error:#}"))
}

/// A report without records is a report in every format.
fn report_nothing(format: Format) -> Result<(), Failure> {
    let reporter = Reporter::new(io::stdout(), format, Style::PLAIN, View::default());
    let reporter = reporter.map_err(unwritable_report)?;
    reporter.finish().map(drop).map_err(unwritable_report)
}

/// Whether there is no other folder beside that of the run.
fn is_first_run(folder: &Path) -> bool {
    let beside = folder.parent().and_then(|parent| fs::read_dir(parent).ok());
    beside.is_none_or(|mut beside| beside.next().is_none())
}

/// Where a run makes its folder unless another one is named.
fn default_parent() -> PathBuf {
    match paths::home() {
        Ok(Some(Home { folder, kind: Kind::Workspace, .. })) => {
            folder.join("target").join("quadrant")
        }
        _ => PathBuf::from("quadrant-results"),
    }
}
