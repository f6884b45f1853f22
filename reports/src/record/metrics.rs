//! What a trial has measured while its window was open.
//!
//! Never derived from other fields, unless these are left out of the record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::latency::Latency;
use super::load::{LoadMetrics, ResponderMetrics};

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
