//! The record: what one trial left behind, as one JSON line.
//!
//! Integers in nanoseconds, bytes and counts; nothing is rounded here. Fields are added, never
//! changed in meaning; a reader refuses a `schema` that it does not support. Never depends on
//! anything that compares or prints, so that measuring code needs this module only.

pub mod by_case;
pub mod claim;
pub mod driver_limit;
pub mod evidence;
pub mod expectation;
mod latency;
mod load;
mod metrics;
pub mod noise;
pub mod read;
pub mod turns;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use latency::Latency;
pub use load::{BackendMetrics, LoadMetrics, RampSlice, ResponderMetrics};
pub use metrics::{
    Concurrency, ContextSwitches, CutShort, GroupMetrics, Metrics, Rss, Stalls, Threads, Unended,
};
use turns::Turn;

/// The version of this format.
pub const SCHEMA: u32 = 1;

/// One trial of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub schema: u32,
    pub run_id: String,
    pub seed: u64,
    pub scenario: String,
    /// What the scenario asks, for the heading of its tables.
    pub question: String,
    /// A few words on the workload of this case ("64 B, closed loop"), for the same heading.
    pub workload: String,
    /// The axes' values of this case, in the scenario's order.
    pub case: Vec<AxisValue>,
    /// Whether the scenario asks where one backend overtakes another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crossovers: bool,
    /// The axis whose values are the rows of the scenario's tables; without one, subjects are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_axis: Option<String>,
    /// What the scenario says of its cases together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<claim::Claim>,
    /// Which pass over the case this trial belongs to.
    #[serde(default, skip_serializing_if = "Pass::is_alone")]
    pub pass: Pass,
    /// Counted from 0 in each pass. In turns: the start. Subjects with the same start and group
    /// were alive together.
    pub trial: u32,
    pub subject: Subject,
    /// Workers that the scenario or the command line wants of every executor that can have
    /// several; how many this one was given stands in `subject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers_asked: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    pub status: Status,
    /// Why it is not `ok`, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Present only when the figures may be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Where a subject that had a load ended within the window: what the load was until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<CutShort>,
    /// In turns only: what was done, round by round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Turns>,
    /// How the process's memory was laid out, drawn by chance for each trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// What a pass of its own has shown of this cell; every trial of the cell carries the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The noise while the window was open, where the system reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What the scenario expects of this case, and whether it came so. The conditions of a claim stand
    /// here for a trial without figures, too.
    #[serde(default)]
    pub expectations: Vec<CheckedExpectation>,
    /// How long the whole trial took, with its start and end.
    pub took_ns: u64,
}

impl Record {
    /// Which trial of its case this is: pass, group, number and subject. If it was made again, the
    /// later record counts.
    pub fn trial_key(&self) -> (Pass, u32, u32, &str) {
        let group = self.turns.as_ref().map_or(0, |turns| turns.group);
        (self.pass, group, self.trial, &self.subject.id)
    }

    /// The metrics, if they may be believed.
    pub fn valid_metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref().filter(|_| self.status == Status::Ok)
    }

    /// The turns, if they may be believed.
    pub fn valid_turns(&self) -> Option<&Turns> {
        let turns = self.turns.as_ref()?;
        (self.status == Status::Ok && !turns.rounds.is_empty()).then_some(turns)
    }

    /// What the trial has to meet. Where there is a claim, figures are its conditions instead.
    pub fn demands(&self) -> impl Iterator<Item = &CheckedExpectation> {
        self.expectations.iter().filter(|checked| !self.is_condition(checked))
    }

    /// What the answer to the scenario's claim depends on.
    pub fn conditions(&self) -> impl Iterator<Item = &CheckedExpectation> {
        self.expectations.iter().filter(|checked| self.is_condition(checked))
    }

    fn is_condition(&self, checked: &CheckedExpectation) -> bool {
        self.has_sentence() && checked.answer.is_none()
    }

    /// Whether its scenario puts a sentence to the test.
    pub(crate) fn has_sentence(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.sentence.is_some())
    }

    pub fn has_figures(&self) -> bool {
        self.valid_metrics().is_some() || self.valid_turns().is_some()
    }

    /// What one operation is, where there are figures.
    pub fn operation(&self) -> Option<&str> {
        let alone = self.valid_metrics().map(|metrics| metrics.operation.as_str());
        alone.or_else(|| Some(self.valid_turns()?.operation.as_str()))
    }
}

