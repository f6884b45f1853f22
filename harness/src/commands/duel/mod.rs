//! `quadrant duel`: two subjects, or more, in turns.
//!
//! Finds the subjects, measures one case after the other, and prints the result. Never decides what
//! a ratio means; the reports do.

mod case;
mod options;

use std::io;
use std::time::Duration;

use quadrant_reports::duel::{self, DuelCase};
use quadrant_reports::format::Format;
use quadrant_reports::style::Style;

pub use options::{DuelOptions, STARTS};
use quadrant_reports::number::counted;

use crate::adapters::filter::Filter;
use crate::adapters::subject::Subject;
use crate::commands::failure::Failure;
use crate::commands::run::{CellOptions, Circumstances, PlannedCase, Stop, fresh_seed, warnings};
use crate::commands::selection::ScenarioOptions;
use crate::fixtures::FixtureStore;
use crate::system::interrupt;
use crate::system::paths;
use crate::system::{cgroup, clock, cpus, limits};
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;
use crate::trial::Limits;
use case::Case;

/// Measures every case and returns the exit code.
pub fn duel(options: &DuelOptions, color: Color) -> Result<u8, Failure> {
    match measure(options, color) {
        // Git would take the code of an error for that of a bad commit.
        Err(error) if options.bisect => {
            say!("{error}");
            Ok(duel::UNTESTABLE)
        }
        Ok(3 | 4) if options.bisect => Ok(duel::UNTESTABLE),
        code => code,
    }
}

fn measure(options: &DuelOptions, color: Color) -> Result<u8, Failure> {
    limits::raise();
    cgroup::sweep();
    let scenarios =
        ScenarioOptions { specs: options.specs.clone(), axis: options.axis.clone() }.load()?;
    let progress = Progress::new();
    let clock = clock::choose();
    clock.install();
    let circumstances = Circumstances {
        seed: options.seed.unwrap_or_else(fresh_seed),
        clock,
        cpus: cpus::allowed(),
    };
    let cells = CellOptions { workers: options.workers, ..CellOptions::default() };
    for warning in warnings::overridden(&cells, &scenarios) {
        progress.warn(warning);
    }
    let planned = scenarios.iter().flat_map(|selected| {
        let cases = selected.cases.iter();
        cases.map(|&index| PlannedCase::new(selected, index, &cells, &circumstances))
    });
    let (planned, refused): (Vec<PlannedCase>, Vec<PlannedCase>) =
        planned.partition(|case| case.no_turns().is_none());
    refusals(&refused).for_each(|text| progress.warn(text));
    if planned.is_empty() {
        if options.format == Format::Json {
            duel::write(&[], options.threshold(), &mut io::stdout(), Format::Json, Style::PLAIN)?;
        }
        return Ok(4);
    }
    let subjects = named_subjects(options, &progress)?;
    if interrupt::requested() {
        return Ok(interrupt::EXIT_CODE);
    }
    let executable = paths::own_program()?;
    let mut fixtures = FixtureStore::new(paths::temporary());
    announce(options, &planned, &subjects, &progress);
    let mut measured: Vec<DuelCase> = Vec::new();
    for case in &planned {
        let case = Case {
            options,
            executable: &executable,
            planned: case,
            subjects: &subjects,
            seed: circumstances.seed,
        };
        match case.measure(&mut fixtures, &progress) {
            Ok(case) => measured.push(case),
            Err(Stop::Interrupted) => break,
            Err(Stop::Failed(failure)) => return Err(failure),
        }
    }
    progress.end();
    let mut output = Vec::new();
    let style = standard_output::style(color);
    duel::write(&measured, options.threshold(), &mut output, options.format, style)?;
    standard_output::write(&String::from_utf8_lossy(&output))?;
    if interrupt::requested() {
        say!("\nInterrupted after {} of {}", measured.len(), counted(planned.len() as u64, "case"));
        return Ok(interrupt::EXIT_CODE);
    }
    Ok(match options.bisect {
        true => duel::bisect_code(&measured, options.threshold()),
        false => duel::exit_code(&measured),
    })
}

/// One sentence for all cases of a scenario that cannot be frozen for the same reason.
fn refusals<'c>(cases: &'c [PlannedCase<'c>]) -> impl Iterator<Item = String> + 'c {
    let is_same =
        |a: &PlannedCase, b: &PlannedCase| (a.scenario, a.no_turns()) == (b.scenario, b.no_turns());
    cases.chunk_by(is_same).map(|cases| {
        format!(
            "{}: {} cannot be measured in turns, because {}",
            cases[0].scenario,
            counted(cases.len() as u64, "case"),
            cases[0].no_turns().unwrap_or_default()
        )
    })
}

fn announce(
    options: &DuelOptions,
    cases: &[PlannedCase],
    subjects: &[Subject],
    progress: &Progress,
) {
    let starts = cases.len() as u64 * u64::from(options.starts);
    progress.trials(starts);
    let warmups: Duration = cases.iter().map(|case| case.warmup).sum();
    let time =
        options.time() * cases.len() as u32 + warmups * options.starts * subjects.len() as u32;
    progress.warn(format!(
        "{} and {}: some {} s",
        counted(cases.len() as u64, "case"),
        counted(subjects.len() as u64, "subject"),
        time.as_secs().max(1)
    ));
}

/// The subjects in the order of the command line; each name has to match exactly one.
fn named_subjects(options: &DuelOptions, progress: &Progress) -> Result<Vec<Subject>, Failure> {
    let names = options.subjects();
    let filters = names.iter().map(|name| Filter::new(std::slice::from_ref(name), &[]));
    let filters = filters.collect::<Result<Vec<_>, _>>();
    let filters = filters.map_err(|error| Failure::usage(format!("{error:#}")))?;
    let known = options.source.subjects(&filters, Limits::USUAL, progress)?.subjects;
    let only = |(name, filter): (&String, &Filter)| {
        let matching: Vec<&Subject> = known.iter().filter(|it| filter.selects(it)).collect();
        let error = match matching[..] {
            [subject] => return Ok(subject.clone()),
            [] if interrupt::requested() => "interrupted".to_owned(),
            [] => {
                format!("no subject matches `{name}`; `quadrant list subjects` shows what there is")
            }
            _ => {
                let ids: Vec<&str> = matching.iter().map(|subject| subject.id.as_str()).collect();
                format!("`{name}` may be any of {}: name one of them", ids.join(", "))
            }
        };
        Err(Failure::usage(error))
    };
    names.iter().zip(&filters).map(only).collect()
}
