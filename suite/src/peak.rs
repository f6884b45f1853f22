//! How many tasks a program and its children can have alive at once, if none ends before a `Join`.
//!
//! Never overflows: counts saturate.

use crate::plan::{Action, Plan, Program, Query};

impl Plan {
    /// The most tasks that can be alive at once, to be compared with a subject's limit.
    pub fn tasks_peak(&self) -> u64 {
        let server = self.server.iter().map(|server| (server.connections, server.program));
        let groups = self.groups.iter().map(|group| (group.count, group.program));
        server.chain(groups).fold(0, |sum, (count, program)| {
            let below = tasks(&self.programs, program);
            sum.saturating_add(below.saturating_mul(count.into()))
        })
    }
}

/// A task that runs `program`, and all tasks below it.
pub fn tasks(programs: &[Program], program: usize) -> u64 {
    peak(programs, program, |_| 1, 1)
}

/// Only those that read files.
pub fn readers(programs: &[Program], program: usize) -> u64 {
    let reads = |program: &Program| {
        let read = |action: &Action| matches!(action, Action::ReadFile { .. });
        u64::from(program.iter().any(|step| read(&step.action)))
    };
    peak(programs, program, reads, 0)
}

/// The bytes of all files that can be written at once.
pub fn written_bytes(programs: &[Program], program: usize) -> u64 {
    let largest = |program: &Program| {
        let bytes = program.iter().filter_map(|step| match step.action {
            Action::WriteFile { bytes, .. } => Some(bytes),
            _ => None,
        });
        bytes.max().unwrap_or_default()
    };
    peak(programs, program, largest, 0)
}

/// Only those that open connections to a backend for which `counts` is true.
pub fn connecting(
    programs: &[Program],
    program: usize,
    counts: impl Fn(usize) -> bool + Copy,
) -> u64 {
    let connects = |program: &Program| {
        u64::from(program.iter().any(|step| match &step.action {
            Action::Query(Query { backend, .. }) | Action::Connect { backend, .. } => {
                counts(*backend)
            }
            _ => false,
        }))
    };
    peak(programs, program, connects, 0)
}

/// Every program occurs once in the tree of programs, so this visits each once. `partner` is what a
/// further task counts by itself: programs that run in the task of their step count without it.
fn peak(
    programs: &[Program],
    program: usize,
    weight: impl Fn(&Program) -> u64 + Copy,
    partner: u64,
) -> u64 {
    let below = |program: usize| peak(programs, program, weight, partner);
    let (mut spawned, mut most) = (0_u64, 0_u64);
    for step in &programs[program] {
        let now = match &step.action {
            Action::Spawn { program, count } => {
                spawned = spawned.saturating_add(below(*program).saturating_mul((*count).into()));
                0
            }
            Action::Join { .. } => {
                spawned = 0;
                0
            }
            Action::Gather { programs } => {
                programs.iter().fold(0_u64, |sum, branch| sum.saturating_add(below(*branch)))
            }
            Action::Race { programs, .. } => programs.iter().fold(0_u64, |sum, branch| {
                sum.saturating_add(below(*branch).saturating_sub(partner))
            }),
            Action::Timeout { program, .. } | Action::Lock { program, .. } => {
                below(*program).saturating_sub(partner)
            }
            Action::PingPong { .. } => partner,
            _ => 0,
        };
        most = most.max(spawned.saturating_add(now));
    }
    most.saturating_add(weight(&programs[program]))
}