/// How a trial's subject was run.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// By itself: latency, threads, stalls, memory, and throughput where it cannot be frozen.
    #[default]
    Alone,
    /// One of several, of which one at a time ran and the others were frozen: throughput and CPU
    /// per operation.
    Turns,
}

impl Pass {
    fn is_alone(&self) -> bool {
        *self == Pass::Alone
    }
}

/// A trial in turns. Its figures stand here and not in `metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    /// Which group of subjects it ran among, where a case has too many for one.
    #[serde(default)]
    pub group: u32,
    /// Id of the subject that runs in every group, so that ratios to it join groups and runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What one operation is: `request`, or the name of the first group of tasks.
    pub operation: String,
    /// One for each round; empty unless the status is `ok`.
    pub rounds: Vec<Turn>,
}

/// What decides where stack, heap and buffers of a process lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// How much longer its environment was made.
    pub environment_bytes: u32,
    /// Size of an allocation before everything else, which is kept.
    pub first_allocation_bytes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AxisValue {
    pub axis: String,
    pub value: String,
}

impl fmt::Display for AxisValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.axis, self.value)
    }
}

/// One expectation of the scenario, held against this record's metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckedExpectation {
    /// As in the scenario: `stalls.count = 0`.
    pub expected: String,
    /// The axes for which its entry has one value in `when`, and these values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<AxisValue>,
    /// `None` when the trial has no such figure, as no latency when nothing completed.
    pub seen: Option<f64>,
    /// Where a behaviour was expected: what the behaviour kit has found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    pub met: bool,
}

/// The thing compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `runtime/executor/backend`.
    pub id: String,
    pub runtime: String,
    pub version: String,
    pub executor: String,
    pub backend: String,
    /// Threads that it was given to run tasks on; 0 for one thread for each task.
    pub workers: u32,
    /// A note for readers of its figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The CPUs that each may run on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpus {
    pub subject: Vec<usize>,
    /// Empty where there is no driver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub driver: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// The subject or the machine cannot do this.
    Unsupported,
    /// It ran and gave wrong answers, errors or a refusal.
    Failed,
    /// Its process ended before it should.
    Crashed,
    TimedOut,
    /// Nothing is known of it: the library would not build or load, the harness was stopped.
    Unmeasured,
}

/// System calls of the subject, counted in a pass that is not timed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How they were counted.
    pub method: String,
    /// Calls that were begun in the window of that pass, by name.
    pub syscalls: BTreeMap<String, u64>,
    /// Operations that were completed in it, the other groups' included.
    pub ops: u64,
    pub backend_seen: BackendSeen,
    /// What read the files; `None` if none are read or the threads cannot be distinguished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_seen: Option<FilesSeen>,
    /// Whether nothing of it speaks against the backend that the subject says it has.
    pub agrees: bool,
}

/// The mechanism that operations were seen to wait by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendSeen {
    IoUring,
    Epoll,
    Poll,
    /// Calls that wait by themselves.
    Blocking,
    Unknown,
}

/// What read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesSeen {
    /// The kernel, asked by io_uring.
    Ring,
    /// Threads beside those that run tasks.
    Pool,
    /// The threads that run tasks.
    Inline,
}

/// The noise of a trial: what the machine did beside it, on the CPUs that the trial used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// What these CPUs could have given: their number times the time that was watched.
    pub capacity_ns: u64,
    /// CPU time that a hypervisor gave to others.
    pub steal_ns: u64,
    /// CPU time that was used by neither the subject nor its load nor the harness. Kept to 10 ms
    /// a CPU by the system.
    pub others_cpu_ns: u64,
    /// How long threads of the subject were ready to run and waited for a CPU, all added up.
    pub run_queue_ns: u64,
    /// Processes that ran or waited for a CPU, as a mean over the last minute, in thousandths.
    pub load_milli: u64,
    /// What sets the CPUs' frequency; `None` where nothing does, as in most virtual machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
}
