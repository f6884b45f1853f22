//! Processes that a subject has started and left behind.
//!
//! The harness becomes their parent (child subreaper) and ends them, so that a subject which starts
//! process groups of its own leaves nothing behind either. Never ends a child that was spared.

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};

/// From now on orphans of this process's children become its own children.
#[cfg(target_os = "linux")]
pub fn adopt() {
    // Where it is refused, orphans go to init as they always did.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
}

/// Ends every child of this process that is not `spared`.
#[cfg(target_os = "linux")]
pub fn end_all() {
    // Ending one may orphan the next.
    for _ in 0..100 {
        let spared = SPARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let orphans: Vec<Pid> = children()
            .into_iter()
            .filter(|pid| !spared.contains(pid))
            .filter_map(|pid| Pid::from_raw(pid as i32))
            .collect();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let _ = kill_process(orphan, Signal::KILL);
            let _ = waitpid(Some(orphan), WaitOptions::empty());
        }
    }
}

#[cfg(target_os = "linux")]
static SPARED: std::sync::Mutex<Vec<u32>> = std::sync::Mutex::new(Vec::new());

/// A child that lives beyond single trials.
#[cfg(target_os = "linux")]
pub fn spare(pid: u32) {
    SPARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(pid);
}

/// It has ended: the next process of this number is not spared.
#[cfg(target_os = "linux")]
pub fn forget(pid: u32) {
    SPARED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .retain(|spared| *spared != pid);
}

#[cfg(target_os = "linux")]
fn children() -> Vec<u32> {
    let mut children = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if let Ok(list) = std::fs::read_to_string(task.path().join("children")) {
            children.extend(list.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    children
}

#[cfg(not(target_os = "linux"))]
pub fn adopt() {}
#[cfg(not(target_os = "linux"))]
pub fn end_all() {}
#[cfg(not(target_os = "linux"))]
pub fn spare(_: u32) {}
#[cfg(not(target_os = "linux"))]
pub fn forget(_: u32) {}
