//! Conducts a run: case after case, with a table for each.
//!
//! Memory does not grow with the number of cells: a case's records are let go of when its table is
//! written. Never measures anything by itself.

use std::io::{self, ErrorKind, Stdout, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use quadrant_reports::paint::Style;
use quadrant_reports::report::{Format, Reporter};
use quadrant_reports::tally::Tally;

use super::ceilings::Ceilings;
use super::cells::{Circumstances, PlannedCase};
use super::estimate::Estimate;
use super::options::RunOptions;
use super::results::{self, Earlier, Results};
use super::run_file::{self, RunFile};
use super::{turns_pass, workers};
use crate::adapters::filter::Filter;
use crate::adapters::subject::Subject;
use crate::commands::failure::Failure;
use crate::commands::selection::Selected;
use crate::commands::unmatched;
use crate::fixtures::FixtureStore;
use crate::system::interrupt;
use crate::system::paths;
use crate::system::{limits, orphans, pids_cgroup};
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;
use quadrant_reports::number::counted;

/// Runs what was asked for and answers with the exit code.
pub fn run(mut options: RunOptions, color: Color) -> Result<u8, Failure> {
    interrupt::listen();
    limits::raise();
    orphans::adopt();
    pids_cgroup::sweep();
    let resumed = match &options.resume {
        Some(folder) => {
            let run = run_file::read_run(folder);
            Some((folder.clone(), run.map_err(|error| Failure::usage(format!("{error:#}")))?))
        }
        None => None,
    };
    if let Some(out) = &options.out {
        if let Some(objection) = results::objection(out) {
            return Err(Failure::usage(objection));
        }
        results::try_to_make(out)?;
    }
    if let Some((_, run)) = &resumed {
        run.options.apply(&mut options);
    }
    // Specs first: whoever made a mistake there should not wait for a build.
    let scenarios = options.scenarios.load()?;
    if let Some((folder, run)) = &resumed
        && run.specs != run_file::digests(&scenarios)
    {
        let folder = folder.display();
        return Err(Failure::usage(format!(
            "the scenarios have changed since the run in {folder} was begun: its records and new \
             ones would not belong together. Begin a new run"
        )));
    }
    let progress = Progress::new();
    let found = options.subjects.find_for(&scenarios, options.limits(), &progress)?;
    if interrupt::requested() {
        progress.end();
        report_nothing(options.format)?;
        return Ok(130);
    }
    if found.subjects.is_empty() {
        progress.end();
        report_nothing(options.format)?;
        say!("no subject matches; `quadrant list subjects` shows what there is");
        return Ok(4);
    }
    for sentence in workers::overridden(&options.cells, &scenarios) {
        progress.warn(sentence);
    }
    // Whoever chose among the subjects left some out on purpose.
    if options.subjects.means_all() {
        for selected in &scenarios {
            for warning in unmatched::warnings(&selected.name, &selected.scenario, &found) {
                progress.warn(format!("warning: {warning}"));
            }
        }
    }
    let all = found.subjects.iter().chain(&found.passed_over);
    let references = all.filter(|subject| subject.is_reference()).cloned().collect();
    Conductor::new(options, scenarios, found.subjects, references, resumed, progress, color)?
        .conduct()
}

pub(super) struct Conductor {
    pub(super) options: RunOptions,
    pub(super) scenarios: Vec<Selected>,
    pub(super) subjects: Rc<[Subject]>,
    /// Those that can be a case's reference, the best first.
    pub(super) references: Rc<[Subject]>,
    pub(super) circumstances: Circumstances,
    pub(super) run_id: String,
    pub(super) results: Results,
    pub(super) earlier: Earlier,
    pub(super) fixtures: FixtureStore,
    pub(super) ceilings: Ceilings,
    pub(super) reporter: Option<Reporter<Stdout>>,
    pub(super) progress: Progress,
    pub(super) executable: PathBuf,
    /// Trials done, of all there are to do.
    pub(super) done: u64,
    pub(super) planned: u64,
}

impl Conductor {
    fn new(
        options: RunOptions,
        scenarios: Vec<Selected>,
        subjects: Vec<Subject>,
        references: Vec<Subject>,
        resumed: Option<(PathBuf, RunFile)>,
        progress: Progress,
        color: Color,
    ) -> Result<Self, Failure> {
        let executable = paths::own_program()?;
        let (run, results, earlier) = match resumed {
            Some((folder, run)) => {
                let results = Results::reopen(&folder)
                    .map_err(|error| Failure::usage(format!("{error:#}")))?;
                (run, results, Earlier::read(&folder)?)
            }
            None => {
                let run = RunFile::new(&options, &scenarios, &subjects);
                let folder = options.out.clone().unwrap_or_else(|| default_folder(&run.run_id));
                let results = Results::create(folder, &run)?;
                (run, results, Earlier::none())
            }
        };
        // The phases that this process sets are stamped by the clock that everybody uses.
        run.clock.install();
        let style = standard_output::style(color);
        let reporter = Reporter::new(io::stdout(), options.format, style)?;
        Ok(Self {
            circumstances: Circumstances { seed: run.seed, clock: run.clock, cpus: run.cpus },
            run_id: run.run_id,
            results,
            earlier,
            fixtures: FixtureStore::new(std::env::temp_dir()),
            ceilings: Ceilings::default(),
            reporter: Some(reporter),
            executable,
            options,
            scenarios,
            subjects: subjects.into(),
            references: references.into(),
            progress,
            done: 0,
            planned: 0,
        })
    }

    fn conduct(mut self) -> Result<u8, Failure> {
        let began = Instant::now();
        self.announce();
        let scenarios = std::mem::take(&mut self.scenarios);
        'all: for selected in &scenarios {
            let filter = self.filter_for(selected);
            for &index in &selected.cases {
                let case =
                    PlannedCase::new(selected, index, &self.options.cells, &self.circumstances);
                let mut records = Vec::new();
                let conducted = self.run_case(&case, &filter, &mut records);
                let reporter = self.reporter.as_mut().expect("the reporter ends after the run");
                let is_last = selected.cases.last() == Some(&index);
                let reported = self.progress.aside(|| {
                    reporter.case(&records)?;
                    if is_last {
                        reporter.end_scenario(&self.run_id, &selected.name)
                    } else {
                        Ok(())
                    }
                });
                if let Err(failure) = conducted {
                    // This is what has to be told, whatever becomes of the report.
                    let _ = self.end_report();
                    return Err(failure);
                }
                if let Err(error) = reported {
                    return self.without_report(error);
                }
                if interrupt::requested() {
                    break 'all;
                }
            }
        }
        self.finish(began)
    }

    fn filter_for(&self, selected: &Selected) -> Filter {
        let filter = self.options.subjects.filter_for(&selected.scenario);
        filter.expect("its patterns were read when subjects were looked for")
    }

    /// How much there is to do, before it is begun.
    fn announce(&mut self) {
        let mut estimate = Estimate::default();
        for selected in &self.scenarios {
            let filter = self.filter_for(selected);
            for &index in &selected.cases {
                let case =
                    PlannedCase::new(selected, index, &self.options.cells, &self.circumstances);
                let cells = self
                    .subjects
                    .iter()
                    .filter(|subject| filter.selects(subject))
                    .filter(|subject| self.without_running(&case, subject).is_none())
                    .count() as u32;
                let takes_turns = turns_pass::unfit(&case).is_none();
                let starts = if takes_turns { self.options.cells.start_count() } else { 0 };
                let trials = self.options.cells.trial_count(starts > 0);
                estimate.add(&case, cells, trials, starts, self.options.evidence);
            }
        }
        self.planned = estimate.trials;
        self.progress.trials(self.planned);
        self.progress.warn(estimate.in_words(self.subjects.len()));
    }

    /// Makes the report whole in its format, whatever it holds.
    fn end_report(&mut self) -> io::Result<Tally> {
        self.progress.end();
        let reporter = self.reporter.take().expect("the reporter ends here");
        let (mut output, tally) = reporter.finish()?;
        output.flush()?;
        Ok(tally)
    }

    /// The end of a run whose report cannot be written on.
    fn without_report(&self, error: io::Error) -> Result<u8, Failure> {
        match error.kind() {
            ErrorKind::BrokenPipe => {
                Ok(self.stop_early("Nobody reads the report any more: stopped"))
            }
            _ => Err(unwritable_report(error)),
        }
    }

    fn finish(mut self, began: Instant) -> Result<u8, Failure> {
        self.fixtures.clear();
        let tally = match self.end_report() {
            Ok(tally) => tally,
            Err(error) => return self.without_report(error),
        };
        if interrupt::requested() {
            return Ok(self.stop_early("\nInterrupted"));
        }
        let folder = self.results.folder().display();
        say!(
            "\n{} in {:.0} s, seed {}; records: {folder}",
            counted(self.done, "trial"),
            began.elapsed().as_secs_f64(),
            self.circumstances.seed
        );
        Ok(exit_code(&tally))
    }
}

