//! The bench: runs one trial of one subject for a part, exactly as a run does.
//!
//! It knows what a trial takes and never what it is for.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use quadrant_reports::selftest::row::Row;
use quadrant_suite::clock::ClockScale;
use quadrant_suite::plan::{Action, FileSet, Group, How, Plan, Program, Server, Step};

use super::SelfTestOptions;
use super::extent::Extent;
use crate::adapters::subject::{State, Subject};
use crate::commands::failure::Failure;
use crate::commands::run::trial_error;
use crate::commands::selection::SubjectOptions;
use crate::system::clock;
use crate::system::cpus::{self, Division};
use crate::system::interrupt;
use crate::system::paths;
use crate::terminal::progress::Progress;
use crate::trial::{self, Attention, Ended, Freeze, Limits, LoadShape, Measured, Memory};
use quadrant_reports::random::SplitMix;

/// Workers of executors that can have several, where nothing else is asked for.
pub const WORKERS: u32 = 2;

/// ^C.
pub struct Interrupted;

/// Why a trial has no figures.
pub enum Unmeasured {
    /// The subject cannot do that, or not here.
    PassedOver(String),
    Failed(String),
    Interrupted,
}

impl Unmeasured {
    /// Puts into the rows why they have no figure of this subject.
    pub fn tell<'r>(
        self,
        subject: &str,
        rows: impl IntoIterator<Item = &'r mut Row>,
    ) -> Result<(), Interrupted> {
        match self {
            Unmeasured::Interrupted => return Err(Interrupted),
            Unmeasured::Failed(reason) => {
                rows.into_iter().for_each(|row| row.fail(subject, &*reason));
            }
            Unmeasured::PassedOver(reason) => {
                rows.into_iter().for_each(|row| row.pass_over(subject, &*reason));
            }
        }
        Ok(())
    }
}

/// What a part asks of a subject.
pub struct Trial {
    pub programs: Vec<Program>,
    pub server: Option<Server>,
    pub groups: Vec<Group>,
    pub rows: Vec<String>,
    pub load: Option<LoadShape>,
    pub workers: u32,
    pub threshold: Duration,
    pub warmup: Duration,
    /// The window, or where the work is of a fixed amount, the most it may take.
    pub measure: Duration,
    pub freeze: Option<Freeze>,
    pub files: Option<FileSet>,
}

impl Trial {
    /// Tasks alone; the programs are for the groups to refer to.
    pub fn of_tasks(programs: Vec<Program>, groups: Vec<Group>, measure: Duration) -> Self {
        Self {
            programs,
            server: None,
            groups,
            rows: Vec::new(),
            load: None,
            workers: WORKERS,
            threshold: Duration::from_millis(10),
            warmup: Duration::from_millis(50),
            measure,
            freeze: None,
            files: None,
        }
    }

    /// Plain echo, under an open loop where there is a rate.
    pub fn of_echo(connections: u32, rate_per_sec: Option<u64>, measure: Duration) -> Self {
        const MESSAGE_BYTES: usize = 64;
        let echo =
            vec![step(Action::Recv { how: How::Await }), step(Action::Send { how: How::Await })];
        let server = Server { program: 0, message_bytes: MESSAGE_BYTES, connections };
        let load = LoadShape { connections, message_bytes: MESSAGE_BYTES, rate_per_sec };
        Self {
            server: Some(server),
            load: Some(load),
            ..Self::of_tasks(vec![echo], Vec::new(), measure)
        }
    }

    fn is_of_fixed_work(&self) -> bool {
        self.groups.iter().any(Group::is_of_fixed_work)
    }
}

pub fn step(action: Action) -> Step {
    Step { action, row: None }
}

pub struct Bench {
    pub subjects: Vec<Subject>,
    pub extent: Extent,
    pub progress: Progress,
    pub options: SubjectOptions,
    pub executable: PathBuf,
    pub clock: ClockScale,
    pub cpus: Vec<usize>,
    seed: u64,
    /// What subjects take their stamps for; the clock itself, unless it is to be wrong.
    told_clock: ClockScale,
    part: &'static str,
    began: Instant,
    overheads: RefCell<Vec<Overhead>>,
}

/// What starting, ending and watching a trial added to its warm-up and window.
#[derive(Debug, Clone)]
pub struct Overhead {
    pub subject: String,
    pub ns: u64,
}

