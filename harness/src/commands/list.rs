//! `quadrant list`: what there is, what would run, and what is unsupported here and why.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::to_string_pretty;

use crate::adapters::subject::{Listed, Subject};
use crate::commands::failure::Failure;
use crate::commands::run::{CellOptions, Circumstances, PlannedCase};
use crate::commands::selection;
use crate::commands::selection::{ScenarioOptions, Selected, SubjectOptions};
use crate::spec;
use crate::system;
use crate::system::interrupt;
use crate::system::paths;
use crate::terminal::progress::Progress;
use crate::terminal::standard_output;
use crate::trial::Limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum What {
    /// Scenarios, with their questions
    Specs,
    /// What can be compared on this machine
    #[default]
    Subjects,
    /// Which subject would run which case
    Cells,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ListFormat {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Clone, Args)]
pub struct ListOptions {
    #[arg(value_enum, default_value_t)]
    pub what: What,
    #[command(flatten)]
    pub scenarios: ScenarioOptions,
    #[command(flatten)]
    pub subjects: SubjectOptions,
    #[arg(long, value_enum, default_value_t)]
    pub format: ListFormat,
}

/// For adapters that are only asked what they offer.
pub fn list(options: &ListOptions) -> Result<u8, Failure> {
    interrupt::listen();
    system::limits::raise();
    match options.what {
        What::Specs => list_specs(options),
        What::Subjects => list_subjects(options),
        What::Cells => list_cells(options),
    }
}

#[derive(Serialize)]
struct ListedSpec {
    name: String,
    question: String,
    cases: usize,
}

fn list_specs(options: &ListOptions) -> Result<u8, Failure> {
    let selected =
        if options.scenarios.specs.is_empty() { all_specs()? } else { options.scenarios.load()? };
    let listed: Vec<ListedSpec> = selected
        .into_iter()
        .map(|selected| ListedSpec {
            question: selected.scenario.question.clone(),
            cases: selected.cases.len(),
            name: selected.name,
        })
        .collect();
    print(options.format, &listed, ["scenario", "cases", "question"], |spec| {
        [spec.name.clone(), spec.cases.to_string(), spec.question.clone()]
    })?;
    Ok(0)
}

fn all_specs() -> Result<Vec<Selected>, Failure> {
    let Some(folder) = paths::specs() else {
        return Err(Failure::usage("there is no folder `specs` here; name scenario files"));
    };
    specs_in(&folder)
}

fn specs_in(folder: &Path) -> Result<Vec<Selected>, Failure> {
    let mut selected = Vec::new();
    for path in selection::yaml_files(folder)? {
        let scenario = spec::load(&path).map_err(|error| Failure::usage(error.to_string()))?;
        let name = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        let cases = (0..scenario.case_count()).collect();
        selected.push(Selected { name: name.display().to_string(), scenario, cases });
    }
    Ok(selected)
}

fn list_subjects(options: &ListOptions) -> Result<u8, Failure> {
    let progress = Progress::new();
    let subjects = options.subjects.find_all(Limits::USUAL, &progress);
    progress.end();
    let listed: Vec<Listed> = subjects?.iter().map(Subject::listed).collect();
    print(options.format, &listed, ["subject", "version", "can", "note"], |subject| {
        let can: Vec<String> = subject.capabilities.iter().map(ToString::to_string).collect();
        let variant = subject.variant.then(|| "variant".to_owned());
        let note = match &subject.reason {
            Some(reason) => Some(format!("not available: {reason}")),
            None => subject.note.clone(),
        };
        let note = variant.into_iter().chain(note).collect::<Vec<_>>().join("; ");
        [subject.id.clone(), subject.version.clone(), can.join(" "), note]
    })?;
    Ok(if listed.is_empty() { 4 } else { 0 })
}

#[derive(Serialize)]
struct ListedCell {
    scenario: String,
    case: String,
    subject: String,
    runs: bool,
    reason: Option<String>,
}

fn list_cells(options: &ListOptions) -> Result<u8, Failure> {
    let selected = options.scenarios.load()?;
    let progress = Progress::new();
    let found = options.subjects.find_for(&selected, Limits::USUAL, &progress);
    progress.end();
    let subjects = found?.subjects;
    let circumstances = Circumstances {
        seed: 0,
        clock: quadrant_suite::clock::ClockScale::MONOTONIC,
        cpus: system::cpus::allowed(),
    };
    let cell_options = CellOptions::default();
    let mut listed = Vec::new();
    for selected in &selected {
        let filter = options.subjects.filter_for(&selected.scenario)?;
        for &index in &selected.cases {
            let case = PlannedCase::new(selected, index, &cell_options, &circumstances);
            let values: Vec<String> = case
                .case
                .values
                .iter()
                .map(|value| format!("{}={}", value.axis, value.value))
                .collect();
            for subject in subjects.iter().filter(|subject| filter.selects(subject)) {
                let reason = subject.listed().reason;
                let reason = reason.or_else(|| subject.unsupported(&case.plan(subject, None)));
                listed.push(ListedCell {
                    scenario: selected.name.clone(),
                    case: values.join(" "),
                    subject: subject.id.clone(),
                    runs: reason.is_none(),
                    reason,
                });
            }
        }
    }
    print(options.format, &listed, ["scenario", "case", "subject", "runs"], |cell| {
        let runs =
            cell.reason.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
        [cell.scenario.clone(), cell.case.clone(), cell.subject.clone(), runs]
    })?;
    Ok(if listed.iter().any(|cell| cell.runs) { 0 } else { 4 })
}

/// The list as JSON, or in columns as wide as they have to be.
fn print<T: Serialize, const N: usize>(
    format: ListFormat,
    items: &[T],
    headings: [&str; N],
    row: impl Fn(&T) -> [String; N],
) -> Result<(), Failure> {
    let text = match format {
        ListFormat::Json => {
            let mut text = to_string_pretty(items).map_err(anyhow::Error::new)?;
            text.push('\n');
            text
        }
        ListFormat::Table => {
            let mut builder = tabled::builder::Builder::default();
            builder.push_record(headings);
            for item in items {
                builder.push_record(row(item));
            }
            let mut table = builder.build();
            table.with(tabled::settings::Style::empty());
            table.with(tabled::settings::Padding::new(0, 2, 0, 0));
            table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
        }
    };
    Ok(standard_output::write(&text)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quadrant_suite::clock::ClockScale;
    use quadrant_suite::description::Capability;

    use super::*;
    use crate::adapters::builds::Build;

    /// What an adapter may claim and no scenario asks for is never tried by anybody.
    #[test]
    fn every_capability_is_needed_by_a_scenario() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let build = Build { adapter: String::new(), variant: None, backends: None };
        let nobody = Subject::broken(build, String::new());
        let circumstances =
            Circumstances { seed: 1, clock: ClockScale::MONOTONIC, cpus: vec![0, 1] };
        let mut needed = BTreeSet::new();
        for selected in specs_in(&specs).unwrap() {
            for index in &selected.cases {
                let options = CellOptions::default();
                let case = PlannedCase::new(&selected, *index, &options, &circumstances);
                needed.extend(case.plan(&nobody, None).needs());
            }
        }
        // No plan needs this one: it is what an executor is for, not what it can do.
        needed.insert(Capability::Reference);
        assert_eq!(needed, BTreeSet::from(Capability::ALL));
    }
}
