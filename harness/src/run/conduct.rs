//! Conducts a run: case after case, and within a case all subjects in turn, trial by trial.
//!
//! Interleaving is what makes trials comparable: whatever the machine does meanwhile, it does
//! to all of them. Memory does not grow with the number of cells: a case's records are let go
//! of when its table is written.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Stdout, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use quadrant_reports::paint::Style;
use quadrant_reports::ranking::widest_interval;
use quadrant_reports::record::{Pass, Record, Status};
use quadrant_reports::report::{Format, Reporter};
use quadrant_reports::tally::Tally;

use super::ceilings::{self, Ceilings};
use super::cells::{Circumstances, PlannedCase};
use super::estimate::Estimate;
use super::evidence_pass::{self, Gathered};
use super::machine_fault;
use super::options::RunOptions;
use super::record::{Verdict, record};
use super::results::{self, Earlier, Results};
use super::run_file::{self, RunFile};
use super::turns_pass::{self, Taken};
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
use crate::trial::{self, Attention, Ended, Memory};
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
    let all = found.subjects.iter().chain(&found.passed_over);
    let references = all.filter(|subject| subject.is_reference()).cloned().collect();
    Conductor::new(options, scenarios, found.subjects, references, resumed, progress, color)?
        .conduct()
}

struct Conductor {
    options: RunOptions,
    scenarios: Vec<Selected>,
    subjects: Rc<[Subject]>,
    /// Those that can be a case's reference, the best first.
    references: Rc<[Subject]>,
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
        references: Vec<Subject>,
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

