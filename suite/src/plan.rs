//! The plan: everything that one trial has to do.
//!
//! The harness makes it from a scenario and passes it to the adapter as one JSON text. Times are in
//! nanoseconds, sizes in bytes. A plan never contains an axis, a unit or a choice.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::ClockScale;
use crate::description::Capability;
use crate::hash::Hash;

/// One trial's work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Which of the adapter's executors runs it.
    pub executor: String,
    /// Which OS mechanism that executor has to use.
    pub backend: String,
    /// Worker threads, for executors that can have several.
    pub workers: u32,
    /// Options of the runtime that are set; the others keep their defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<SetOption>,
    /// Seed of all random choices.
    pub seed: u64,
    /// Whether polls are timed; off only to measure what timing costs.
    pub metered: bool,
    /// A poll at least this long is a stall.
    pub stall_threshold_ns: u64,
    /// The clock of all stamps, and its scale.
    pub clock: ClockScale,
    /// Latency rows of the named steps; `Step::row` and `Action::Open` are indexes into it.
    pub rows: Vec<String>,
    /// The step lists, flattened; servers, groups and spawning steps refer to them by index.
    pub programs: Vec<Program>,
    /// Present when the subject listens.
    pub server: Option<Server>,
    /// Tasks that run without a load.
    pub groups: Vec<Group>,
    /// Present when steps read files.
    pub files: Option<FileSet>,
    /// The folder for the files that steps write, if any do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// What `query` and `connect` steps use; they refer to them by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// The names of the locks; `Action::Lock` refers to them by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// For each barrier the tasks that wait at it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barriers: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<PlannedChannel>,
    /// The behaviour check to run; there is no other work then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<PlannedCheck>,
}

/// An option of the runtime with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetOption {
    pub name: String,
    pub value: String,
    /// The variable of the process's environment that sets it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

/// A behaviour check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedCheck {
    pub id: String,
    pub needs: BTreeSet<Capability>,
}

/// A flat list of steps; `Action::Repeat` refers to the steps that follow it.
pub type Program = Vec<Step>;

/// The subject listens and every connection runs `program` once per request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub program: usize,
    /// Size of a request, and of its answer; of the largest, where they differ.
    pub message_bytes: usize,
    /// How many connections the load will have open at once.
    pub connections: u32,
    /// Whether each request begins with its length, because lengths differ or the next request may
    /// come before the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_lengths: bool,
    /// Whether the load opens new connections during the trial.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconnects: bool,
}

/// Where requests begin with their length: 4 bytes, little-endian, which count too.
pub const LENGTH_BYTES: usize = 4;

/// `count` tasks that each run `program` again and again; one pass is one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    pub count: u32,
    pub program: usize,
    pub pace: Pace,
}

impl Group {
    /// Whether it ends by itself instead of running until the trial is over.
    pub fn is_of_fixed_work(&self) -> bool {
        matches!(self.pace, Pace::Repeat { .. })
    }
}

/// When the next operation of a task begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Pace {
    /// As soon as the previous one has ended, until the trial is over.
    BackToBack,
    /// On a fixed schedule (open loop); latency counts from the scheduled moment.
    Every { ns: u64 },
    /// Back to back, this many times for each task; the trial ends when all are done.
    Repeat { times: u64 },
}

/// Files that the harness made before the trial. File `i` is named `i` in decimal and holds
/// `pattern::block(i, …)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSet {
    pub directory: String,
    pub count: u32,
    pub bytes: u64,
    /// Each read is logged on the board, so that the harness can drop the file from the page cache
    /// before the next read.
    pub cold: bool,
    /// On a slow disk: how long each read takes at least.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub latency_ns: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A backend outside of the subject. How long it takes to answer is not in the plan: the subject is
/// not to know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Where the responder listens, on 127.0.0.1.
    pub port: u16,
    pub answer_bytes: usize,
    pub pool: Option<Pool>,
}

/// The limit of the connections to a backend that the whole subject uses at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    pub connections: u32,
    /// The latency row of the waits for a connection.
    pub wait_row: usize,
}

/// A query to a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub backend: usize,
    pub how: How,
    /// Whether it opens a connection of its own and closes it.
    pub new: bool,
}

/// A channel, and how many tasks of groups send to it and receive from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedChannel {
    pub name: String,
    pub capacity: u32,
    pub producers: u32,
    pub consumers: u32,
}

