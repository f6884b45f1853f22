//! The outcome: what a subject itself has counted at the end of its trial.
//!
//! It returns to the harness as one JSON text and holds only what cannot be observed from outside.
//! Threads, CPU time and memory are never taken from here.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::histogram::Histogram;
use crate::plan::Hold;

/// How the trial ended, as seen by the subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Outcome {
    Finished(Box<Findings>),
    /// A behaviour check has its answer.
    Checked(Verdict),
    /// The runtime cannot run this here; the reason includes a remedy if there is one.
    Unsupported {
        reason: String,
    },
    Failed {
        reason: String,
    },
}

/// What a check has found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Verdict {
    Pass { seen: String },
    Fail { seen: String },
    Answer { word: String, seen: String },
    Number { value: f64, unit: String },
    Unsupported { reason: String },
}

impl Verdict {
    pub(crate) fn pass(seen: impl Into<String>) -> Self {
        Verdict::Pass { seen: seen.into() }
    }

    pub(crate) fn fail(seen: impl Into<String>) -> Self {
        Verdict::Fail { seen: seen.into() }
    }

    pub(crate) fn answer(word: &str, seen: impl Into<String>) -> Self {
        Verdict::Answer { word: word.to_owned(), seen: seen.into() }
    }

    pub(crate) fn number(value: f64, unit: &str) -> Self {
        Verdict::Number { value, unit: unit.to_owned() }
    }
}

/// What was counted while the parent's measuring window was open.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// In the plan's order.
    pub groups: Vec<GroupFindings>,
    /// Latency of the named steps, in the order of the plan's rows.
    pub rows: Vec<RowFindings>,
    /// How late pings were read.
    pub impact: Histogram,
    /// Operations that did not succeed, during the whole trial.
    pub errors: u64,
    /// Those of them that gave a wrong answer.
    pub wrong_answers: u64,
    /// Tasks that panicked, during the whole trial.
    pub panics: u64,
    /// The text of the first error.
    pub first_error: Option<String>,
    /// Connections of processes other than the parent and the driver. None was served.
    #[serde(default)]
    pub strangers: u64,
    /// When as many connections were accepted as the load opens at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_accepted_at: Option<Stamp>,
    /// When groups with a fixed number of operations had completed them.
    pub finished_after_ns: Option<u64>,
    /// The types of the objects that tasks share: those of `lock`, `channel` and `barrier`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shared_types: BTreeMap<String, String>,
    /// The injected stalls, if the plan injects any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injected: Vec<Injected>,
    /// Every ping, if the plan injects stalls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pings: Vec<Ping>,
}

/// One ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    pub sent: Stamp,
    pub read: Stamp,
}

/// One group of tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupFindings {
    pub name: String,
    pub ops: u64,
    pub latency: Histogram,
    /// Age, at the end of the window, of the operations that had not ended.
    pub unended: Histogram,
    pub in_flight_peak: u64,
    /// In thousandths, so that the outcome holds integers only.
    pub in_flight_mean_milli: u64,
}

/// One named step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowFindings {
    pub name: String,
    pub latency: Histogram,
    /// What the step has cancelled, if it is one that cancels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<u64>,
}

/// One injected stall, as it was measured by the task that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injected {
    pub hold: Hold,
    /// By the clock of the plan, to be compared with the board.
    pub start: Stamp,
    pub end: Stamp,
    /// By the system's monotonic clock, independent of the plan's clock.
    pub wall_ns: u64,
    pub cpu_ns: u64,
    pub run_queue_ns: u64,
}

/// Why an adapter does not run a plan.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot be done here; the text includes a remedy if there is one.
    Unsupported(String),
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unsupported(reason) | Refusal::Failed(reason) => formatter.write_str(reason),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Failed(format!("the runtime could not be started: {error}"))
    }
}
