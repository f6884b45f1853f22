//! The messages between harness and driver, one JSON line each: an order, then reports.
//!
//! Never acts on them.

use std::net::SocketAddr;
use std::time::Duration;

use quadrant_reports::record::RampSlice;
use quadrant_suite::clock::{ClockScale, Stamp};
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
    pub groups: Vec<ClientGroup>,
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

impl Order {
    /// Any CPU will do, and 10 s are enough to open the connections.
    pub fn new(port: u16, groups: Vec<ClientGroup>, clock: ClockScale) -> Self {
        Self {
            port,
            server: None,
            groups,
            seed: 1,
            clock,
            cpus: Vec::new(),
            connect_limit_ns: 10_000_000_000,
            board_fd: 0,
            ping_fds: Vec::new(),
            parent: 0,
        }
    }
}

/// Clients that behave alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientGroup {
    /// Empty where the load has one group without a name.
    pub name: String,
    pub connections: u32,
    /// Size of a request, and of its answer; the largest, where they differ.
    pub message_bytes: usize,
    /// The sizes, where they differ.
    #[serde(default)]
    pub sizes: Vec<Size>,
    /// Of all its connections together (open loop); without them closed loop.
    pub arrivals: Option<Arrivals>,
    #[serde(default)]
    pub habits: Habits,
}

/// The same for a window of another length.
pub fn within(groups: &[ClientGroup], window: Duration) -> Vec<ClientGroup> {
    let arrivals = |group: &ClientGroup| Some(group.arrivals?.within(window.as_nanos() as u64));
    let within = |group| ClientGroup { arrivals: arrivals(group), ..group.clone() };
    groups.iter().map(within).collect()
}

/// A size of requests, drawn in proportion to its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    pub bytes: usize,
    pub weight: u32,
}

/// What a client does otherwise than one that sends and reads at once, one request at a time, on a
/// connection that stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habits {
    /// Sends a request in parts.
    pub fragments: Option<Parts>,
    /// Reads in parts.
    pub read: Option<Parts>,
    /// Closed loop: from an answer to the next request.
    pub think_ns: Option<u64>,
    /// Closed loop: requests in flight on a connection; one, if nothing stands here.
    pub pipeline: Option<u32>,
    /// Requests on a connection, which then is closed and opened anew.
    pub requests: Option<u32>,
}

/// At most this many bytes, then a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    pub bytes: usize,
    pub pause_ns: u64,
}

impl Habits {
    /// Whether something comes between an answer and the next request on that connection.
    pub fn rests(&self) -> bool {
        self.think_ns.is_some() || self.requests.is_some()
    }
}

impl ClientGroup {
    /// A closed loop of requests of one size.
    pub fn plain(connections: u32, message_bytes: usize) -> Self {
        Self { connections, message_bytes, ..Self::default() }
    }

    /// Whether its clients send requests of one size, each when the one before is answered.
    pub fn is_plain(&self) -> bool {
        self.sizes.is_empty() && self.habits == Habits::default()
    }
}

/// Whether the subject cannot know from the size alone where a request ends, so that each has to
/// begin with its length.
pub fn need_lengths(groups: &[ClientGroup]) -> bool {
    let size = groups.first().map_or(0, |group| group.message_bytes);
    groups.iter().any(|group| {
        !group.sizes.is_empty()
            || group.message_bytes != size
            || group.habits.pipeline.is_some_and(|most| most > 1)
    })
}

/// The connections of all groups together.
pub fn connections(groups: &[ClientGroup]) -> u32 {
    groups.iter().map(|group| group.connections).sum()
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

impl Load {
    /// Each group that has figures of its own; the load itself where it has no groups.
    pub fn parts(&self) -> &[Load] {
        if self.groups.is_empty() { std::slice::from_ref(self) } else { &self.groups }
    }

    /// All groups as one. What only a group by itself has is left out where there are several.
    pub(super) fn together(groups: &[Self]) -> Self {
        let [first, others @ ..] = groups else { return Self::default() };
        let mut all = Self { name: String::new(), ..first.clone() };
        if !others.is_empty() {
            all.backlog_peak = 0;
            all.interval_ns = None;
            all.ramp = Vec::new();
        }
        for group in others {
            all.requests += group.requests;
            all.latency.merge(&group.latency);
            all.unanswered.merge(&group.unanswered);
            all.connections += group.connections;
            all.connections_served += group.connections_served;
            all.connections_idle += group.connections_idle;
            all.asked_per_sec = all.asked_per_sec.zip(group.asked_per_sec).map(|(a, b)| a + b);
            let merged = |all: Option<Histogram>, other: &Option<Histogram>| {
                all.zip(other.as_ref()).map(|(mut all, other)| {
                    all.merge(other);
                    all
                })
            };
            // Of those groups that reconnect.
            for (all, other) in
                [(&mut all.connect, &group.connect), (&mut all.first_answer, &group.first_answer)]
            {
                if let Some(other) = other {
                    all.get_or_insert_default().merge(other);
                }
            }
            all.uncorrected_latency = merged(all.uncorrected_latency, &group.uncorrected_latency);
            all.send_lag = merged(all.send_lag, &group.send_lag);
        }
        all
    }
}

/// What the driver measured, of all groups together or of one. The window is the time from the
/// board's `Measuring` to its `Over`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Of the group; empty for all together.
    #[serde(default)]
    pub name: String,
    /// Each group by itself, where they have names. Without `busy_ns`.
    #[serde(default)]
    pub groups: Vec<Load>,
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
    /// Clients that reconnect only, of connections within the window: the time to connect, and from
    /// beginning to connect to the first answer.
    #[serde(default)]
    pub connect: Option<Histogram>,
    #[serde(default)]
    pub first_answer: Option<Histogram>,
    /// When the driver began to connect.
    #[serde(default)]
    pub connects_from: Stamp,
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
    /// 0 for several groups together.
    pub backlog_peak: u64,
    pub connections: u32,
    /// Answered at least once within the window.
    pub connections_served: u32,
    /// Not answered within the window because they had asked nothing in its first half.
    #[serde(default)]
    pub connections_idle: u32,
    pub window_ns: u64,
    /// CPU time of the driver within the window, without the time it only polled.
    pub busy_ns: u64,
    /// Open loop: the rate, or where that is not the same at every moment, the requests that were due
    /// within the window divided by its length. Of several groups together only where all have one.
    pub asked_per_sec: Option<u64>,
    /// Open loop: the mean time between two moments at which requests are due. Not of several groups
    /// together, as the next.
    pub interval_ns: Option<u64>,
    /// What became of the requests along a ramp; empty of other loads.
    pub ramp: Vec<RampSlice>,
    /// `requests` divided by the window's length.
    pub achieved_per_sec: u64,
}
