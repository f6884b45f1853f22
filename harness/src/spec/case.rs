//! One case of a scenario: its axis values, its work, and what is expected of it.
//!
//! Never depends on the subject; what depends on runtime or machine is added when a plan is made.

use std::time::Duration;

use quadrant_reports::number::{counted, grouped};
use quadrant_reports::record::AxisValue;
use quadrant_reports::record::expectation::Expectation;
use quadrant_suite::plan::{Group, Pace, PlannedChannel, Pool, Program, Server};

use super::arrivals;
use super::quantity::{DURATION, SIZE};
use crate::driver::order::{ClientGroup, Habits, Parts};
use crate::responder::latency::Latency;
use crate::system::allocator::Allocator;

/// One combination of the axes' values.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// In the order of the axes.
    pub values: Vec<AxisValue>,
    pub work: Work,
    /// Those whose `when` includes this case.
    pub expectations: Vec<Expected>,
}

/// What is expected of one figure, and of which subjects.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// A glob over subject ids; `None` is all.
    pub subjects: Option<String>,
    /// The axes for which `when` has one value, and these values.
    pub when: Vec<AxisValue>,
    pub expectation: Expectation,
}

/// Everything of a plan that depends neither on the subject nor on the machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// For every executor that can have several; `None` leaves it to the machine.
    pub workers: Option<u32>,
    /// `None` leaves freed memory with the process.
    pub allocator: Option<Allocator>,
    /// Whether the question is where one backend overtakes another.
    pub compares_backends: bool,
    pub rows: Vec<String>,
    pub programs: Vec<Program>,
    pub server: Option<Server>,
    pub groups: Vec<Group>,
    /// What tasks share, as in the plan.
    pub locks: Vec<String>,
    pub barriers: Vec<u32>,
    pub channels: Vec<PlannedChannel>,
    /// Present when this case reads files.
    pub files: Option<Files>,
    /// Of all files that can be written at once.
    pub written_bytes: u64,
    /// Present when this case queries one of them.
    pub backends: Vec<Backend>,
    /// Of a server; empty exactly when there is none.
    pub load: Vec<ClientGroup>,
    pub warmup_ns: u64,
    pub measure_ns: u64,
    pub stall_threshold_ns: u64,
    /// A few words for the heading of a table: `64 B, closed loop`.
    pub summary: String,
}

/// The files to make before a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    pub count: u32,
    /// Of each.
    pub bytes: u64,
    /// Not in the page cache when read.
    pub cold: bool,
    /// Of each read, on a slow disk; nothing there is ever cached.
    pub latency: Option<Duration>,
}

/// A backend that the responder plays.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    pub name: String,
    pub latency: Latency,
    pub answer_bytes: usize,
    pub pool: Option<Pool>,
}

/// More groups than this are counted, not listed.
const GROUPS_LISTED: usize = 3;

impl Work {
    /// What an axis sets is left out: the heading names the axes' values beside the summary.
    pub(super) fn summarized(&self, connections_vary: bool) -> String {
        let mut parts = Vec::new();
        parts.extend(self.load.iter().map(|group| summary_of_clients(group, connections_vary)));
        match self.groups.as_slice() {
            [group] if self.server.is_none() => parts.push(summary_of_group(group)),
            groups if groups.len() <= GROUPS_LISTED => parts.extend(
                groups.iter().map(|group| format!("{}: {}", group.name, summary_of_group(group))),
            ),
            groups => parts.push(format!("{} groups of tasks", groups.len())),
        }
        parts.extend(self.files.map(Files::summarized));
        parts.extend(summary_of_backends(&self.backends));
        parts.join("; ")
    }
}

impl Files {
    fn summarized(self) -> String {
        let speed = match (self.latency, self.cold) {
            (Some(latency), _) => {
                format!("{} per read", DURATION.written(latency.as_nanos() as u64))
            }
            (None, true) => "cold".to_owned(),
            (None, false) => "hot".to_owned(),
        };
        format!("{} of {}, {speed}", counted(self.count.into(), "file"), SIZE.written(self.bytes))
    }
}

fn summary_of_backends(backends: &[Backend]) -> Option<String> {
    match backends {
        [] => None,
        [Backend { latency, .. }] => {
            let written = |ns: &u64| DURATION.written(*ns);
            Some(match latency {
                Latency::Fixed(ns) => format!("a backend of {}", written(ns)),
                Latency::Uniform { least, most } => {
                    format!("a backend of {} to {}", written(least), written(most))
                }
                Latency::Exponential(mean) => {
                    format!("a backend of {} exponentially", written(mean))
                }
                Latency::Quantiles(_) => "a backend with quantiles".to_owned(),
            })
        }
        backends => Some(format!("{} backends", backends.len())),
    }
}

fn summary_of_clients(group: &ClientGroup, connections_vary: bool) -> String {
    let connections = counted(group.connections.into(), "connection");
    let connections = (!connections_vary).then_some(connections);
    let pace = group.arrivals.map(arrivals::summarized);
    let sizes: Vec<String> =
        group.sizes.iter().map(|size| SIZE.written(size.bytes as u64)).collect();
    let size = match &sizes[..] {
        [] => SIZE.written(group.message_bytes as u64),
        sizes => sizes.join(" or "),
    };
    let rest = [size, pace.unwrap_or_else(|| "closed loop".to_owned())];
    let Habits { fragments, read, think_ns, pipeline, requests } = group.habits;
    let parts = |what: &str, parts: Parts| {
        let [of, pause] = [SIZE.written(parts.bytes as u64), DURATION.written(parts.pause_ns)];
        format!("{what} {of} at a time with pauses of {pause}")
    };
    let habits = [
        fragments.map(|it| parts("sent", it)),
        read.map(|it| parts("read", it)),
        think_ns.map(|ns| format!("{} to think", DURATION.written(ns))),
        pipeline.map(|most| format!("{most} in flight each")),
        requests.map(|most| format!("{} per connection", counted(most.into(), "request"))),
    ];
    let rest = rest.into_iter().chain(habits.into_iter().flatten());
    let text = connections.into_iter().chain(rest).collect::<Vec<_>>().join(", ");
    if group.name.is_empty() { text } else { format!("{}: {text}", group.name) }
}

fn summary_of_group(group: &Group) -> String {
    let tasks = counted(group.count.into(), "task");
    match group.pace {
        Pace::BackToBack => format!("{tasks}, back to back"),
        Pace::Every { ns } => format!("{tasks} every {}", DURATION.written(ns)),
        Pace::Repeat { times: 1 } => format!("{tasks}, once"),
        Pace::Repeat { times } => format!("{tasks}, {} times each", grouped(times)),
    }
}
