//! `quadrant lint`: checks scenarios and lists of known failures.
//!
//! Never runs a trial or builds an adapter.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use quadrant_reports::number::counted;
use quadrant_reports::visible;

use crate::adapters::discovery::Discovered;
use crate::adapters::filter::Filter;
use crate::commands::failure::Failure;
use crate::commands::selection::{AdapterOptions, ScenarioOptions, unmatched};
use crate::spec::{self, SpecErrors};
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;
use crate::trial::Limits;

#[derive(Debug, Clone, Args)]
pub struct LintOptions {
    /// Scenario files, lists of known failures, folders of them, or names below specs/
    #[arg(value_name = "SPEC", required = true)]
    pub specs: Vec<String>,
}

/// Reports an error of every file, not only of the first one.
pub fn lint(options: &LintOptions) -> Result<u8, Failure> {
    let named = ScenarioOptions { specs: options.specs.clone(), axis: Vec::new() };
    let files = named.files_and_lists()?;
    let mut wrong = 0;
    let mut subjects = Subjects::default();
    for file in &files {
        let linted = match spec::is_list_of_failures(file) {
            true => lint_list(file, &mut subjects),
            false => lint_scenario(file, &mut subjects),
        };
        match linted {
            Ok(Linted { found, warnings }) => {
                let line = format!("{}: {found}", shown(file));
                standard_output::write(&(visible::line(&line) + "\n"))?;
                for warning in warnings {
                    say!("warning: {warning}");
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

/// What a file without mistakes holds.
struct Linted {
    found: String,
    warnings: Vec<String>,
}

fn lint_scenario(file: &Path, subjects: &mut Subjects) -> Result<Linted, SpecErrors> {
    let scenario = spec::load(file)?;
    let warnings = match unmatched::names_subjects(&scenario) {
        true => unmatched::warnings(&shown(file), &scenario, subjects.all()),
        false => Vec::new(),
    };
    Ok(Linted { found: counted(scenario.case_count() as u64, "case"), warnings })
}

fn lint_list(file: &Path, subjects: &mut Subjects) -> Result<Linted, SpecErrors> {
    let declared = spec::load_known(file)?;
    let patterns = declared.iter().flat_map(|entry| &entry.subjects);
    let patterns: BTreeSet<&str> = patterns.map(String::as_str).collect();
    let warnings = unmatched::in_list(&shown(file), &patterns, subjects.all());
    Ok(Linted { found: counted(declared.len() as u64, "known failure"), warnings })
}

/// Asked for when the first file needs them.
#[derive(Default)]
struct Subjects(Option<Discovered>);

impl Subjects {
    fn all(&mut self) -> &Discovered {
        self.0.get_or_insert_with(all_subjects)
    }
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
