//! A planned case: one case of a scenario with all that is the same for every subject.
//!
//! Never runs anything: it makes the plans and trials that others run.

use std::path::Path;
use std::time::Duration;

use quadrant_reports::number::round_duration;
use quadrant_reports::record::claim::Claim;
use quadrant_reports::record::{AxisValue, Status};
use quadrant_suite::clock::ClockScale;
use quadrant_suite::plan::{self, Action, FileSet, Group, Pace, Plan};

use super::options::CellOptions;
use crate::adapters::subject::{State, Subject};
use crate::commands::selection::Selected;
use crate::driver::order::ClientGroup;
use crate::fixtures::slow_disk_works;
use crate::responder::order::Backend;
use crate::spec::{self, Case, Demand};
use crate::system::allocator::Allocator;
use crate::system::cpus::Division;
use crate::trial::{Attention, Limits, Memory, Order};

/// What all cases of a run have in common.
pub struct Circumstances {
    pub seed: u64,
    pub clock: ClockScale,
    /// CPUs this process may use.
    pub cpus: Vec<usize>,
}

pub struct PlannedCase<'a> {
    pub scenario: &'a str,
    pub question: &'a str,
    /// What the behaviour kit has to find on each subject.
    pub demands: &'a [Demand],
    /// What the scenario says of its cases together.
    pub claim: Option<&'a Claim>,
    /// The axis whose values are the rows of the scenario's tables.
    pub rows_axis: Option<&'a str>,
    pub case: Case,
    pub division: Division,
    /// Workers of executors that can have several.
    pub workers: u32,
    /// The same, where the command line or the scenario gives it.
    pub workers_asked: Option<u32>,
    pub allocator: Allocator,
    pub warmup: Duration,
    pub measure: Duration,
    /// The scenario's measuring time, where `--quick` cut it.
    pub uncut: Option<Duration>,
    /// What the responder plays.
    pub backends: Vec<Backend>,
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
        let (warmup, measure) = options.times(case.work.warmup_ns, case.work.measure_ns);
        // The responder has the driver's CPUs.
        let is_divided = !case.work.load.is_empty() || !case.work.backends.is_empty();
        let division = Division::of(&circumstances.cpus, is_divided);
        let backends = case.work.backends.iter().map(|backend| Backend {
            name: backend.name.clone(),
            latency: backend.latency.clone(),
            answer_bytes: backend.answer_bytes,
        });
        let workers_asked = options.workers.or(case.work.workers);
        let workers = workers_asked.unwrap_or((division.subject.len() as u32).clamp(1, 64));
        let allocator = options.allocator.or(case.work.allocator).unwrap_or_default();
        Self {
            scenario: &selected.name,
            question: &selected.scenario.question,
            demands: selected.scenario.behaviours(),
            claim: selected.scenario.claim(),
            rows_axis: selected.scenario.rows_axis(),
            division,
            workers,
            workers_asked,
            allocator,
            warmup,
            measure,
            uncut: Some(Duration::from_nanos(case.work.measure_ns)).filter(|it| *it > measure),
            backends: backends.collect(),
            seed: circumstances.seed,
            clock: circumstances.clock,
            case,
        }
    }

    /// The plan of one subject. `files` is the directory of the fixture, once there is one.
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
            options: subject.options.clone(),
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
                latency_ns: shape.latency.map_or(0, |latency| latency.as_nanos() as u64),
            }),
            written: None,
            backends: work.backends.iter().map(planned_backend).collect(),
            locks: work.locks.clone(),
            barriers: work.barriers.clone(),
            channels: work.channels.clone(),
            check: None,
        }
    }

    pub fn clock(&self) -> ClockScale {
        self.clock
    }

    /// What the driver does; nothing without a load.
    pub fn load(&self) -> &[ClientGroup] {
        &self.case.work.load
    }

    /// `echo/connections connections=64`: the case's name in progress, records and random seeds.
    pub fn key(&self) -> String {
        case_key(self.scenario, &self.case.values)
    }

    /// Whether some of its work has an end of its own, before that of the window.
    pub fn has_fixed_work(&self) -> bool {
        self.case.work.groups.iter().any(Group::is_of_fixed_work)
    }

    /// What one operation is: `request`, or the name of the first group of tasks.
    pub fn operation(&self) -> String {
        if !self.load().is_empty() {
            return "request".to_owned();
        }
        self.case.work.groups.first().map_or_else(String::new, |it| it.name.clone())
    }

    /// How there can be more measuring time.
    pub fn advice_on_time(&self) -> String {
        match self.uncut {
            Some(uncut) => format!(
                "`--quick` cut the measuring time from {} to {}: run without it",
                round_duration(uncut.as_nanos() as u64),
                round_duration(self.measure.as_nanos() as u64)
            ),
            None => "give the scenario more time (`time: {measure: …}`)".to_owned(),
        }
    }

    /// Whether any step waits for a time that passes while a subject is frozen, too: it sleeps, has a
    /// limit, or reads from a slow disk.
    pub fn sleeps(&self) -> bool {
        if self.case.work.files.is_some_and(|files| files.latency.is_some()) {
            return true;
        }
        let mut steps = self.case.work.programs.iter().flatten();
        steps.any(|step| matches!(step.action, Action::Sleep { .. } | Action::Timeout { .. }))
    }

    /// Of all files that can be written at once.
    pub fn written_bytes(&self) -> u64 {
        self.case.work.written_bytes
    }

    /// Whether any step waits for a backend.
    pub fn queries(&self) -> bool {
        !self.backends.is_empty()
    }

    /// Why the case cannot be measured in turns, and what to do instead; `None` if it can.
    pub fn no_turns(&self) -> Option<&'static str> {
        if self.load().iter().any(|group| group.arrivals.is_some()) {
            return Some(
                "its load comes at a fixed rate, which goes on while a subject is frozen: leave out \
                 `rate`, or use `run`",
            );
        }
        let pauses = |group: &ClientGroup| {
            let habits = &group.habits;
            habits.think_ns.is_some() || habits.fragments.is_some() || habits.read.is_some()
        };
        if self.load().iter().any(pauses) {
            return Some(
                "its clients pause (`think`, `fragments`, `read`), and time passes while a subject is \
                 frozen: use `run`",
            );
        }
        let groups = &self.case.work.groups;
        if groups.iter().any(|group| matches!(group.pace, Pace::Every { .. })) {
            return Some(
                "it has tasks on a schedule (`every`), which goes on while a subject is frozen: use \
                 `run`",
            );
        }
        if self.queries() {
            return Some(
                "it queries backends, which go on answering while a subject is frozen: use `run`",
            );
        }
        if self.written_bytes() > 0 {
            return Some(
                "it writes files, and the system puts them on the disk while others run: use `run`",
            );
        }
        self.has_fixed_work().then_some(
            "its work has an end of its own (`repeat`), and turns need work that goes on: use `run`",
        )
    }

    /// Why this subject cannot run the case, where that is known before a trial.
    pub fn refusal(&self, subject: &Subject) -> Option<(Status, String)> {
        if let State::Broken { reason } = &subject.state {
            return Some((Status::Unmeasured, reason.clone()));
        }
        let is_slow = self.case.work.files.is_some_and(|files| files.latency.is_some());
        let no_disk = || is_slow.then(slow_disk_works)?.err();
        let reason = subject.unsupported(&self.plan(subject, None)).or_else(no_disk)?;
        Some((Status::Unsupported, reason))
    }

    /// One trial of this case, of a subject that is not refused.
    pub fn trial<'o>(
        &'o self,
        executable: &'o Path,
        subject: &'o Subject,
        plan: &'o Plan,
        attention: Attention,
        memory: Memory,
        limits: Limits,
    ) -> Order<'o> {
        let State::Loadable { library, .. } = &subject.state else {
            unreachable!("a subject without a library is refused before its trials")
        };
        Order {
            executable,
            library,
            plan,
            load: self.load(),
            backends: &self.backends,
            cpus: &self.division,
            warmup: self.warmup,
            measure: self.measure,
            attention,
            freeze: None,
            memory,
            limits,
        }
    }

    /// What may distort every trial of this case.
    pub fn warnings(&self) -> Vec<String> {
        let shares = self.division.subject == self.division.driver;
        let other = match (self.load(), self.queries()) {
            ([_, ..], _) => "driver",
            ([], true) => "responder",
            ([], false) => return Vec::new(),
        };
        let warning =
            || format!("subject and {other} share the only CPU: each measures the other as well");
        shares.then(warning).into_iter().collect()
    }
}

/// Its port is put in when the responder listens.
fn planned_backend(backend: &spec::Backend) -> plan::Backend {
    plan::Backend { port: 0, answer_bytes: backend.answer_bytes, pool: backend.pool }
}

pub fn case_key(scenario: &str, values: &[AxisValue]) -> String {
    values
        .iter()
        .fold(scenario.to_owned(), |key, value| format!("{key} {}={}", value.axis, value.value))
}
