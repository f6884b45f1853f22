//! What this process is allowed: rings, locked memory, open files, counting threads and system
//! calls.
//!
//! Never asks for more than `quadrant run` would; like that it raises the soft limits, and makes
//! a ring and a control group to see whether it can.

use std::io;

use super::finding::Finding;
use crate::system::cgroup::{self, Possible};
use crate::system::features::{self, Tracing};
use crate::system::limits;

/// A thousand connections, each side's, and what a runtime needs besides.
const OPEN_FILES_WANTED: u64 = 4_096;
/// A ring for each of some workers; older kernels count rings as locked memory.
const LOCKED_MEMORY_WANTED: u64 = 8 << 20;

pub fn findings() -> Vec<Finding> {
    limits::raise();
    let tracing = Tracing::look();
    vec![
        judge_io_uring(features::io_uring_works()),
        judge_locked_memory(limits::locked_memory_max()),
        judge_open_files(limits::open_files_max()),
        judge_counting(&cgroup::possible()),
        judge_tracepoints(tracing),
        judge_tracefs(tracing),
        judge_fuse(features::fuse_opens()),
    ]
}

fn judge_io_uring(works: Result<(), String>) -> Finding {
    const ABOUT: &str = "io_uring";
    match works {
        Ok(()) => Finding::ok(ABOUT, "a ring was set up and completed an operation"),
        Err(reason) => {
            let remedy = command_in(&reason)
                .unwrap_or("ask who runs this machine or container to allow it")
                .to_owned();
            let costs = "subjects on io_uring are `unsupported` here; all others run";
            Finding::obstacle(ABOUT, reason, costs, remedy)
        }
    }
}

/// What a sentence has between backquotes.
fn command_in(sentence: &str) -> Option<&str> {
    sentence.split('`').nth(1)
}

fn judge_locked_memory(limit: Option<u64>) -> Finding {
    const ABOUT: &str = "locked memory";
    match limit {
        None => Finding::ok(ABOUT, "as much memory may be locked as there is"),
        Some(bytes) if bytes >= LOCKED_MEMORY_WANTED => {
            Finding::ok(ABOUT, format!("{} MiB may be locked", bytes >> 20))
        }
        Some(bytes) => Finding::warning(
            ABOUT,
            format!("only {} KiB may be locked", bytes >> 10),
            "io_uring with registered buffers, or with many workers on kernels before 5.12, fails",
            "ulimit -l unlimited (as root, or by /etc/security/limits.conf)",
        ),
    }
}

fn judge_open_files(limit: Option<u64>) -> Finding {
    const ABOUT: &str = "open files";
    match limit {
        None => Finding::ok(ABOUT, "any number of files and connections may be open"),
        Some(files) if files >= OPEN_FILES_WANTED => {
            Finding::ok(ABOUT, format!("{files} files and connections may be open"))
        }
        Some(files) => Finding::warning(
            ABOUT,
            format!("only {files} files and connections may be open at once"),
            "cases with a thousand connections and more fail",
            "ulimit -n 65536 (as root, or by /etc/security/limits.conf)",
        ),
    }
}

fn judge_counting(group: &Possible) -> Finding {
    const ABOUT: &str = "thread count";
    const COSTS: &str = "threads are sampled every 10 ms instead of counted exactly: the peak may \
                         miss one that lived for less";
    const REMEDY: &str =
        "run as root, or: systemd-run --user --scope -p Delegate=yes quadrant run …";
    match group {
        Possible::In(folder) => Finding::ok(
            ABOUT,
            format!("a group that counts threads may be made in {}", folder.display()),
        ),
        Possible::NotIn(folder) => Finding::warning(
            ABOUT,
            format!("no group that counts threads may be made in {}", folder.display()),
            COSTS,
            REMEDY,
        ),
        Possible::Nowhere => Finding::warning(
            ABOUT,
            "there is no `pids` control group here",
            COSTS,
            "mount the control groups with their pids controller",
        ),
    }
}

fn judge_tracepoints(tracing: Tracing) -> Finding {
    const ABOUT: &str = "tracepoints";
    let paranoid =
        tracing.paranoid.map_or_else(|| "unknown".to_owned(), |paranoid| paranoid.to_string());
    if tracing.privileged {
        return Finding::ok(ABOUT, "tracepoints and BPF programs are allowed to this user");
    }
    if tracing.paranoid.is_some_and(|paranoid| paranoid < 0) {
        return Finding::ok(
            ABOUT,
            format!("tracepoints are allowed to everybody (kernel.perf_event_paranoid={paranoid})"),
        );
    }
    Finding::warning(
        ABOUT,
        format!("only root may use tracepoints (kernel.perf_event_paranoid={paranoid})"),
        "system calls cannot be counted cheaply, so that a backend is known by its adapter's word",
        "run as root, or: sudo sysctl kernel.perf_event_paranoid=-1",
    )
}

fn judge_tracefs(tracing: Tracing) -> Finding {
    const ABOUT: &str = "tracefs";
    if tracing.tracefs_mounted {
        return Finding::ok(ABOUT, "it is mounted");
    }
    Finding::warning(
        ABOUT,
        "it is not mounted",
        "tracepoints cannot be found by their names; BPF programs still can",
        "sudo mount -t tracefs tracefs /sys/kernel/tracing",
    )
}

fn judge_fuse(opens: io::Result<()>) -> Finding {
    const ABOUT: &str = "FUSE";
    match opens {
        Ok(()) => Finding::ok(ABOUT, "a program may serve a file system of its own"),
        Err(error) => Finding::warning(
            ABOUT,
            format!("/dev/fuse cannot be opened: {error}"),
            "no slow disk can be imitated; all scenarios that come with Quadrant run without",
            "run as root, or give the container the device: --device /dev/fuse",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{self, Obstacle, Ok as Fine, Warning};
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
    fn a_device_that_does_not_open_is_a_warning() {
        assert_eq!(judge_fuse(Ok(())).level, Fine);
        let finding = judge_fuse(Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(finding.level, Warning);
        assert!(finding.remedy.is_some() && finding.costs.is_some());
    }

    #[test]
    fn tracing() {
        let with = |privileged, paranoid, tracefs_mounted| {
            let tracing = Tracing { privileged, paranoid, tracefs_mounted };
            (judge_tracepoints(tracing).level, judge_tracefs(tracing).level)
        };
        let expected: [(_, (Level, Level)); 4] = [
            (with(true, Some(2), false), (Fine, Warning)),
            (with(false, Some(-1), true), (Fine, Fine)),
            (with(false, Some(2), true), (Warning, Fine)),
            (with(false, None, true), (Warning, Fine)),
        ];
        for (seen, expected) in expected {
            assert_eq!(seen, expected);
        }
    }
}
