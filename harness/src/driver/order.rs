//! The messages between harness and driver, one JSON line each: an order, then reports.
//!
//! Never acts on them.

use std::net::SocketAddr;

use quadrant_reports::record::RampSlice;
use quadrant_suite::clock::ClockScale;
use quadrant_suite::histogram::Histogram;
use serde::{Deserialize, Serialize};

use super::arrivals::Arrivals;

/// The load of one trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Where the subject listens, on 127.0.0.1.
    pub port: u16,
    /// Another server in place of the subject. It gets requests only, without the token by which a
    /// subject knows the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<SocketAddr>,
    pub connections: u32,
    /// Size of a request, and of its answer.
    pub message_bytes: usize,
    /// Of an open loop; without them closed loop.
    pub arrivals: Option<Arrivals>,
    pub seed: u64,
    pub clock: ClockScale,
    /// CPUs the driver has to stay on; empty: any.
    pub cpus: Vec<usize>,
    /// How long opening the connections may take.
    pub connect_limit_ns: u64,
    /// The board's descriptor. [`super::process::Driver::spawn`] fills in this and the next two.
    pub board_fd: i32,
    /// Descriptors of the connections to the subject's roots, to send pings on.
    pub ping_fds: Vec<i32>,
    /// The harness's process id.
    pub parent: u32,
}

/// What the driver reports, in this order; `Failed` may take the place of either other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// This many connections are open; the load begins with the board's warm-up.
    Connected(u32),
    /// The trial is over.
    Finished(Box<Load>),
    /// There is no result, for this reason.
    Failed(String),
}

/// What the driver measured. The window is the time from the board's `Measuring` to its `Over`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Requests with a right and complete answer within the window.
    pub requests: u64,
    /// Connections lost or never opened, at any time before the end.
    pub errors: u64,
    /// Requests whose answer had other contents, at any time before the end.
    pub wrong_answers: u64,
    /// The first error.
    pub first_error: Option<String>,
    /// Of `requests`: from sending, or in open loop from the moment it was due.
    pub latency: Histogram,
    /// Open loop only: of the same requests, from when they were really sent (*service* latency,
    /// where `latency` is the *response* latency).
    pub uncorrected_latency: Option<Histogram>,
    /// Open loop only: how late each request of the window was sent, counted from when it was due
    /// and a connection was free. A wait for a connection is caused by the subject; this is not.
    #[serde(default)]
    pub send_lag: Option<Histogram>,
    /// The age, at the window's end, of requests without an answer: since they were sent, or in
    /// open loop due. A lower bound of their latency. A pause that lasts until the end shows
    /// here and nowhere else.
    pub unanswered: Histogram,
    /// Requests sent and not completely answered, on connections that have had an answer: one that
    /// waits in the accept queue is not served.
    pub in_flight_peak: u64,
    /// The same, averaged over the window's time, in thousandths.
    pub in_flight_mean_milli: u64,
    /// Open loop only: the most requests within the window that were due with no free connection.
    pub backlog_peak: u64,
    pub connections: u32,
    /// Answered at least once within the window.
    pub connections_served: u32,
    pub window_ns: u64,
    /// CPU time of the driver within the window, without the time it only polled.
    pub busy_ns: u64,
    /// Open loop: the rate, or where that is not the same at every moment, the requests that were due
    /// within the window divided by its length.
    pub asked_per_sec: Option<u64>,
    /// Open loop: the mean time between two moments at which requests are due.
    pub interval_ns: Option<u64>,
    /// What became of the requests along a ramp; empty of other loads.
    pub ramp: Vec<RampSlice>,
    /// `requests` divided by the window's length.
    pub achieved_per_sec: u64,
}
