//! Measures case after case, and prints a table after each, or where cases are rows after the last of a
//! scenario. The cases of a claim are measured together.
//!
//! Memory does not grow with the number of cells of other scenarios: a case's records are dropped when
//! its table is printed. Never starts a process.

use std::fs::File;
use std::io::{self, ErrorKind, Stdout, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use quadrant_reports::number::counted;
use quadrant_reports::record::by_case::Cases;
use quadrant_reports::report::Reporter;
use quadrant_reports::tally::Tally;

use super::behaviours::Behaviours;
use super::ceilings::Ceilings;
use super::options::RunOptions;
use super::planned_case::{Circumstances, PlannedCase};
use super::results::Results;
use super::stop::Stop;
use super::{evidence_pass, turns};
use crate::adapters::filter::Filter;
use crate::adapters::subject::Subject;
use crate::commands::failure::Failure;
use crate::commands::selection::Selected;
use crate::fixtures::FixtureStore;
use crate::system::interrupt;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;

/// What starting, ending and watching a trial adds to its time.
const TRIAL_OVERHEAD: Duration = Duration::from_millis(40);

/// A run that is under way.
pub struct Run {
    pub options: RunOptions,
    pub subjects: Rc<[Subject]>,
    /// Subjects that can be a case's reference, the best first.
    pub references: Rc<[Subject]>,
    pub circumstances: Circumstances,
    pub run_id: String,
    pub results: Results,
    /// The records of an interrupted run.
    pub earlier: Option<Cases<File>>,
    pub fixtures: FixtureStore,
    pub ceilings: Ceilings,
    pub behaviours: Behaviours,
    pub progress: Progress,
    pub executable: PathBuf,
    /// Trials done, and trials to do in all.
    pub done: u64,
    pub planned: u64,
    /// With `--fail-fast`: which trial went wrong, and how.
    pub fault: Option<String>,
}

impl Run {
    /// Measures all cases and returns the exit code.
    pub fn all_cases(
        mut self,
        scenarios: &[Selected],
        mut reporter: Reporter<Stdout>,
    ) -> Result<u8, Failure> {
        let began = Instant::now();
        self.announce(scenarios);
        for selected in scenarios {
            let filter = self.filter_for(selected);
            let trials = self.trials_until_decided(selected);
            let together = if trials.is_some() { selected.cases.len() } else { 1 };
            for indices in selected.cases.chunks(together.max(1)) {
                let cases: Vec<PlannedCase> =
                    indices.iter().map(|&index| self.plan(selected, index)).collect();
                let mut records = vec![Vec::new(); cases.len()];
                let measured = self.measure(&cases, trials.as_ref(), &filter, &mut records);
                let is_last = selected.cases.last() == indices.last();
                let reported = self.progress.aside(|| {
                    for records in &records {
                        reporter.case(records)?;
                    }
                    match is_last {
                        true => reporter.end_scenario(&self.run_id, &selected.name),
                        false => Ok(()),
                    }
                });
                if let Err(Stop::Failed(failure)) = measured {
                    // This error comes first, whatever happens to the report.
                    let _ = self.end_report(reporter);
                    return Err(failure);
                }
                if let Err(error) = reported {
                    return self.without_report(error);
                }
                if interrupt::requested() || self.fault.is_some() {
                    return self.finish(reporter, began);
                }
            }
        }
        self.finish(reporter, began)
    }

    fn filter_for(&self, selected: &Selected) -> Filter {
        let filter = self.options.subjects.filter_for(&selected.scenario);
        filter.expect("its patterns were read when the subjects were found")
    }

    pub(super) fn plan<'s>(&self, selected: &'s Selected, index: usize) -> PlannedCase<'s> {
        PlannedCase::new(selected, index, &self.options.cells, &self.circumstances)
    }

    /// Prints how many trials there are to do, and how long they take.
    fn announce(&mut self, scenarios: &[Selected]) {
        let options = &self.options.cells;
        let quick = options.quick;
        let (mut cases, mut planned, mut time) = (0, 0, Duration::ZERO);
        for selected in scenarios {
            let filter = self.filter_for(selected);
            let until_decided = self.trials_until_decided(selected);
            for &index in &selected.cases {
                let case = self.plan(selected, index);
                let is_run = |it: &&Subject| filter.selects(it) && case.refusal(it).is_none();
                let cells = self.subjects.iter().filter(is_run).count() as u32;
                let takes_turns = turns::refusal(&case).is_none();
                let starts = if takes_turns { options.start_count() } else { 0 };
                let usual = || options.trial_count(starts > 0);
                let trials = until_decided.as_ref().map_or_else(usual, |trials| *trials.start());
                let of_trial = |(warmup, measure)| warmup + measure + TRIAL_OVERHEAD;
                let mut of_cell = of_trial((case.warmup, case.measure)) * trials;
                if self.options.evidence {
                    of_cell += of_trial(evidence_pass::times(&case));
                }
                of_cell += turns::TIME_OF_A_START * starts;
                cases += 1;
                planned += u64::from(cells) * u64::from(trials + starts);
                time += of_cell * cells;
            }
        }
        self.planned = planned;
        self.progress.trials(planned);
        self.progress.warn(format!(
            "{} and {}: {}, some {} s{}",
            counted(cases, "case"),
            counted(self.subjects.len() as u64, "subject"),
            counted(planned, "trial"),
            time.as_secs().max(1),
            if quick { "; --quick shows that they work: to compare, run without it" } else { "" }
        ));
    }

    /// Completes the report in its format, whatever it holds.
    fn end_report(&self, reporter: Reporter<Stdout>) -> io::Result<Tally> {
        self.progress.end();
        let (mut output, tally) = reporter.finish()?;
        output.flush()?;
        Ok(tally)
    }

    /// The end of a run whose report cannot be written.
    fn without_report(&self, error: io::Error) -> Result<u8, Failure> {
        match error.kind() {
            ErrorKind::BrokenPipe => Ok(self.stop_early("The output was closed: stopped")),
            _ => Err(unwritable_report(error)),
        }
    }

    fn finish(mut self, reporter: Reporter<Stdout>, began: Instant) -> Result<u8, Failure> {
        self.fixtures.clear();
        let tally = match self.end_report(reporter) {
            Ok(tally) => tally,
            Err(error) => return self.without_report(error),
        };
        self.results.check_in_place()?;
        if interrupt::requested() {
            return Ok(self.stop_early("\nInterrupted"));
        }
        if let Some(fault) = &self.fault {
            self.stop_early(&format!("\n{fault}\n--fail-fast ended the run"));
            return Ok(tally.exit_code());
        }
        let folder = self.results.folder().display();
        say!(
            "\n{} in {:.0} s, seed {}; records: {folder}",
            counted(self.done, "trial"),
            began.elapsed().as_secs_f64(),
            self.circumstances.seed
        );
        if tally.ok == 0 && tally.exit_code() == 4 {
            say!("nothing was run: no subject can run any of the cases; the reasons are above");
        }
        Ok(tally.exit_code())
    }

    /// Prints where the records are, and how to continue.
    fn stop_early(&self, why: &str) -> u8 {
        self.progress.end();
        let folder = self.results.folder().display();
        let next = match self.done < self.planned {
            true => format!("Continue with: quadrant run --resume {folder}"),
            false => format!("Read them with: quadrant report {folder}"),
        };
        let planned = counted(self.planned, "trial");
        say!("{why} after {} of {planned}; their records are in {folder}\n{next}", self.done);
        interrupt::EXIT_CODE
    }
}

pub fn unwritable_report(error: io::Error) -> Failure {
    anyhow::Error::new(error).context("the report could not be written").into()
}