/// One step, and the latency row it reports to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Action {
    /// Receive one whole request. Only in a server's program.
    Recv { how: How },
    /// Send back what was received last. Only in a server's program.
    Send { how: How },
    /// Wait.
    Sleep { ns: u64, how: How },
    /// Use this much CPU time of one thread.
    Cpu { ns: u64, how: How },
    /// Compute a hash and compare it with `expected`.
    Hash { hash: Hash, expected: u64, how: How },
    /// Read one whole file and compare some of its contents; all of them after the window.
    ReadFile { file: FileChoice, how: How },
    /// Write one whole file, and with `sync` wait until it is on the disk. Compared after the window.
    WriteFile { bytes: u64, sync: bool, how: How },
    /// Send a request to a backend, receive the whole answer and check it.
    Query(Query),
    /// Open a connection to a backend and close it. The time until it is open goes to `row`.
    Connect { backend: usize, how: How, row: Option<usize> },
    /// Let others run.
    Yield,
    /// Start `count` tasks that each run `program` once.
    Spawn { program: usize, count: u32 },
    /// Wait for all tasks this task has spawned.
    Join { how: How },
    /// Run each program once, all at the same time, and wait for all of them.
    Gather { programs: Vec<usize> },
    /// Pass a message to a partner task and back, `rounds` times.
    PingPong { rounds: u32 },
    /// Run `program` for at most this long; if it takes longer, it is dropped and counted in `row`.
    Timeout { ns: u64, program: usize, row: usize },
    /// Run each program once, all in this task, until one ends; the others are dropped and counted.
    Race { programs: Vec<usize>, row: usize },
    /// Run `program` inside a lock. The time to get the lock goes to `row`.
    Lock { lock: usize, program: usize, row: usize, how: How },
    /// Wait until all tasks of the group are there. How late the task goes on then goes to `row`.
    Barrier { barrier: usize, row: usize },
    /// Send a message. The task is the producer `first` plus its index in its group.
    SendTo { channel: usize, first: u32 },
    /// Receive a message, as the consumer `first` plus the task's index in its group.
    ReceiveFrom { channel: usize, first: u32 },
    /// Run the next `length` steps `times` times.
    Repeat { times: u64, length: usize },
    /// A named compound step begins …
    Open { row: usize },
    /// … and ends here.
    Close { row: usize },
    /// Stall the thread repeatedly. For the self-test only: no scenario can contain it.
    Inject { injections: Vec<Injection> },
}

/// How an injected stall holds its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It computes until it has used that much CPU time.
    Spin,
    /// It sleeps in a blocking call.
    Sleep,
    /// It waits in a blocking read of a timer's descriptor.
    Read,
}

/// One stall to be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// How long the task sleeps before it, with the runtime's own timer.
    pub after_ns: u64,
    pub hold: Hold,
    pub ns: u64,
}

/// Which file a step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum FileChoice {
    /// Each task of a group starts at its own share of the files and goes through all of them.
    Next,
    /// A random file, by the plan's seed.
    Random,
    /// Always this one.
    Index(u32),
}

/// The way an operation is performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The runtime's own asynchronous operation.
    Await,
    /// The blocking call, on the thread that runs the task.
    Blocking,
    /// Non-blocking attempts, with a yield after each that would block.
    Polling,
    /// The runtime's own asynchronous operation, but the task's thread waits for it on the spot, by
    /// `Runtime::wait_here`.
    Forced,
    /// The blocking call on the runtime's blocking pool, awaited.
    Offload,
}

impl How {
    /// Its name in scenarios and tables.
    pub fn word(self) -> &'static str {
        match self {
            How::Await => "await",
            How::Blocking => "blocking",
            How::Polling => "polling",
            How::Forced => "forced",
            How::Offload => "offload",
        }
    }

    /// Whether it needs neither another thread nor the task's own to wait.
    pub(crate) fn is_direct(self) -> bool {
        matches!(self, How::Await | How::Blocking | How::Polling)
    }

    /// Whether it is the runtime that performs the operation.
    pub(crate) fn is_of_runtime(self) -> bool {
        matches!(self, How::Await | How::Forced)
    }
}

impl Plan {
    /// The value of an option, if it is set.
    pub fn option(&self, name: &str) -> Option<&str> {
        let set = self.options.iter().find(|option| option.name == name)?;
        Some(&set.value)
    }

    /// Whether an option that is `on` or `off` is set to this.
    pub fn is_set(&self, name: &str, value: &str) -> bool {
        self.option(name) == Some(value)
    }

