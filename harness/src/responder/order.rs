//! The messages between harness and responder, one JSON line each: an order, then reports.
//!
//! Never acts on them.

use quadrant_suite::clock::ClockScale;
use quadrant_suite::histogram::Histogram;
use serde::{Deserialize, Serialize};

use super::latency::Latency;

/// The backends of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub backends: Vec<Backend>,
    pub seed: u64,
    pub clock: ClockScale,
    /// CPUs the responder has to stay on; empty: any.
    pub cpus: Vec<usize>,
    /// The board's descriptor. [`super::process::Responder::spawn`] fills in this and the next.
    pub board_fd: i32,
    /// The harness's process id; 0 stands for a thread of this process.
    pub parent: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    pub name: String,
    pub latency: Latency,
    pub answer_bytes: usize,
}

/// What the responder reports, in this order; `Failed` may take the place of either other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It listens on this port of 127.0.0.1.
    Listening(u16),
    /// The window is over. It goes on answering until it is ended.
    Finished(Box<Answers>),
    /// There is no result, for this reason.
    Failed(String),
}

/// What the responder counted. The window is the time from the board's `Measuring` to its `Over`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// In the order's order.
    pub backends: Vec<BackendAnswers>,
    /// How much later than due the sending of an answer began.
    pub lateness: Histogram,
    /// CPU time within the window.
    pub busy_ns: u64,
    pub window_ns: u64,
    /// Connections of other processes, during the whole trial. None was answered.
    pub strangers: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendAnswers {
    pub name: String,
    /// How long after its query each answer was due, of answers sent within the window.
    pub delay: Histogram,
    /// The most queries that waited for their answer at once, during the whole trial.
    pub in_flight_peak: u64,
}
