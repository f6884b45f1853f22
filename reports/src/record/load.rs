//! What the processes beside a subject report of a trial: the load driver and the responder.
//!
//! Never measured by the subject itself.

use serde::{Deserialize, Serialize};

use super::latency::Latency;

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
