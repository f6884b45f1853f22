//! What an adapter declares about itself before anything runs.
//!
//! The harness plans trials by it and never uses it as evidence.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

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

/// The description and the options, as they cross the boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    pub runtime: String,
    pub version: String,
    pub note: Option<String>,
    pub executors: Vec<Executor>,
    #[serde(default)]
    pub options: Vec<RuntimeOption>,
}

impl Described {
    pub fn new(description: Description, options: Vec<RuntimeOption>) -> Self {
        let Description { runtime, version, note, executors } = description;
        Self { runtime, version, note, executors, options }
    }
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

/// Something about executors that `-r 'runtime/executor?name=value'` sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeOption {
    pub name: String,
    /// What it sets, in one line.
    pub meaning: String,
    pub values: Values,
    /// What holds without it: one of the values, or a few words.
    pub default: String,
    /// The executors that have it; none for all.
    pub executors: Vec<String>,
    /// The variable by which the runtime reads it, if it does so by the environment. It is set
    /// before the library is loaded: to the value, with 1 for `on` and 0 for `off`.
    pub variable: Option<String>,
}

/// The values that an option may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Values {
    OneOf(Vec<String>),
    Number { min: u64, max: u64 },
}

impl RuntimeOption {
    fn new(name: &str, values: Values, default: &str, meaning: &str) -> Self {
        Self {
            name: name.to_owned(),
            meaning: meaning.to_owned(),
            values,
            default: default.to_owned(),
            executors: Vec::new(),
            variable: None,
        }
    }

    /// One that is `on` or `off`.
    pub fn switch(name: &str, default: &str, meaning: &str) -> Self {
        let values = ["on", "off"].map(str::to_owned).to_vec();
        Self::new(name, Values::OneOf(values), default, meaning)
    }

    pub fn number(name: &str, range: RangeInclusive<u64>, default: &str, meaning: &str) -> Self {
        let values = Values::Number { min: *range.start(), max: *range.end() };
        Self::new(name, values, default, meaning)
    }

    /// Only for these executors.
    pub fn of(mut self, executors: &[&str]) -> Self {
        self.executors = executors.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Set by this variable of the environment.
    pub fn by_variable(mut self, variable: &str) -> Self {
        self.variable = Some(variable.to_owned());
        self
    }
}

impl Values {
    /// Whether it is one of them, written as they are.
    pub fn allow(&self, value: &str) -> bool {
        match self {
            Values::OneOf(values) => values.iter().any(|it| it == value),
            Values::Number { min, max } => value.parse().is_ok_and(|number: u64| {
                (min..=max).contains(&&number) && number.to_string() == value
            }),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::OneOf(values) => formatter.write_str(&values.join("|")),
            Values::Number { min, max } => write!(formatter, "{min}…{max}"),
        }
    }
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
    /// Write files in a way of its own.
    WriteFiles,
    /// Run blocking work beside the loop and await it.
    Offload,
    /// End when its root returns: `run` builds the runtime, and drops it.
    Shutdown,
    /// Start tasks from threads that are not its own.
    ForeignSpawn,
    /// End a task before it has completed.
    Cancel,
    /// Use one stream in several tasks at once.
    Share,
    /// Open connections as a client.
    Connect,
    /// Be the reference of every comparison across runs: hand-written in Quadrant itself, so no
    /// new version of a runtime changes it.
    Reference,
}

impl Capability {
    pub const ALL: [Capability; 13] = [
        Capability::Echo,
        Capability::Tcp,
        Capability::Tasks,
        Capability::Timers,
        Capability::Files,
        Capability::WriteFiles,
        Capability::Offload,
        Capability::Shutdown,
        Capability::ForeignSpawn,
        Capability::Cancel,
        Capability::Share,
        Capability::Connect,
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
            Capability::WriteFiles => "way to write files",
            Capability::Offload => "pool for blocking work",
            Capability::Shutdown => "end: it is one for the whole process",
            Capability::ForeignSpawn => "way to start a task from a thread that is not its own",
            Capability::Cancel => "way to cancel a task and wait for its end",
            Capability::Share => "reads and writes of a stream that several tasks share",
            Capability::Connect => "way to open connections as a client",
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
            Capability::WriteFiles => "write-files",
            Capability::Offload => "offload",
            Capability::Shutdown => "shutdown",
            Capability::ForeignSpawn => "foreign-spawn",
            Capability::Cancel => "cancel",
            Capability::Share => "share",
            Capability::Connect => "connect",
            Capability::Reference => "reference",
        })
    }
}
