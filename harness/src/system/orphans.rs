//! Processes that an adapter has started and left behind.
//!
//! The harness becomes their parent (child subreaper) and ends them, so that an adapter which starts
//! process groups of its own leaves nothing behind either. It becomes the parent of other orphans too,
//! such as those of a job of the script that has started it. So the processes of adapters carry a mark
//! in their environment, which their children inherit. Never ends a process without this mark.

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};

#[cfg(target_os = "linux")]
use super::child::has_ended;

/// The variable that marks the processes of adapters, with the number of this process.
pub const MARK: &str = "QUADRANT_HARNESS";

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
            if is_marked(pid) {
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

#[cfg(target_os = "linux")]
fn is_marked(pid: u32) -> bool {
    let mark = format!("{MARK}={}", std::process::id());
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
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