    /// The value of an option that is a number, if it is set.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.option(name)?.parse().ok()
    }

    /// The variables that the subject's process is started with, for its options.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter_map(|option| {
            let value = match option.value.as_str() {
                "on" => "1",
                "off" => "0",
                value => value,
            };
            Some((option.variable.as_deref()?, value))
        })
    }

    /// Nothing to do, until fields are set.
    pub fn empty(executor: &str, backend: &str, workers: u32, seed: u64) -> Self {
        Self {
            executor: executor.to_owned(),
            backend: backend.to_owned(),
            workers,
            options: Vec::new(),
            seed,
            metered: true,
            stall_threshold_ns: 10_000_000,
            clock: ClockScale::MONOTONIC,
            rows: Vec::new(),
            programs: Vec::new(),
            server: None,
            groups: Vec::new(),
            files: None,
            written: None,
            backends: Vec::new(),
            locks: Vec::new(),
            barriers: Vec::new(),
            channels: Vec::new(),
            check: None,
        }
    }

    /// The capabilities that a subject needs to run this plan.
    pub fn needs(&self) -> BTreeSet<Capability> {
        let mut needs = BTreeSet::new();
        if let Some(check) = &self.check {
            needs.extend(&check.needs);
        }
        if let Some(server) = &self.server {
            let plain = self.serves_plain_echo() && !server.with_lengths;
            needs.insert(if plain { Capability::Echo } else { Capability::Tcp });
        }
        if !self.groups.is_empty() {
            needs.insert(Capability::Tasks);
            if self.groups.iter().any(|group| matches!(group.pace, Pace::Every { .. })) {
                needs.insert(Capability::Timers);
            }
        }
        for step in self.programs.iter().flatten() {
            needs.extend(step.action.needs());
        }
        needs
    }

    /// Whether it injects stalls, so that stalls and pings are recorded individually.
    pub(crate) fn injects(&self) -> bool {
        let steps = self.programs.iter().flatten();
        steps.into_iter().any(|step| matches!(step.action, Action::Inject { .. }))
    }

    /// Whether steps drop work of their own before its end.
    pub fn cancels(&self) -> bool {
        self.programs.iter().flatten().any(|step| step.action.cancels_in().is_some())
    }

    /// Whether connections do nothing but receive and send back, with `how: await`.
    pub(crate) fn serves_plain_echo(&self) -> bool {
        self.server.as_ref().is_some_and(|server| {
            matches!(
                self.programs[server.program].as_slice(),
                [
                    Step { action: Action::Recv { how: How::Await }, row: None },
                    Step { action: Action::Send { how: How::Await }, row: None }
                ]
            )
        })
    }

    /// The ways in which files are read.
    pub(crate) fn file_reads(&self) -> impl Iterator<Item = How> {
        [How::Await, How::Blocking, How::Polling, How::Offload].into_iter().filter(|wanted| {
            let mut steps = self.programs.iter().flatten();
            steps.any(|step| match &step.action {
                Action::ReadFile { how, .. } if how.is_of_runtime() => *wanted == How::Await,
                Action::ReadFile { how, .. } => how == wanted,
                _ => false,
            })
        })
    }
}

impl Action {
    /// The way to perform it, where there are several.
    pub(crate) fn how(&self) -> Option<How> {
        match self {
            Action::Recv { how }
            | Action::Send { how }
            | Action::Sleep { how, .. }
            | Action::Cpu { how, .. }
            | Action::Hash { how, .. }
            | Action::ReadFile { how, .. }
            | Action::WriteFile { how, .. }
            | Action::Join { how }
            | Action::Query(Query { how, .. })
            | Action::Connect { how, .. } => Some(*how),
            _ => None,
        }
    }

    /// The row that counts what it cancels, if it cancels something.
    pub(crate) fn cancels_in(&self) -> Option<usize> {
        match self {
            Action::Timeout { row, .. } | Action::Race { row, .. } => Some(*row),
            _ => None,
        }
    }

    fn needs(&self) -> Vec<Capability> {
        match self {
            Action::Recv { how: How::Offload } | Action::Send { how: How::Offload } => {
                vec![Capability::Tcp, Capability::Offload]
            }
            Action::Recv { how } | Action::Send { how } if *how != How::Await => {
                vec![Capability::Tcp]
            }
            _ if self.how() == Some(How::Offload) => vec![Capability::Offload],
            Action::Sleep { how: How::Await | How::Forced, .. }
            | Action::Timeout { .. }
            | Action::Inject { .. } => vec![Capability::Timers],
            Action::ReadFile { how, .. } if how.is_of_runtime() => vec![Capability::Files],
            Action::WriteFile { how, .. } if how.is_of_runtime() => vec![Capability::WriteFiles],
            Action::Query(Query { how, .. }) | Action::Connect { how, .. }
                if how.is_of_runtime() =>
            {
                vec![Capability::Connect]
            }
            Action::Spawn { .. } | Action::Gather { .. } | Action::PingPong { .. } => {
                vec![Capability::Tasks]
            }
            _ => vec![],
        }
    }
}
