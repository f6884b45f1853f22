//! The outcome: what a subject itself knows at the end of its trial.
//!
//! It crosses back to the harness as one JSON text. It holds only what cannot be seen from
//! outside; threads, CPU time and memory are never taken from here.

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::histogram::Histogram;
use crate::injection::Injected;

/// How the trial ended, from the inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Outcome {
    Finished(Findings),
    /// The runtime cannot do this here; the reason names the remedy where there is one.
    Unsupported {
        reason: String,
    },
    Failed {
        reason: String,
    },
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
    /// What the first error said.
    pub first_error: Option<String>,
    /// Connections of other processes than the parent and the driver. None was served.
    #[serde(default)]
    pub strangers: u64,
    /// Window of the groups that have a fixed number of operations, when they ended by themselves.
    pub finished_after_ns: Option<u64>,
    /// The stalls that the plan has asked for; ordinary plans ask for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injected: Vec<Injected>,
    /// The pings one by one, beside such stalls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pings: Vec<Ping>,
}

/// One ping of the parent's.
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
    /// How long those operations had taken when the window closed that were not over then.
    pub unended: Histogram,
    pub in_flight_peak: u64,
    /// Thousandths, so that the outcome holds integers only.
    pub in_flight_mean_milli: u64,
}

/// One named step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowFindings {
    pub name: String,
    pub latency: Histogram,
}
