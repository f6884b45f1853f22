//! Conducts a run: case after case, and within a case all subjects in turn, trial by trial.
//!
//! Interleaving is what makes trials comparable: whatever the machine does meanwhile, it does
//! to all of them. Memory does not grow with the number of cells: a case's records are let go
//! of when its table is written.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Stdout, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use quadrant_reports::paint::Style;
use quadrant_reports::record::{Record, Status};
use quadrant_reports::report::{Format, Reporter};
use quadrant_reports::tally::Tally;

use super::ceilings::Ceilings;
use super::cells::{Circumstances, PlannedCase};
use super::estimate::Estimate;
use super::evidence_pass::{self, Gathered};
use super::options::RunOptions;
use super::record::{Verdict, record};
use super::results::{self, Earlier, Results};
use super::run_file::{self, RunFile};
use super::workers;
use crate::adapters::filter::Filter;
use crate::adapters::subject::{State, Subject};
use crate::chance::Chance;
use crate::color::Color;
use crate::counted::counted;
use crate::failure::Failure;
use crate::fixtures::FixtureStore;
use crate::machine::{limits, orphans, pids_cgroup};
use crate::progress::Progress;
use crate::selection::Selected;
use crate::standard_error::say;
use crate::trial::{self, Attention, Ended};
use crate::{house, interrupt, standard_output, unmatched};

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
    Conductor::new(options, scenarios, found.subjects, resumed, progress, color)?.conduct()
}

struct Conductor {
    options: RunOptions,
    scenarios: Vec<Selected>,
    subjects: Vec<Subject>,
    circumstances: Circumstances,
    run_id: String,
    results: Results,
    earlier: Earlier,
    fixtures: FixtureStore,
    ceilings: Ceilings,
    reporter: Option<Reporter<Stdout>>,
    progress: Progress,
    executable: PathBuf,
    /// Trials done, of all there are to do.
    done: u64,
    planned: u64,
}

