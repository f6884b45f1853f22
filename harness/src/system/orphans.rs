//! Processes that an adapter has started and left behind.
//!
//! The harness becomes their parent (child subreaper) and ends them, so that an adapter which starts
//! process groups of its own leaves nothing behind either. It becomes the parent of other orphans too,
//! such as those of a job of the script that has started it. So the process of an adapter has a mark in
//! its environment, which those that it starts inherit. Never ends a process without a mark,
//! even if it is an adapter's that has cleared its environment.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};

#[cfg(target_os = "linux")]
use super::child::has_ended;

/// The variable that holds a mark.
const NAME: &str = "QUADRANT_STARTED_BY";

/// Marks the process of one adapter and all that it starts.
pub struct Mark(String);

impl Mark {
    #[expect(clippy::new_without_default, reason = "each is another")]
    /// One that no other process has.
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        // As long for each: a longer environment moves what lies beside it in memory.
        Self(format!("{}{:010}", prefix(), MADE.fetch_add(1, Ordering::Relaxed)))
    }

    pub fn add_to(&self, command: &mut Command) {
        command.env(NAME, &self.0);
    }

    /// Those that have it, as far as their environment can be read.
    pub fn processes(&self) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| mark_of(*pid).is_some_and(|mark| mark == self.0)).collect()
    }
}

/// Of all marks that this process makes.
fn prefix() -> String {
    format!("{:010}-", std::process::id())
}

fn mark_of(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environment.split(|byte| *byte == 0);
    let mut texts = variables.filter_map(|variable| std::str::from_utf8(variable).ok());
    texts.find_map(|text| Some(text.strip_prefix(NAME)?.strip_prefix('=')?.to_owned()))
}

/// From now on orphans of this process's children become its own children.
#[cfg(target_os = "linux")]
pub fn adopt() {
    // Where it is refused, orphans go to init as they always did.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
}

/// Ends every child of this process that is marked. To be called when no adapter is to run.
#[cfg(target_os = "linux")]
pub fn end_all() {
    // Ending one may orphan the next.
    for _ in 0..100 {
        let mut has_ended_some = false;
        for (pid, child) in children().filter_map(|pid| Some((pid, Pid::from_raw(pid as i32)?))) {
            if mark_of(pid).is_some_and(|mark| mark.starts_with(&prefix())) {
                let _ = kill_process(child, Signal::KILL);
            } else if !is_dead_orphan(pid) {
                continue;
            }
            if has_ended(child) {
                let _ = waitpid(Some(child), WaitOptions::NOHANG);
                has_ended_some = true;
            }
        }
        if !has_ended_some {
            return;
        }
    }
}

#[cfg(target_os = "linux")]
fn children() -> impl Iterator<Item = u32> {
    let lists = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = lists.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let all: String = lists.collect();
    all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>().into_iter()
}

/// Whether a process has ended and only remains to be waited for. It has no environment any more. One
/// that leads a process group may be a child that another part of this program waits for.
#[cfg(target_os = "linux")]
fn is_dead_orphan(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before these fields may hold anything: state, parent, process group.
    let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    fields.next() == Some("Z") && fields.nth(1) != Some(&pid.to_string())
}

#[cfg(not(target_os = "linux"))]
pub fn adopt() {}
#[cfg(not(target_os = "linux"))]
pub fn end_all() {}
