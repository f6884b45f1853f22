//! What an adapter declares about itself before anything runs.
//!
//! The harness plans trials by it and never uses it as evidence.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One adapter: a runtime and the ways it can run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub runtime: String,
    /// Version of the runtime's crate.
    pub version: String,
    /// Printed beside its figures, such as "discontinued".
    pub note: Option<String>,
    pub executors: Vec<Executor>,
}

/// One subject of an adapter: an executor on a backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executor {
    pub executor: String,
    pub backend: String,
    pub topology: Topology,
    /// Whether the plan's `workers` sets its number of threads.
    pub workers: Workers,
    pub capabilities: BTreeSet<Capability>,
    /// The most tasks it can hold at once; `None` means that only memory limits them.
    pub tasks_max: Option<u64>,
    /// Locked memory that it needs to start.
    pub memlock_bytes_min: u64,
}

/// How tasks reach the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One root spawns tasks for all workers.
    Shared,
    /// One root on each worker, which has its own listener and its share of the tasks.
    PerCore,
}

/// How many threads may run tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workers {
    One,
    Many,
    PerTask,
}

/// Something a plan may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Serve connections that do nothing but receive and send back.
    Echo,
    /// Serve connections that run any steps.
    Tcp,
    /// Run tasks that are not connections, and start new ones.
    Tasks,
    /// Wait without holding the loop.
    Timers,
    /// Read files in a way of its own.
    Files,
    /// Run blocking work beside the loop and await it.
    Offload,
    /// End when its root returns: `run` builds the runtime, and drops it.
    Shutdown,
    /// End a task before it has completed.
    Cancel,
    /// Use one stream in several tasks at once.
    Share,
    /// Be the reference of every comparison across runs: hand-written in Quadrant itself, so no
    /// new version of a runtime changes it.
    Reference,
}

impl Capability {
    pub const ALL: [Capability; 10] = [
        Capability::Echo,
        Capability::Tcp,
        Capability::Tasks,
        Capability::Timers,
        Capability::Files,
        Capability::Offload,
        Capability::Shutdown,
        Capability::Cancel,
        Capability::Share,
        Capability::Reference,
    ];

    /// Completes the sentence "this executor has no …".
    pub fn lacking(self) -> &'static str {
        match self {
            Capability::Echo => "way to serve connections",
            Capability::Tcp => "way to run other steps than `recv, send` on a connection",
            Capability::Tasks => "tasks of its own, only connections",
            Capability::Timers => "timers",
            Capability::Files => "file operations",
            Capability::Offload => "pool for blocking work",
            Capability::Shutdown => "end: it is one for the whole process",
            Capability::Cancel => "way to cancel a task and wait for its end",
            Capability::Share => "reads and writes of a stream that several tasks share",
            Capability::Reference => "place as the reference",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Capability::Echo => "echo",
            Capability::Tcp => "tcp",
            Capability::Tasks => "tasks",
            Capability::Timers => "timers",
            Capability::Files => "files",
            Capability::Offload => "offload",
            Capability::Shutdown => "shutdown",
            Capability::Cancel => "cancel",
            Capability::Share => "share",
            Capability::Reference => "reference",
        })
    }
}
