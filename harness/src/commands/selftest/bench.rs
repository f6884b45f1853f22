//! The bench: runs trials for the parts of the self-test, exactly as `quadrant run` does.
//!
//! Never judges a figure.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quadrant_reports::random::SplitMix;
use quadrant_reports::selftest::row::Row;
use quadrant_suite::clock::ClockScale;
use quadrant_suite::plan::{Action, Group, How, Pace, Plan, Program, Server, Step};

use super::options::SelfTestOptions;
use crate::adapters::subject::{State, Subject};
use crate::commands::failure::Failure;
use crate::commands::run::{fresh_seed, trial_error};
use crate::commands::selection::SubjectOptions;
use crate::driver::arrivals::Arrivals;
use crate::driver::order::ClientGroup;
use crate::system::clock;
use crate::system::cpus::{self, Division};
use crate::system::interrupt;
use crate::system::paths;
use crate::terminal::progress::Progress;
use crate::trial::{self, Attention, Ended, Freeze, LibraryFile, Limits, Measured, Memory, Order};

const WARMUP: Duration = Duration::from_millis(50);

/// The user pressed ^C.
pub struct Interrupted;

/// Why a subject has no figure.
pub enum Unmeasured {
    /// The row does not apply to the subject.
    NotApplicable(String),
    Failed(String),
    Interrupted,
}

/// The rows of one part.
pub struct Rows(pub Vec<Row>);

impl Rows {
    pub fn row(&mut self, key: &str) -> &mut Row {
        let row = self.0.iter_mut().find(|row| row.key == key);
        row.expect("a part names only rows that its entry in the table of parts has")
    }

    /// Where a subject could not be measured, puts the reason into these rows.
    pub fn keep_reason(
        &mut self,
        subject: &str,
        keys: &[&str],
        result: Result<(), Unmeasured>,
    ) -> Result<(), Interrupted> {
        let (reason, add): (String, fn(&mut Row, &str, &str)) = match result {
            Ok(()) => return Ok(()),
            Err(Unmeasured::Interrupted) => return Err(Interrupted),
            Err(Unmeasured::NotApplicable(reason)) => (reason, Row::exclude),
            Err(Unmeasured::Failed(reason)) => (reason, Row::fail),
        };
        keys.iter().for_each(|key| add(self.row(key), subject, &reason));
        Ok(())
    }
}

/// The work of a trial. The plan's executor, backend and workers are set for each subject.
#[derive(Clone)]
pub struct Trial {
    pub plan: Plan,
    pub load: Vec<ClientGroup>,
    /// Which CPUs the subject and the driver get.
    pub cpus: Division,
    /// The window, or for a fixed amount of work the longest time that it may take.
    pub measure: Duration,
    pub freeze: Option<Freeze>,
}

impl Trial {
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.plan.stall_threshold_ns = threshold.as_nanos() as u64;
        self
    }

    /// Sets the number of workers of executors that can have several.
    pub fn workers(mut self, workers: usize) -> Self {
        self.plan.workers = workers as u32;
        self
    }
}

/// A trial made ready for one subject.
pub struct Prepared<'a> {
    bench: &'a Bench,
    library: &'a Arc<LibraryFile>,
    trial: &'a Trial,
    pub plan: Plan,
}

impl Prepared<'_> {
    pub fn order(&self) -> Order<'_> {
        Order {
            executable: &self.bench.executable,
            library: self.library,
            plan: &self.plan,
            load: &self.trial.load,
            backends: &[],
            cpus: &self.trial.cpus,
            warmup: WARMUP,
            measure: self.trial.measure,
            attention: Attention::Usual,
            freeze: self.trial.freeze,
            memory: Memory::default(),
            limits: Limits::USUAL,
        }
    }
}

pub fn step(action: Action) -> Step {
    Step { action, row: None }
}

pub fn group(name: &str, count: u32, program: usize, pace: Pace) -> Group {
    Group { name: name.to_owned(), count, program, pace }
}

pub struct Bench {
    pub subjects: Vec<Subject>,
    pub progress: Progress,
    pub options: SubjectOptions,
    pub executable: PathBuf,
    pub clock: ClockScale,
    /// The clock that the instruments use; the same, except with `--wrong-clock`.
    pub instrument_clock: ClockScale,
    pub cpus: Vec<usize>,
    pub seed: u64,
    quick: bool,
    part: &'static str,
    began: Instant,
    /// By subject, what each trial with a window took beyond its warm-up and window, in ns.
    pub overheads_ns: RefCell<BTreeMap<String, Vec<f64>>>,
}

impl Bench {
    pub fn new(
        options: &SelfTestOptions,
        subjects: Vec<Subject>,
        progress: Progress,
    ) -> Result<Self, Failure> {
        let clock = clock::choose();
        clock.install();
        let too_fast = clock.ns_per_tick_shifted / 1_000 * options.wrong_clock;
        Ok(Self {
            subjects,
            progress,
            options: options.subjects.clone(),
            executable: paths::own_program()?,
            clock,
            instrument_clock: ClockScale {
                ns_per_tick_shifted: clock.ns_per_tick_shifted + too_fast,
                ..clock
            },
            cpus: cpus::allowed(),
            seed: options.seed.unwrap_or_else(fresh_seed),
            quick: options.quick,
            part: "",
            began: Instant::now(),
            overheads_ns: RefCell::default(),
        })
    }

