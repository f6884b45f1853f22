//! `quadrant list`: what there is, what would run, and what is unsupported here and why.
//!
//! Never runs a trial; of adapters it only reads their descriptions.

use clap::{Args, ValueEnum};
use quadrant_reports::format::Format;
use quadrant_reports::style::Style;
use quadrant_reports::table::{Cell, Part, Table};
use quadrant_reports::{terminal, visible};
use quadrant_suite::description::RuntimeOption;
use serde::Serialize;
use serde_json::to_string_pretty;

use crate::adapters::subject::{Listed, Subject};
use crate::adapters::version::OPTIONS_MARK;
use crate::commands::arguments;
use crate::commands::failure::Failure;
use crate::commands::run::{CellOptions, Circumstances, PlannedCase};
use crate::commands::selection::{self, ScenarioOptions, Selected, SubjectOptions};
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

#[derive(Debug, Clone, Args)]
pub struct ListOptions {
    #[arg(value_enum, default_value_t)]
    pub what: What,
    #[command(flatten)]
    pub scenarios: ScenarioOptions,
    #[command(flatten)]
    pub subjects: SubjectOptions,
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::TABLE_OR_JSON))]
    pub format: Format,
}

pub fn list(options: &ListOptions) -> Result<u8, Failure> {
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
    let selected = if options.scenarios.specs.is_empty() {
        let specs = paths::specs().map_err(Failure::usage)?;
        let no_folder = || Failure::usage("there is no folder `specs` here; name scenario files");
        selection::load_all(&selection::scenario_files(&specs.ok_or_else(no_folder)?)?)?
    } else {
        options.scenarios.load()?
    };
    let listed = selected.into_iter().map(|Selected { name, scenario, cases }| ListedSpec {
        name,
        question: scenario.question,
        cases: cases.len(),
    });
    let listed: Vec<ListedSpec> = listed.collect();
    print(options.format, &listed, ["scenario", "cases", "question"], |spec| {
        [spec.name.clone(), spec.cases.to_string(), spec.question.clone()]
    })?;
    Ok(0)
}

fn list_subjects(options: &ListOptions) -> Result<u8, Failure> {
    let progress = Progress::new();
    let subjects = options.subjects.find_all(Limits::USUAL, &progress);
    progress.end();
    let listed: Vec<Listed> = subjects?.iter().map(Subject::listed).collect();
    if interrupt::requested() {
        return Ok(interrupt::EXIT_CODE);
    }
    let further = options_table(&listed);
    print_with(
        options.format,
        &listed,
        ["subject", "version", "can", "note"],
        further,
        |subject| {
            let can: Vec<String> = subject.capabilities.iter().map(ToString::to_string).collect();
            let variant = subject.variant.then(|| "variant".to_owned());
            let note = match &subject.reason {
                Some(reason) => Some(format!("not available: {reason}")),
                None => subject.note.clone(),
            };
            let note = variant.into_iter().chain(note).collect::<Vec<_>>().join("; ");
            [subject.id.clone(), subject.version.clone(), can.join(" "), note]
        },
    )?;
    Ok(if listed.is_empty() { 4 } else { 0 })
}

/// What can be set, once for all executors of a runtime that have it; nothing if there is nothing.
fn options_table(listed: &[Listed]) -> Option<Table> {
    let mut rows: Vec<(String, &RuntimeOption, Vec<&str>)> = Vec::new();
    for subject in listed.iter().filter(|it| !it.id.contains(OPTIONS_MARK)) {
        for option in &subject.options {
            let is_it = |row: &&mut (String, &RuntimeOption, Vec<&str>)| {
                row.0 == subject.runtime && row.1 == option
            };
            match rows.iter_mut().find(is_it) {
                Some((_, _, ids)) => ids.push(&subject.id),
                None => rows.push((subject.runtime.clone(), option, vec![&subject.id])),
            }
        }
    }
    let mut table = Table::new(&["option", "values", "default", "what it sets"]);
    for (runtime, option, ids) in &rows {
        let of_runtime =
            listed.iter().filter(|it| it.runtime == *runtime && !it.id.contains(OPTIONS_MARK));
        let has_all = ids.len() == of_runtime.count();
        let pattern = if has_all { &**runtime } else { ids[0] };
        let values = [option.values.to_string(), option.default.clone(), option.meaning.clone()];
        let name = format!("{pattern}?{}=", option.name);
        table.push(name, values.into_iter().map(Cell::words));
    }
    (!rows.is_empty()).then_some(table)
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
    if interrupt::requested() {
        return Ok(interrupt::EXIT_CODE);
    }
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
            let values = case.case.values.iter();
            let values = values.map(|value| format!("{}={}", value.axis, value.value));
            let values = values.collect::<Vec<_>>().join(" ");
            for subject in subjects.iter().filter(|subject| filter.selects(subject)) {
                let reason = subject.listed().reason;
                let reason = reason.or_else(|| subject.unsupported(&case.plan(subject, None)));
                listed.push(ListedCell {
                    scenario: selected.name.clone(),
                    case: values.clone(),
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

fn print<T: Serialize, const N: usize>(
    format: Format,
    items: &[T],
    headings: [&str; N],
    row: impl Fn(&T) -> [String; N],
) -> Result<(), Failure> {
    print_with(format, items, headings, None, row)
}

/// The items in a table, and one more table below it.
fn print_with<T: Serialize, const N: usize>(
    format: Format,
    items: &[T],
    headings: [&str; N],
    further: Option<Table>,
    row: impl Fn(&T) -> [String; N],
) -> Result<(), Failure> {
    let text = if format == Format::Json {
        let text = to_string_pretty(items).map_err(anyhow::Error::new)?;
        visible::text(&text).into_owned() + "\n"
    } else {
        let mut table = Table::new(&headings);
        for item in items {
            let mut cells = row(item).into_iter();
            table.push(cells.next().unwrap_or_default(), cells.map(Cell::words));
        }
        let tables: Vec<Part> = [table].into_iter().chain(further).map(Part::Table).collect();
        terminal::draw(&tables, Style::PLAIN)
    };
    Ok(standard_output::write(&text)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use quadrant_suite::clock::ClockScale;
    use quadrant_suite::description::Capability;

    use super::*;
    use crate::adapters::builds::Build;

    /// A capability that neither a scenario nor a check needs would never be tested.
    #[test]
    fn every_capability_is_needed_somewhere() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let build = Build::usual("", None);
        let any = Subject::broken(build, String::new());
        let circumstances =
            Circumstances { seed: 1, clock: ClockScale::MONOTONIC, cpus: vec![0, 1] };
        let mut needed = BTreeSet::new();
        for selected in selection::load_all(&selection::scenario_files(&specs).unwrap()).unwrap() {
            for index in &selected.cases {
                let options = CellOptions::default();
                let case = PlannedCase::new(&selected, *index, &options, &circumstances);
                needed.extend(case.plan(&any, None).needs());
            }
        }
        needed.extend(quadrant_suite::checks::all().flat_map(|check| check.needs));
        // No plan needs this one: it is what an executor is for, not what it can do.
        needed.insert(Capability::Reference);
        assert_eq!(needed, BTreeSet::from(Capability::ALL));
    }
}
