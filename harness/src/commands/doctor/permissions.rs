//! What this process is allowed: rings, locked memory, open files, counting threads and system
//! calls.
//!
//! Never does more than `quadrant run` would; like that it raises the soft limits, and makes a ring,
//! a control group and a counting program to see whether it can.

use std::io;

use quadrant_reports::number::{self, grouped};

use super::finding::Finding;
use crate::fixtures::{SLOW_DISK_REMEDY, slow_disk_works};
use crate::system::cgroup::{self, Possible};
use crate::system::syscall_counter::ThreadCreations;
use crate::system::{features, limits};

/// Both sides of a thousand connections, and what a runtime needs besides.
const OPEN_FILES_WANTED: u64 = 4_096;
/// A ring for each of some workers; older kernels count rings as locked memory.
const LOCKED_MEMORY_WANTED: u64 = 8 << 20;

pub fn findings() -> Vec<Finding> {
    limits::raise();
    vec![
        judge_io_uring(features::io_uring_works()),
        judge_locked_memory(limits::locked_memory_max()),
        judge_open_files(limits::open_files_max()),
        judge_counting(&cgroup::possible()),
        judge_tracepoints(ThreadCreations::attach(std::process::id()).map(drop)),
        judge_slow_disks(slow_disk_works()),
    ]
}

fn judge_io_uring(works: Result<(), String>) -> Finding {
    let reason = works.err();
    // A reason may have the command that allows it between backquotes.
    let command = reason.as_ref().and_then(|reason| reason.split('`').nth(1));
    let remedy =
        command.unwrap_or("ask the administrator of this machine or container to allow it");
    let state = match &reason {
        None => "a ring was set up and completed an operation",
        Some(reason) => reason,
    };
    Finding::check("io_uring", reason.is_none(), state)
        .or_obstacle("subjects on io_uring are `unsupported` here; all others run", remedy)
}

fn judge_locked_memory(limit: Option<u64>) -> Finding {
    let state = match limit {
        None => "any amount of memory may be locked".to_owned(),
        Some(bytes) => format!("{} of memory may be locked", number::bytes(bytes)),
    };
    let is_good = limit.is_none_or(|bytes| bytes >= LOCKED_MEMORY_WANTED);
    Finding::check("locked memory", is_good, state).or(
        "io_uring with registered buffers, or with many workers on kernels before 5.12, fails",
        "ulimit -l unlimited (as root, or by /etc/security/limits.conf)",
    )
}

fn judge_open_files(limit: Option<u64>) -> Finding {
    let state = match limit {
        None => "any number of files and connections may be open".to_owned(),
        Some(files) => format!("{} files and connections may be open", grouped(files)),
    };
    let is_good = limit.is_none_or(|files| files >= OPEN_FILES_WANTED);
    Finding::check("open files", is_good, state).or(
        "cases with a thousand connections and more fail",
        "ulimit -n 65536 (as root, or by /etc/security/limits.conf)",
    )
}

fn judge_counting(group: &Possible) -> Finding {
    let (state, remedy) = match group {
        Possible::In(folder) => {
            (format!("a group that counts threads may be made in {}", folder.display()), "")
        }
        Possible::NotIn(folder) => (
            format!("no group that counts threads may be made in {}", folder.display()),
            "run as root, or: systemd-run --user --scope -p Delegate=yes quadrant run …",
        ),
        Possible::Nowhere => (
            "there is no `pids` control group here".to_owned(),
            "mount the control groups with their pids controller",
        ),
    };
    Finding::check("thread count", matches!(group, Possible::In(_)), state).or(
        "threads are sampled every 10 ms instead of counted exactly: the peak may miss one that \
         lived for less",
        remedy,
    )
}

fn judge_tracepoints(attached: io::Result<()>) -> Finding {
    let state = match &attached {
        Ok(()) => "a program in the kernel may count at tracepoints".to_owned(),
        Err(error) => format!("no program in the kernel may count at tracepoints: {error}"),
    };
    Finding::check("tracepoints", attached.is_ok(), state).or(
        "system calls are counted by strace, if at all, and not by thread; threads that are created \
         are not counted",
        "run as root, and where bpf(2) is allowed",
    )
}

fn judge_slow_disks(works: Result<(), String>) -> Finding {
    let state = match &works {
        Ok(()) => "a slow disk was mounted and read",
        Err(reason) => {
            reason.strip_suffix(SLOW_DISK_REMEDY).unwrap_or(reason).trim_end_matches("; ")
        }
    };
    Finding::check("slow disks", works.is_ok(), state)
        .or("files with a `latency` are `unsupported` here", SLOW_DISK_REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Obstacle, Ok as Fine, Warning};
    use super::*;

    #[test]
    fn a_forbidden_ring_is_an_obstacle_with_its_remedy() {
        assert_eq!(judge_io_uring(Ok(())).level, Fine);
        let reason = "io_uring is disabled here; `sysctl kernel.io_uring_disabled=0` allows it";
        let finding = judge_io_uring(Err(reason.to_owned()));
        assert_eq!(finding.level, Obstacle);
        assert_eq!(finding.remedy.as_deref(), Some("sysctl kernel.io_uring_disabled=0"));
        assert!(!finding.stops_everything);
        assert!(judge_io_uring(Err("seccomp".to_owned())).remedy.is_some());
    }

    #[test]
    fn limits() {
        for (limit, level) in [(None, Fine), (Some(8 << 20), Fine), (Some(64 << 10), Warning)] {
            assert_eq!(judge_locked_memory(limit).level, level, "{limit:?}");
        }
        for (limit, level) in [(None, Fine), (Some(20_000), Fine), (Some(1_024), Warning)] {
            assert_eq!(judge_open_files(limit).level, level, "{limit:?}");
        }
    }

    #[test]
    fn counting_threads() {
        assert_eq!(judge_counting(&Possible::In("/a".into())).level, Fine);
        assert_eq!(judge_counting(&Possible::NotIn("/a".into())).level, Warning);
        assert_eq!(judge_counting(&Possible::Nowhere).level, Warning);
    }

    #[test]
    fn a_disk_that_cannot_be_mounted_is_a_warning() {
        assert_eq!(judge_slow_disks(Ok(())).level, Fine);
        let finding = judge_slow_disks(Err(format!("not here; {SLOW_DISK_REMEDY}")));
        assert_eq!((finding.level, &*finding.state), (Warning, "not here"));
        assert_eq!(finding.remedy.as_deref(), Some(SLOW_DISK_REMEDY));
    }

    #[test]
    fn a_program_that_is_refused_is_a_warning() {
        assert_eq!(judge_tracepoints(Ok(())).level, Fine);
        let finding = judge_tracepoints(Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(finding.level, Warning);
        assert!(finding.state.ends_with("permission denied"), "{}", finding.state);
    }
}