impl Conductor {
    fn new(
        options: RunOptions,
        scenarios: Vec<Selected>,
        subjects: Vec<Subject>,
        resumed: Option<(PathBuf, RunFile)>,
        progress: Progress,
        color: Color,
    ) -> Result<Self, Failure> {
        let executable = house::own_program()?;
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
            fixtures: FixtureStore::new(std::env::temp_dir(), Some(executable.clone())),
            ceilings: Ceilings::default(),
            reporter: Some(reporter),
            executable,
            options,
            scenarios,
            subjects,
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

    /// All trials of one case, into `records`. An interruption or a failure ends it early.
    fn run_case(
        &mut self,
        case: &PlannedCase,
        filter: &Filter,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure> {
        let key = case.key();
        records.extend(self.earlier.take(&key));
        let trials = self.options.cells.trial_count();
        self.done +=
            records.iter().filter(|record| record.status != Status::Unsupported).count() as u64;
        self.progress.advance(records.len() as u64);

        let subjects = std::mem::take(&mut self.subjects);
        let mut runnable = Vec::new();
        for subject in subjects.iter().filter(|subject| filter.selects(subject)) {
            match self.without_running(case, subject) {
                None => runnable.push(subject),
                Some(verdict) if records.iter().all(|record| record.subject.id != subject.id) => {
                    records.push(self.keep(case, subject, 0, Duration::ZERO, verdict, None)?);
                }
                Some(_) => {}
            }
        }
        let files = match case.case.work.files {
            Some(_) if runnable.is_empty() => None,
            Some(shape) => match self.make_files(shape) {
                Ok(files) => Some(files),
                Err(_) if interrupt::requested() => {
                    self.subjects = subjects;
                    return Ok(());
                }
                Err(failure) => return Err(failure),
            },
            None => None,
        };
        let evidence = match self.options.evidence {
            true => self.gather(case, &runnable, files.as_ref(), records)?,
            false => BTreeMap::new(),
        };
        let ceiling_per_sec = self.ceiling(case, &runnable, records);
        'trials: for trial in 0..trials {
            let mut order = runnable.clone();
            let purpose = format!("{key} {trial}");
            Chance::new(self.circumstances.seed, &purpose).shuffle(&mut order);
            for subject in order {
                if is_done(records, subject, trial) {
                    continue;
                }
                if interrupt::requested() {
                    break 'trials;
                }
                self.progress.say(format!("{key}  {}", subject.id));
                let began = Instant::now();
                let trial_files = files.as_ref();
                let Some(verdict) = self.run_trial(case, subject, trial_files, ceiling_per_sec)?
                else {
                    break 'trials;
                };
                let evidence = evidence.get(&subject.id);
                records.push(self.keep(
                    case,
                    subject,
                    trial,
                    began.elapsed(),
                    verdict,
                    evidence,
                )?);
                self.done += 1;
                self.progress.advance(1);
            }
        }
        self.subjects = subjects;
        Ok(())
    }

    /// What the load driver could carry in this case, if a trial of it is left to do.
    fn ceiling(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        records: &[Record],
    ) -> Option<u64> {
        let load = case.load?;
        if subjects.iter().all(|subject| self.has_all_trials(records, subject)) {
            return None;
        }
        self.progress.say(format!("{}  the load driver's own ceiling", case.key()));
        self.ceilings.of(load, &self.executable, self.circumstances.clock, &case.division)
    }

    fn has_all_trials(&self, records: &[Record], subject: &Subject) -> bool {
        (0..self.options.cells.trial_count()).all(|trial| is_done(records, subject, trial))
    }

    /// What each subject with trials left to do shows of itself in a pass of its own.
    fn gather(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        files: Option<&FilesInPlace>,
        records: &[Record],
    ) -> Result<BTreeMap<String, Gathered>, Failure> {
        let mut evidence = BTreeMap::new();
        for subject in subjects {
            if interrupt::requested() {
                break;
            }
            if self.has_all_trials(records, subject) {
                continue;
            }
            self.progress.say(format!("{}  {}: counting system calls", case.key(), subject.id));
            if let Some((ended, _)) = self.carry_out(case, subject, files, Attention::Evidence)? {
                evidence.insert(subject.id.clone(), evidence_pass::judge(ended, case, subject));
            }
        }
        Ok(evidence)
    }

    /// What is known of a cell before anything runs.
    fn without_running(&self, case: &PlannedCase, subject: &Subject) -> Option<Verdict> {
        if let State::Broken { reason } = &subject.state {
            return Some(Verdict::without_figures(Status::Unmeasured, reason.clone()));
        }
        let reason = subject.unsupported(&case.plan(subject, None))?;
        Some(Verdict::without_figures(Status::Unsupported, reason))
    }

    fn make_files(&mut self, shape: crate::spec::Files) -> Result<FilesInPlace, Failure> {
        self.progress.say("making and verifying the files to read");
        let set = self.fixtures.files(shape.count, shape.bytes).map_err(anyhow::Error::new)?;
        Ok(FilesInPlace { directory: set.directory().display().to_string(), cold: shape.cold })
    }

    /// One trial; nothing when it was interrupted.
    fn run_trial(
        &mut self,
        case: &PlannedCase,
        subject: &Subject,
        files: Option<&FilesInPlace>,
        ceiling_per_sec: Option<u64>,
    ) -> Result<Option<Verdict>, Failure> {
        let Some((ended, warnings)) = self.carry_out(case, subject, files, Attention::Usual)?
        else {
            return Ok(None);
        };
        let mut verdict = match ended {
            Ended::Measured(measured) => Verdict::of(*measured, case, ceiling_per_sec),
            Ended::Unmeasured { status, reason } => Verdict::without_figures(status, reason),
            Ended::Interrupted => return Ok(None),
        };
        verdict.warnings.extend(warnings);
        Ok(Some(verdict))
    }

    /// A subject's process from start to end, and what of its files may spoil what it shows.
    fn carry_out(
        &mut self,
        case: &PlannedCase,
        subject: &Subject,
        files: Option<&FilesInPlace>,
        attention: Attention,
    ) -> Result<Option<(Ended, Vec<String>)>, Failure> {
        let State::Loadable { library, .. } = &subject.state else { return Ok(None) };
        let mut warnings = Vec::new();
        if let (Some(files), Some(shape)) = (files, case.case.work.files)
            && files.cold
        {
            let set = self.fixtures.files(shape.count, shape.bytes).map_err(anyhow::Error::new)?;
            warnings.extend(set.drop_from_cache().map_err(anyhow::Error::new)?.warning());
        }
        let plan = case.plan(subject, files.map(|files| files.directory.as_str()));
        let (warmup, measure) = match attention {
            Attention::Evidence => evidence_pass::times(case),
            Attention::Usual | Attention::None => (case.warmup, case.measure),
        };
        let ended = trial::run(&trial::Order {
            executable: &self.executable,
            library,
            plan: &plan,
            load: case.load,
            cpus: &case.division,
            warmup,
            measure,
            attention,
            freeze: None,
            limits: self.options.limits(),
        });
        Ok(Some((ended, warnings)))
    }

    fn keep(
        &mut self,
        case: &PlannedCase,
        subject: &Subject,
        trial: u32,
        took: Duration,
        verdict: Verdict,
        evidence: Option<&Gathered>,
    ) -> Result<Record, Failure> {
        let took_ns = took.as_nanos() as u64;
        let seed = self.circumstances.seed;
        let mut record = record(&self.run_id, seed, case, subject, trial, took_ns, verdict);
        if let Some(gathered) = evidence {
            record.evidence.clone_from(&gathered.evidence);
            record.warnings.extend(gathered.warning.clone());
        }
        self.results.append(&record)?;
        Ok(record)
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
                let trials = self.options.cells.trial_count();
                estimate.add(&case, cells, trials, self.options.evidence);
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

fn is_done(records: &[Record], subject: &Subject, trial: u32) -> bool {
    records.iter().any(|record| record.subject.id == subject.id && record.trial == trial)
}

/// No records are a report, too, in every format.
fn report_nothing(format: Format) -> Result<(), Failure> {
    let style = Style { color: false, width: usize::MAX };
    let reporter = Reporter::new(io::stdout(), format, style).map_err(unwritable_report)?;
    reporter.finish().map(drop).map_err(unwritable_report)
}

struct FilesInPlace {
    directory: String,
    cold: bool,
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
    match house::workspace() {
        Some(folder) => folder.join("target").join("quadrant").join(run_id),
        None => PathBuf::from("quadrant-results").join(run_id),
    }
}
