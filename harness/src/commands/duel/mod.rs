//! `quadrant duel`: two subjects, or more, in lock-step.
//!
//! Never decides what a ratio means; the reports do. It finds the subjects, fights the cases
//! out one after the other, and writes what came of it.

mod fight;
mod options;

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use quadrant_reports::duel::{self, DuelCase};

pub use options::{DuelOptions, STARTS};

use crate::adapters::filter::Filter;
use crate::adapters::subject::Subject;
use crate::commands::failure::Failure;
use crate::commands::run::{CellOptions, Circumstances, PlannedCase, fresh_seed, overridden};
use crate::commands::selection::ScenarioOptions;
use crate::fixtures::FixtureStore;
use crate::system::interrupt;
use crate::system::paths;
use crate::system::{affinity, clock, limits, orphans, pids_cgroup};
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;
use crate::trial::Limits;
use fight::Fight;
use quadrant_reports::number::counted;

/// Fights every case out and answers with the exit code.
pub fn duel(options: &DuelOptions, color: Color) -> Result<u8, Failure> {
    interrupt::listen();
    limits::raise();
    orphans::adopt();
    pids_cgroup::sweep();
    let scenarios =
        ScenarioOptions { specs: options.specs.clone(), axis: options.axis.clone() }.load()?;
    let progress = Progress::new();
    let subjects = opponents(options, &progress)?;
    if interrupt::requested() {
        return Ok(130);
    }
    let clock = clock::choose();
    clock.install();
    let circumstances = Circumstances {
        seed: options.seed.unwrap_or_else(fresh_seed),
        clock,
        cpus: affinity::allowed(),
    };
    let cells = CellOptions { workers: options.workers, ..CellOptions::default() };
    for sentence in overridden(&cells, &scenarios) {
        progress.warn(sentence);
    }
    let executable = paths::own_program()?;
    let mut fixtures = FixtureStore::new(std::env::temp_dir());
    let planned: Vec<PlannedCase> = scenarios
        .iter()
        .flat_map(|selected| {
            let cases = selected.cases.iter();
            cases.map(|&index| PlannedCase::new(selected, index, &cells, &circumstances))
        })
        .collect();
    announce(options, &planned, &subjects, &progress);
    let mut fought: Vec<DuelCase> = Vec::new();
    for case in &planned {
        let fight = Fight {
            options,
            executable: &executable,
            case,
            subjects: &subjects,
            seed: circumstances.seed,
        };
        let Some(ended) = fight.carry_out(&mut fixtures, &progress)? else { break };
        fought.push(ended);
    }
    progress.end();
    let mut output = BufWriter::new(io::stdout());
    let style = standard_output::style(color);
    let written = duel::write(&fought, options.threshold(), &mut output, options.format(), style);
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    if interrupt::requested() {
        say!("\nInterrupted after {} of {}", fought.len(), counted(planned.len() as u64, "case"));
        return Ok(130);
    }
    Ok(duel::exit_code(&fought))
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

/// The subjects in the order of the command line; each name has to mean one.
fn opponents(options: &DuelOptions, progress: &Progress) -> Result<Vec<Subject>, Failure> {
    let names = options.subjects();
    let usage = |error: anyhow::Error| Failure::usage(format!("{error:#}"));
    let filters = names.iter().map(|name| Filter::one(name).map_err(usage));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let known = options.source.subjects(&filters, Limits::USUAL, progress)?.subjects;
    let meant = |(name, filter): (&String, &Filter)| {
        let meant: Vec<&Subject> = known.iter().filter(|subject| filter.selects(subject)).collect();
        match meant[..] {
            [subject] => Ok(subject.clone()),
            [] if interrupt::requested() => Err(Failure::usage("interrupted")),
            [] => Err(Failure::usage(format!(
                "no subject matches `{name}`; `quadrant list subjects` shows what there is"
            ))),
            _ => {
                let ids: Vec<&str> = meant.iter().map(|subject| subject.id.as_str()).collect();
                Err(Failure::usage(format!(
                    "`{name}` may be any of {}: name one of them",
                    ids.join(", ")
                )))
            }
        }
    };
    names.iter().zip(&filters).map(meant).collect()
}
