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
pub mod noise;
pub mod read;
pub mod turns;

use std::collections::BTreeMap;
use std::fmt;

use quadrant_suite::histogram::Histogram;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

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

/// What was measured while the window was open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// What one operation is: `request`, or the name of the first group of tasks.
    pub operation: String,
    pub ops: u64,
    pub errors: u64,
    pub elapsed_ns: u64,
    /// Requests at some twenty moments of the window: nanoseconds since it opened, and how many
    /// the subject had answered since then, by its own count. Empty where there is no server, and
    /// where the work is of a fixed amount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<(u64, u64)>,
    pub ops_per_sec: f64,
    /// Those that had taken longer than 99 of 100 when the window closed, and were not over then,
    /// are in it with the time they had taken: a lower bound, but not nothing.
    pub latency_ns: Latency,
    /// What was not over when the window closed.
    #[serde(default)]
    pub unended: Unended,
    /// Present when a driver made the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadMetrics>,
    /// Present when tasks queried backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responder: Option<ResponderMetrics>,
    pub concurrency: Concurrency,
    /// Named steps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<String, Latency>,
    /// For the named steps that cancel: how many of their programs were dropped before their end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cancelled: BTreeMap<String, u64>,
    /// The types of the objects that tasks share: those of `lock`, `channel` and `barrier`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shared_types: BTreeMap<String, String>,
    /// The groups of clients where they have names, then those of tasks beside the one that
    /// `operation` names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupMetrics>,
    pub threads: Threads,
    pub stalls: Stalls,
    /// How late the loop answered pings from outside, sent at a steady pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_ns: Option<Latency>,
    /// CPU time of the subject, all its threads, kernel work included.
    pub cpu_ns: u64,
    /// Pages that the subject touched for the first time, or again after giving them back.
    #[serde(default)]
    pub page_faults: u64,
    pub context_switches: ContextSwitches,
    pub rss_bytes: Rss,
}

impl Metrics {
    /// How much the memory had grown when the window opened, for each connection. `None` where it had
    /// shrunk.
    pub fn rss_per_connection(&self) -> Option<u64> {
        let grown = self.rss_bytes.with_load?.checked_sub(self.rss_bytes.before_load?)?;
        grown.checked_div(self.load.as_ref()?.connections)
    }
}

/// Operations in flight at the window's end, and the longest time one had taken until then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unended {
    pub count: u64,
    pub longest_ns: u64,
}

/// What the driver reports beside latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadMetrics {
    pub connections: u64,
    /// Answered at least once within the window.
    pub connections_served: u64,
    /// Not answered within the window because they had asked nothing in its first half.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub connections_idle: u64,
    /// Open loop: the rate asked for, of several groups where all have one. `latency_ns` then is the
    /// *response* latency: it counts from when a request was due.
    pub asked_per_sec: Option<u64>,
    /// Open loop: the most requests that were due with no connection free for them.
    pub backlog_peak: Option<u64>,
    /// CPU time of the driver within the window, without what it spent waiting awake.
    #[serde(default)]
    pub busy_ns: u64,
    /// Open loop: requests a second that the driver can about carry, a forecast: a second by the
    /// CPU time that it needed for one against a server that only echoes, with as many connections
    /// and messages as large, measured before the trials. `None` where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_per_sec: Option<u64>,
    /// Open loop: the *service* latency, from when a request was really sent.
    pub uncorrected_latency_ns: Option<Latency>,
    /// Clients that reconnect: the time to connect, and from beginning to connect to the first
    /// answer on that connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ns: Option<Latency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_answer_ns: Option<Latency>,
    /// From the first connect of the load until the subject had accepted all connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_accepted_ns: Option<u64>,
    /// Open loop: how late requests were sent that were due and had a connection free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_lag_ns: Option<Latency>,
    /// Of a rate that changes within the window: what became of the requests, by when they were
    /// due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramp: Vec<RampSlice>,
}

/// The requests that were due in one part of the window of a ramp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampSlice {
    /// In the middle of that part.
    pub asked_per_sec: u64,
    pub due: u64,
    /// Of them, by the end of the window.
    pub answered: u64,
    /// From when they were due. One without an answer counts with its age at the window's end where
    /// that is longer than 99 of 100 others; without any of either the figures are 0.
    pub p50_ns: u64,
    pub p99_ns: u64,
    /// The most requests in that part of the window that were due with no connection free for them.
    pub backlog_peak: u64,
}

