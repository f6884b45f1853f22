//! Cells: which subject runs which case, planned one case at a time.

use std::time::Duration;

use quadrant_reports::record::AxisValue;
use quadrant_suite::clock::ClockScale;
use quadrant_suite::plan::{Action, FileSet, Group, Pace, Plan};

use super::options::CellOptions;
use crate::adapters::subject::{State, Subject};
use crate::commands::selection::Selected;
use crate::spec::Case;
use crate::system::allocator::Allocator;
use crate::system::cpus::Division;
use crate::trial::LoadShape;

/// What all cells of a run have in common.
pub struct Circumstances {
    pub seed: u64,
    pub clock: ClockScale,
    /// CPUs this process may use.
    pub cpus: Vec<usize>,
}

/// One case, ready to be given to subjects.
pub struct PlannedCase<'a> {
    pub scenario: &'a str,
    pub question: &'a str,
    pub case: Case,
    pub division: Division,
    /// Told to executors that can have several.
    pub workers: u32,
    /// The same, where the command line or the scenario says so.
    pub workers_asked: Option<u32>,
    pub allocator: Allocator,
    pub warmup: Duration,
    pub measure: Duration,
    pub load: Option<LoadShape>,
    seed: u64,
    clock: ClockScale,
}

impl<'a> PlannedCase<'a> {
    pub fn new(
        selected: &'a Selected,
        index: usize,
        options: &CellOptions,
        circumstances: &Circumstances,
    ) -> Self {
        let case = selected.scenario.case(index);
        let load = case.work.load.map(|load| LoadShape {
            connections: load.connections,
            message_bytes: load.message_bytes,
            rate_per_sec: load.rate_per_second.map(u64::from),
        });
        let division = Division::of(&circumstances.cpus, load.is_some());
        let workers_asked = options.workers.or(case.work.workers);
        let workers = workers_asked.unwrap_or((division.subject.len() as u32).clamp(1, 64));
        let allocator = options.allocator.or(case.work.allocator).unwrap_or_default();
        let (warmup, measure) = options.times(case.work.warmup_ns, case.work.measure_ns);
        Self {
            scenario: &selected.name,
            question: &selected.scenario.question,
            case,
            division,
            workers,
            workers_asked,
            allocator,
            warmup,
            measure,
            load,
            seed: circumstances.seed,
            clock: circumstances.clock,
        }
    }

    /// The plan of one cell. `files` is where the fixture lies, once there is one.
    pub fn plan(&self, subject: &Subject, files: Option<&str>) -> Plan {
        let work = &self.case.work;
        let (executor, backend) = match &subject.state {
            State::Loadable { executor, .. } => (&*executor.executor, &*executor.backend),
            State::Broken { .. } => ("", ""),
        };
        Plan {
            executor: executor.to_owned(),
            backend: backend.to_owned(),
            workers: subject.workers(self.workers),
            seed: self.seed,
            metered: true,
            stall_threshold_ns: work.stall_threshold_ns,
            clock: self.clock,
            rows: work.rows.clone(),
            programs: work.programs.clone(),
            server: work.server.clone(),
            groups: work.groups.clone(),
            files: work.files.map(|shape| FileSet {
                directory: files.unwrap_or_default().to_owned(),
                count: shape.count,
                bytes: shape.bytes,
                cold: shape.cold,
            }),
        }
    }

    /// `echo/connections connections=64`: what a record and a random order know it by.
    pub fn key(&self) -> String {
        case_key(self.scenario, &self.case.values)
    }

    /// Whether some of its work is done at some time, and does not go on until the window's end.
    pub fn has_fixed_work(&self) -> bool {
        self.case.work.groups.iter().any(Group::is_of_fixed_work)
    }

    /// What one operation is: `request`, or the name of the first group of tasks.
    pub fn operation(&self) -> String {
        match self.load {
            Some(_) => "request".to_owned(),
            None => self.case.work.groups.first().map_or_else(String::new, |it| it.name.clone()),
        }
    }

    /// Whether any step waits for a time, which passes while a subject is frozen.
    pub fn sleeps(&self) -> bool {
        let mut steps = self.case.work.programs.iter().flatten();
        steps.any(|step| matches!(step.action, Action::Sleep { .. }))
    }

    /// Why this cannot be measured in turns, if so, and what to do instead.
    pub fn unfit_for_turns(&self) -> Option<&'static str> {
        if self.load.is_some_and(|load| load.rate_per_sec.is_some()) {
            return Some(
                "its load comes at a fixed rate, which goes on while a subject is frozen: leave out \
                 `rate`, or use `run`",
            );
        }
        let mut groups = self.case.work.groups.iter();
        if groups.any(|group| matches!(group.pace, Pace::Every { .. })) {
            return Some(
                "it has tasks on a schedule (`every`), which goes on while a subject is frozen: use \
                 `run`",
            );
        }
        if self.has_fixed_work() {
            return Some(
                "its work is done at some time (`repeat`), and turns need work that goes on: use \
                 `run`",
            );
        }
        None
    }

    /// What may spoil every trial of this case.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.load.is_some() && self.division.subject == self.division.driver {
            warnings.push(
                "subject and driver share the only CPU: each measures the other as well".to_owned(),
            );
        }
        warnings
    }
}

pub fn case_key(scenario: &str, values: &[AxisValue]) -> String {
    values
        .iter()
        .fold(scenario.to_owned(), |key, value| format!("{key} {}={}", value.axis, value.value))
}