    /// All of one case, into `records`. An interruption or a failure ends it early.
    fn run_case(
        &mut self,
        case: &PlannedCase,
        filter: &Filter,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure> {
        records.extend(self.earlier.take(&case.key())?);
        self.done +=
            records.iter().filter(|record| record.status != Status::Unsupported).count() as u64;
        self.progress.advance(records.len() as u64);

        let subjects = Rc::clone(&self.subjects);
        let mut runnable = Vec::new();
        for subject in subjects.iter().filter(|subject| filter.selects(subject)) {
            match self.without_running(case, subject) {
                None => runnable.push(subject),
                Some(verdict) if records.iter().all(|record| record.subject.id != subject.id) => {
                    let record = self.record(case, subject, 0, Duration::ZERO, verdict);
                    self.keep(record, records)?;
                }
                Some(_) => {}
            }
        }
        if runnable.is_empty() {
            return Ok(());
        }
        let files = match case.case.work.files {
            None => None,
            Some(shape) => match self.make_files(shape) {
                Ok(files) => Some(files),
                Err(_) if interrupt::requested() => return Ok(()),
                Err(failure) => return Err(failure),
            },
        };
        let takes_turns = self.run_in_turns(case, &runnable, files.as_ref(), records)?;
        self.run_alone(case, &runnable, files.as_ref(), takes_turns, records)
    }

    /// Every subject by itself, trial by trial, in an order drawn anew for each.
    fn run_alone(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        files: Option<&FilesInPlace>,
        takes_turns: bool,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure> {
        let usual = self.options.cells.trial_count(takes_turns);
        // Where there are turns, they are what decides.
        let trials = if takes_turns { usual } else { self.options.cells.at_most(usual) };
        let all_done = subjects
            .iter()
            .all(|subject| (0..trials).all(|trial| is_done(records, subject, Pass::Alone, trial)));
        if all_done {
            return Ok(());
        }
        let evidence = match self.options.evidence {
            true => self.gather(case, subjects, files)?,
            false => BTreeMap::new(),
        };
        let ceiling_per_sec = self.ceiling(case);
        let key = case.key();
        for trial in 0..trials {
            if trial >= usual && self.is_decided(records) {
                break;
            }
            let mut order = subjects.to_vec();
            let purpose = format!("{key} {trial}");
            Chance::new(self.circumstances.seed, &purpose).shuffle(&mut order);
            for subject in order {
                if is_done(records, subject, Pass::Alone, trial) {
                    continue;
                }
                if interrupt::requested() {
                    return Ok(());
                }
                self.progress.say(format!("{key}  {}", subject.id));
                let began = Instant::now();
                let memory = self.draw_memory(case, &format!("{} {trial}", subject.id));
                let Some(verdict) =
                    self.run_trial(case, subject, files, ceiling_per_sec, memory)?
                else {
                    return Ok(());
                };
                let mut record = self.record(case, subject, trial, began.elapsed(), verdict);
                record.layout = Some(memory.layout);
                if let Some(gathered) = evidence.get(&subject.id) {
                    record.evidence.clone_from(&gathered.evidence);
                    record.warnings.extend(gathered.warning.clone());
                }
                self.keep(record, records)?;
                self.advance(1);
            }
        }
        Ok(())
    }

    /// All subjects in turns, start by start, if this case can be measured so; whether it can.
    fn run_in_turns(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        files: Option<&FilesInPlace>,
        records: &mut Vec<Record>,
    ) -> Result<bool, Failure> {
        let usual = self.options.cells.start_count();
        if usual == 0 || turns_pass::unfit(case).is_some() {
            return Ok(false);
        }
        let references = Rc::clone(&self.references);
        let reference = references.iter().find(|it| self.without_running(case, it).is_none());
        let directory = files.map(|files| files.directory.as_str());
        let key = case.key();
        let mut left = subjects.to_vec();
        for start in 0..self.options.cells.at_most(usual) {
            if start >= usual && self.is_decided(records) {
                break;
            }
            for group in turns_pass::groups(case, &left, reference) {
                let is_done = |subject: &&Subject| {
                    let is_extra = subjects.iter().all(|it| it.id != subject.id);
                    is_extra || is_done(records, subject, Pass::Turns, start)
                };
                if group.members.iter().all(is_done) {
                    continue;
                }
                if interrupt::requested() {
                    return Ok(true);
                }
                let members = group.members.len() as u32;
                self.progress.say(format!("{key}  {members} subjects in turns, start {start}"));
                let began = Instant::now();
                let purpose = format!("{key} start {start} {}", group.number);
                let mut chance = Chance::new(self.circumstances.seed, &purpose);
                let limits = self.options.limits();
                let taken = group.start(case, directory, &self.executable, limits, &mut chance);
                let Some(taken) = taken else { return Ok(true) };
                if start == 0 && taken.iter().any(Taken::is_too_slow) {
                    return Ok(false);
                }
                let took = began.elapsed() / members;
                for Taken { subject, verdict, turns, memory } in taken {
                    let Some(verdict) = self.excused(verdict)? else { return Ok(true) };
                    if turns_pass::is_final(verdict.status) {
                        left.retain(|it| it.id != subject.id);
                    }
                    let mut record = self.record(case, subject, start, took, verdict);
                    record.pass = Pass::Turns;
                    record.turns = Some(turns);
                    record.layout = Some(memory.layout);
                    self.keep(record, records)?;
                }
                self.advance(members);
            }
        }
        Ok(true)
    }

    /// Whether every difference of this case is known as well as was asked for.
    fn is_decided(&self, records: &[Record]) -> bool {
        let Some(until) = self.options.cells.until() else { return true };
        widest_interval(records).is_some_and(|widest| widest <= until)
    }

    /// The layout of one trial's process.
    fn draw_memory(&self, case: &PlannedCase, purpose: &str) -> Memory {
        let purpose = format!("{} layout {purpose}", case.key());
        Memory::draw(&mut Chance::new(self.circumstances.seed, &purpose), case.allocator)
    }

    fn advance(&mut self, trials: u32) {
        self.done += u64::from(trials);
        self.progress.advance(trials.into());
    }

    /// What the load driver could carry in this case, if it is known.
    fn ceiling(&mut self, case: &PlannedCase) -> Option<u64> {
        let load = case.load.filter(|load| load.rate_per_sec.is_some())?;
        self.progress.say(format!("{}  the load driver's own ceiling", case.key()));
        self.ceilings.of(load, &self.executable, self.circumstances.clock, &case.division)
    }

    /// What each subject shows of itself in a pass of its own.
    fn gather(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        files: Option<&FilesInPlace>,
    ) -> Result<BTreeMap<String, Gathered>, Failure> {
        let mut evidence = BTreeMap::new();
        for subject in subjects {
            if interrupt::requested() {
                break;
            }
            self.progress.say(format!("{}  {}: counting system calls", case.key(), subject.id));
            let memory = self.draw_memory(case, &subject.id);
            let carried = self.carry_out(case, subject, files, Attention::Evidence, memory)?;
            if let Some((ended, _)) = carried {
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
        memory: Memory,
    ) -> Result<Option<Verdict>, Failure> {
        if let Some(reason) = case.load.and_then(|load| ceilings::refusal(load, ceiling_per_sec)) {
            return Ok(Some(Verdict::without_figures(Status::Unmeasured, reason)));
        }
        let carried = self.carry_out(case, subject, files, Attention::Usual, memory)?;
        let Some((ended, warnings)) = carried else { return Ok(None) };
        let mut verdict = match ended {
            Ended::Measured(measured) => Verdict::of(*measured, case, ceiling_per_sec),
            Ended::Unmeasured { status, reason } => Verdict::without_figures(status, reason),
            Ended::Interrupted => return Ok(None),
        };
        verdict.warnings.extend(warnings);
        self.excused(verdict)
    }

    /// The verdict, unless the machine is to blame for it; nothing when it was interrupted.
    fn excused(&mut self, verdict: Verdict) -> Result<Option<Verdict>, Failure> {
        match machine_fault::excuse(verdict, &mut self.fixtures) {
            Ok(verdict) => Ok(Some(verdict)),
            Err(_) if interrupt::requested() => Ok(None),
            Err(error) => Err(anyhow::Error::new(error).into()),
        }
    }

    /// A subject's process from start to end, and what of its files may spoil what it shows.
    fn carry_out(
        &mut self,
        case: &PlannedCase,
        subject: &Subject,
        files: Option<&FilesInPlace>,
        attention: Attention,
        memory: Memory,
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
            memory,
            limits: self.options.limits(),
        });
        Ok(Some((ended, warnings)))
    }

    fn record(
        &self,
        case: &PlannedCase,
        subject: &Subject,
        trial: u32,
        took: Duration,
        verdict: Verdict,
    ) -> Record {
        let took_ns = took.as_nanos() as u64;
        record(&self.run_id, self.circumstances.seed, case, subject, trial, took_ns, verdict)
    }

    fn keep(&mut self, record: Record, records: &mut Vec<Record>) -> Result<(), Failure> {
        self.results.append(&record)?;
        records.push(record);
        Ok(())
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

fn is_done(records: &[Record], subject: &Subject, pass: Pass, trial: u32) -> bool {
    records.iter().any(|record| {
        (record.subject.id == subject.id && record.pass == pass && record.trial == trial)
            // What it cannot do, it cannot do in any trial.
            || (record.subject.id == subject.id && record.status == Status::Unsupported)
    })
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