/// What the load of a trial had shown when its subject ended before its time. Never ranked: the trial
/// has no result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutShort {
    /// From the opening of the window until the end was noticed.
    pub elapsed_ns: u64,
    /// The requests answered in that time.
    pub requests: GroupMetrics,
    /// Connections lost, by the end of the subject too.
    pub errors: u64,
    pub wrong_answers: u64,
    pub load: LoadMetrics,
}

/// What the process that plays the backends reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponderMetrics {
    pub backends: Vec<BackendMetrics>,
    /// How late the sending of answers began, which is no latency of the subject's.
    pub lateness_ns: Latency,
    /// CPU time of the responder within the window.
    pub busy_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackendMetrics {
    pub name: String,
    /// Sent within the window.
    pub answers: u64,
    /// How long it took for them, as drawn from the scenario's latency.
    pub delay_ns: Latency,
    /// The most queries that waited at once, during the whole trial.
    pub in_flight_peak: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupMetrics {
    pub name: String,
    pub ops: u64,
    pub ops_per_sec: f64,
    pub latency_ns: Latency,
    pub concurrency: Concurrency,
    /// Where it is a group of clients, and not of tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadMetrics>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub min: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
    pub mean: u64,
    #[serde(deserialize_with = "ordered")]
    pub histogram: Histogram,
}

/// Quantiles lie between the least and the largest value.
fn ordered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram, D::Error> {
    let histogram = Histogram::deserialize(deserializer)?;
    match histogram.is_empty() || histogram.min() <= histogram.max() {
        true => Ok(histogram),
        false => Err(D::Error::custom("the least value of a histogram is above its largest")),
    }
}

impl From<Histogram> for Latency {
    fn from(histogram: Histogram) -> Self {
        Self {
            min: histogram.min(),
            p50: histogram.quantile(0.5),
            p90: histogram.quantile(0.9),
            p99: histogram.quantile(0.99),
            p999: histogram.quantile(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
            histogram,
        }
    }
}

/// Operations in flight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Concurrency {
    pub peak: u64,
    pub mean: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threads {
    pub peak: u64,
    pub mean: f64,
    /// Threads that polled tasks.
    pub loops: u64,
    /// io_uring's kernel workers at most.
    pub kernel: u64,
    /// How `peak` was found: `pids cgroup` is exact over the window, other processes that the
    /// subject started in it included; `sampled` may miss a thread that lived for a moment.
    pub method: String,
    /// Threads created in the window, those of the kernel not among them; not known everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// How often a task went on in another thread than the one that had polled it before, since the
    /// trial began; not in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations: Option<u64>,
    /// When the number of threads changed, in milliseconds since the window opened, and to what,
    /// as sampled; in a restless window the highest of neighbouring numbers stands for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<(u64, u64)>,
    /// The most threads seen under each name; digits at a name's end are left out.
    pub names: BTreeMap<String, u64>,
}

/// Polls that lasted at least `threshold_ns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stalls {
    pub threshold_ns: u64,
    pub count: u64,
    pub longest_ns: u64,
    pub total_ns: u64,
    /// Of `total_ns`: stalls that had not ended with the window, whose causes are not known.
    #[serde(default)]
    pub unfinished_ns: u64,
    /// Of `total_ns`: the thread was running.
    #[serde(default)]
    pub cpu_ns: u64,
    /// Of `total_ns`: it could have run, but others had the CPU.
    #[serde(default)]
    pub run_queue_ns: u64,
    /// Of `total_ns`: it waited for something, in the middle of a poll.
    #[serde(default)]
    pub blocked_ns: u64,
    /// Time during which every loop stood still; unknown when there were too many stalls to keep.
    #[serde(default)]
    pub all_loops_ns: Option<u64>,
    /// What the stalled threads were doing when they were looked at from outside: the system
    /// call, or `running`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen_in: BTreeMap<String, u64>,
    /// Polls of at least 1 ms.
    pub count_1ms: u64,
    /// Polls of at least 100 ms.
    pub count_100ms: u64,
    pub polls: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextSwitches {
    pub voluntary: u64,
    pub involuntary: u64,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rss {
    pub start: u64,
    pub peak: u64,
    /// Before the load's connections were opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_load: Option<u64>,
    /// When the window opened, under the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_load: Option<u64>,
}