impl Conductor {
    /// Says where what was measured is, and how to go on.
    fn stop_early(&self, why: &str) -> u8 {
        self.progress.end();
        let folder = self.results.folder().display();
        let next = match self.done < self.planned {
            true => format!("Go on with: quadrant run --resume {folder}"),
            false => format!("Read them with: quadrant report {folder}"),
        };
        let planned = counted(self.planned, "trial");
        say!("{why} after {} of {planned}; their records are in {folder}\n{next}", self.done);
        130
    }
}

/// No records are a report, too, in every format.
fn report_nothing(format: Format) -> Result<(), Failure> {
    let style = Style { color: false, width: usize::MAX };
    let reporter = Reporter::new(io::stdout(), format, style).map_err(unwritable_report)?;
    reporter.finish().map(drop).map_err(unwritable_report)
}

fn exit_code(tally: &Tally) -> u8 {
    if tally.ok == 0 && tally.exit_code() == 4 {
        say!("nothing was run: no subject can run any of the cases; the reasons stand above");
    }
    tally.exit_code()
}

fn unwritable_report(error: io::Error) -> Failure {
    anyhow::Error::new(error).context("the report could not be written").into()
}

fn default_folder(run_id: &str) -> PathBuf {
    match paths::workspace() {
        Some(folder) => folder.join("target").join("quadrant").join(run_id),
        None => PathBuf::from("quadrant-results").join(run_id),
    }
}