impl Bench {
    pub fn new(
        options: &SelfTestOptions,
        subjects: Vec<Subject>,
        progress: Progress,
    ) -> Result<Self, Failure> {
        let clock = clock::choose();
        clock.install();
        let wrong = clock.ns_per_tick_shifted / 1_000 * options.wrong_clock;
        Ok(Self {
            subjects,
            extent: if options.quick { Extent::QUICK } else { Extent::FULL },
            progress,
            options: options.subjects.clone(),
            executable: paths::own_program()?,
            told_clock: ClockScale {
                ns_per_tick_shifted: clock.ns_per_tick_shifted + wrong,
                ..clock
            },
            clock,
            cpus: cpus::allowed(),
            seed: options.seed.unwrap_or_else(crate::commands::run::fresh_seed),
            part: "",
            began: Instant::now(),
            overheads: RefCell::default(),
        })
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The clock that the instruments go by.
    pub fn told_clock(&self) -> ClockScale {
        self.told_clock
    }

    pub fn overheads(&self) -> Vec<Overhead> {
        self.overheads.borrow().clone()
    }

    pub fn begin_part(&mut self, name: &'static str) {
        self.part = name;
        self.progress.say(name);
    }

    pub fn end(&self) {
        self.progress.end();
    }

    /// All subjects, in an order of chance.
    pub fn shuffled(&self, purpose: &str) -> Vec<&Subject> {
        let mut order: Vec<&Subject> = self.subjects.iter().collect();
        SplitMix::new(self.seed, purpose).shuffle(&mut order);
        order
    }

    /// Who runs where in such a trial.
    pub fn division(&self, trial: &Trial) -> Division {
        Division::of(&self.cpus, trial.load.is_some())
    }

    /// Says what is going on, and how far it has come.
    pub fn say(&self, subject: &str) {
        self.progress.say(format!("{}: {subject}", self.part));
        self.progress.reach(self.began.elapsed().as_millis() as u64);
    }

    pub fn plan(&self, subject: &Subject, trial: &Trial) -> Plan {
        let (executor, backend) = match &subject.state {
            State::Loadable { executor, .. } => (&*executor.executor, &*executor.backend),
            State::Broken { .. } => ("", ""),
        };
        Plan {
            executor: executor.to_owned(),
            backend: backend.to_owned(),
            workers: subject.workers(trial.workers),
            seed: self.seed,
            metered: true,
            stall_threshold_ns: trial.threshold.as_nanos() as u64,
            clock: self.told_clock,
            rows: trial.rows.clone(),
            programs: trial.programs.clone(),
            server: trial.server.clone(),
            groups: trial.groups.clone(),
            files: trial.files.clone(),
        }
    }

    pub fn run(&self, subject: &Subject, trial: &Trial) -> Result<Measured, Unmeasured> {
        let State::Loadable { library, .. } = &subject.state else {
            return Err(Unmeasured::Failed("it was not built".to_owned()));
        };
        if interrupt::requested() {
            return Err(Unmeasured::Interrupted);
        }
        let plan = self.plan(subject, trial);
        if let Some(reason) = subject.unsupported(&plan) {
            return Err(Unmeasured::PassedOver(reason));
        }
        self.say(&subject.id);
        let began = Instant::now();
        let ended = trial::run(&trial::Order {
            executable: &self.executable,
            library,
            plan: &plan,
            load: trial.load,
            cpus: &self.division(trial),
            warmup: trial.warmup,
            measure: trial.measure,
            attention: Attention::Usual,
            freeze: trial.freeze,
            memory: Memory::default(),
            limits: Limits::USUAL,
        });
        let took = began.elapsed();
        self.progress.reach(self.began.elapsed().as_millis() as u64);
        let measured = match ended {
            Ended::Measured(measured) => *measured,
            Ended::Unmeasured { reason, .. } => return Err(Unmeasured::Failed(reason)),
            Ended::Interrupted => return Err(Unmeasured::Interrupted),
        };
        if !trial.is_of_fixed_work() {
            let asked_ns = trial.warmup.as_nanos() as u64 + measured.window_ns;
            let ns = (took.as_nanos() as u64).saturating_sub(asked_ns);
            self.overheads.borrow_mut().push(Overhead { subject: subject.id.clone(), ns });
        }
        match trial_error(&measured.findings, measured.load.as_ref()) {
            Some(reason) => Err(Unmeasured::Failed(reason)),
            None => Ok(measured),
        }
    }
}