    pub fn begin_part(&mut self, name: &'static str) {
        self.part = name;
        self.progress.say(name);
    }

    /// How much to measure: in full, or with `--quick`.
    pub fn extent<T>(&self, [full, quick]: [T; 2]) -> T {
        if self.quick { quick } else { full }
    }

    pub fn window(&self, milliseconds: [u64; 2]) -> Duration {
        Duration::from_millis(self.extent(milliseconds))
    }

    /// Measures all subjects in a random order. The rows of these keys get the reasons of those
    /// that could not be measured.
    pub fn for_each_subject(
        &self,
        rows: &mut Rows,
        keys: &[&str],
        mut measure: impl FnMut(&mut Rows, &Subject) -> Result<(), Unmeasured>,
    ) -> Result<(), Interrupted> {
        let mut order: Vec<&Subject> = self.subjects.iter().collect();
        SplitMix::new(self.seed, &keys.concat()).shuffle(&mut order);
        for subject in order {
            let result = measure(rows, subject);
            rows.keep_reason(&subject.id, keys, result)?;
        }
        Ok(())
    }

    /// Tasks alone; the groups refer to the programs.
    pub fn tasks(&self, programs: Vec<Program>, groups: Vec<Group>, measure: Duration) -> Trial {
        let clock = self.instrument_clock;
        let plan = Plan { clock, programs, groups, ..Plan::empty("", "", 2, self.seed) };
        Trial {
            plan,
            load: Vec::new(),
            cpus: Division::of(&self.cpus, false),
            measure,
            freeze: None,
        }
    }

    /// Plain echo, under an open loop where there is a rate, otherwise under a closed one.
    pub fn echo(&self, connections: u32, rate: Option<u64>, measure: Duration) -> Trial {
        const MESSAGE_BYTES: usize = 64;
        let how = How::Await;
        let echo = vec![step(Action::Recv { how }), step(Action::Send { how })];
        let mut trial = self.tasks(vec![echo], Vec::new(), measure);
        trial.plan.server =
            Some(Server { message_bytes: MESSAGE_BYTES, connections, ..Server::default() });
        trial.load = vec![ClientGroup {
            arrivals: rate.map(Arrivals::even),
            ..ClientGroup::plain(connections, MESSAGE_BYTES)
        }];
        trial.cpus = Division::of(&self.cpus, true);
        trial
    }

    pub fn prepare<'a>(
        &'a self,
        subject: &'a Subject,
        trial: &'a Trial,
    ) -> Result<Prepared<'a>, Unmeasured> {
        let State::Loadable { library, executor, .. } = &subject.state else {
            return Err(Unmeasured::Failed("it was not built".to_owned()));
        };
        let plan = Plan {
            executor: executor.executor.clone(),
            backend: executor.backend.clone(),
            workers: subject.workers(trial.plan.workers),
            options: subject.options.clone(),
            ..trial.plan.clone()
        };
        match subject.unsupported(&plan) {
            Some(reason) => Err(Unmeasured::NotApplicable(reason)),
            None => Ok(Prepared { bench: self, library, trial, plan }),
        }
    }

    /// Shows the subject that is measured next, and how much of the expected time is over. Returns
    /// an error after ^C.
    pub fn show_progress(&self, subject: &Subject) -> Result<(), Unmeasured> {
        if interrupt::requested() {
            return Err(Unmeasured::Interrupted);
        }
        self.progress.say(format!("{}: {}", self.part, subject.id));
        self.progress.reach(self.began.elapsed().as_millis() as u64);
        Ok(())
    }

    pub fn run(&self, subject: &Subject, trial: &Trial) -> Result<Measured, Unmeasured> {
        let prepared = self.prepare(subject, trial)?;
        self.show_progress(subject)?;
        let began = Instant::now();
        let ended = trial::run(&prepared.order());
        let took = began.elapsed();
        let measured = match ended {
            Ended::Measured(measured) => *measured,
            Ended::Unmeasured { reason, .. } => return Err(Unmeasured::Failed(reason)),
            Ended::Interrupted => return Err(Unmeasured::Interrupted),
        };
        if !prepared.order().has_fixed_work() {
            let planned = WARMUP + Duration::from_nanos(measured.window_ns);
            let overhead_ns = took.saturating_sub(planned).as_nanos() as f64;
            let mut overheads_ns = self.overheads_ns.borrow_mut();
            overheads_ns.entry(subject.id.clone()).or_default().push(overhead_ns);
        }
        match trial_error(&measured.findings, measured.load.as_ref()) {
            Some(reason) => Err(Unmeasured::Failed(reason)),
            None => Ok(measured),
        }
    }
}
