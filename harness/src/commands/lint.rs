//! `quadrant lint`: checks scenarios.
//!
//! Never runs a trial or builds an adapter.

use std::path::Path;

use clap::Args;
use quadrant_reports::number::counted;
use quadrant_reports::visible;

use crate::adapters::discovery::Discovered;
use crate::adapters::filter::Filter;
use crate::commands::failure::Failure;
use crate::commands::selection::{AdapterOptions, ScenarioOptions, unmatched};
use crate::spec;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;
use crate::trial::Limits;

#[derive(Debug, Clone, Args)]
pub struct LintOptions {
    /// Scenario files, folders of them, or names below specs/
    #[arg(value_name = "SPEC", required = true)]
    pub specs: Vec<String>,
}

/// Reports an error of every file, not only of the first one.
pub fn lint(options: &LintOptions) -> Result<u8, Failure> {
    let files = ScenarioOptions { specs: options.specs.clone(), axis: Vec::new() }.files()?;
    let mut wrong = 0;
    let mut subjects = None;
    for file in &files {
        match spec::load(file) {
            Ok(scenario) => {
                let cases = counted(scenario.case_count() as u64, "case");
                let line = format!("{}: {cases}", shown(file));
                standard_output::write(&(visible::line(&line) + "\n"))?;
                if unmatched::names_subjects(&scenario) {
                    let all = subjects.get_or_insert_with(all_subjects);
                    for warning in unmatched::warnings(&shown(file), &scenario, all) {
                        say!("warning: {warning}");
                    }
                }
            }
            Err(error) => {
                wrong += 1;
                say!("{error}\n");
            }
        }
    }
    if wrong > 0 {
        say!("{wrong} of {} with errors", counted(files.len() as u64, "file"));
        return Ok(2);
    }
    Ok(0)
}

/// Those whose adapters are built already; none if there are none, so that no pattern is warned of.
fn all_subjects() -> Discovered {
    let source =
        AdapterOptions { no_build: true, with_test_adapters: true, ..AdapterOptions::default() };
    let progress = Progress::new();
    let all = source.subjects(&[Filter::everything()], Limits::USUAL, &progress);
    progress.end();
    all.unwrap_or_default()
}

fn shown(file: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    file.strip_prefix(here).unwrap_or(file).display().to_string()
}
