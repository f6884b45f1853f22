//! The limits of this process, which its children inherit: open files, locked memory, threads.
//!
//! Never lowers one.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

use super::cgroup;

/// Libraries, heaps and the rest of a subject.
const OTHER_MAPS: u64 = 1_000;
/// For the most connections that a scenario may have, on both sides.
const FILES_WANTED: u64 = 120_000;

/// Raises the soft limits on open files, locked memory and threads as far as is allowed, so that
/// many connections, io_uring's rings and a thread for each of many tasks fit.
pub fn raise() {
    for resource in [Resource::Nofile, Resource::Memlock, Resource::Nproc] {
        let limit = getrlimit(resource);
        // Staying where it is, is no failure: what needs more is refused when it is planned.
        let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    // Root may go beyond the hard limit.
    if open_files_max().is_some_and(|files| files < FILES_WANTED) {
        let wanted = Rlimit { current: Some(FILES_WANTED), maximum: Some(FILES_WANTED) };
        let _ = setrlimit(Resource::Nofile, wanted);
    }
    if getrlimit(Resource::Memlock).maximum.is_some() {
        let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    }
}

/// Files that may be open at once; no value means no limit.
pub fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Memory that may be locked; no value means no limit.
pub fn locked_memory_max() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

/// How many more threads may be started here, by the strictest limit. Looked at once: what other
/// programs start meanwhile is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadsAllowed {
    pub more: u64,
    /// What limits them, and how to allow more.
    pub by: String,
}

/// No value means that nothing is known to limit them.
pub fn threads_allowed() -> Option<&'static ThreadsAllowed> {
    static SEEN: OnceLock<Option<ThreadsAllowed>> = OnceLock::new();
    let all = || of_groups().into_iter().chain(of_user()).chain(of_system());
    SEEN.get_or_init(|| all().min_by_key(|limit| limit.more)).as_ref()
}

fn of_groups() -> Vec<ThreadsAllowed> {
    let places = cgroup::own("pids");
    places.iter().flat_map(cgroup::Place::upwards).filter_map(of_group).collect()
}

fn of_group(folder: &Path) -> Option<ThreadsAllowed> {
    let most = number(&folder.join("pids.max"))?;
    let now = number(&folder.join("pids.current"))?;
    let file = folder.join("pids.max");
    let by = format!(
        "{} is {most}; a larger number there allows more (TasksMax= of a service, \
         --pids-limit of a container)",
        file.display()
    );
    Some(ThreadsAllowed { more: most.saturating_sub(now), by })
}

/// How many the user has already is not counted.
fn of_user() -> Option<ThreadsAllowed> {
    if getuid().is_root() {
        return None;
    }
    let more = getrlimit(Resource::Nproc).current?;
    let by = "so many processes are allowed to this user; `ulimit -Hu`, as root, allows more";
    Some(ThreadsAllowed { more, by: by.to_owned() })
}

fn of_system() -> Vec<ThreadsAllowed> {
    // `0.20 0.18 0.12 1/80 11206`: 80 there are.
    let now = fs::read_to_string("/proc/loadavg").ok().and_then(|text| {
        let (_, all) = text.split(' ').nth(3)?.split_once('/')?;
        all.parse().ok()
    });
    let of = |name: &str| {
        let most = number(&Path::new("/proc/sys/kernel").join(name))?;
        let by = format!("kernel.{name} is {most}; `sysctl kernel.{name}=N`, as root, allows more");
        Some(ThreadsAllowed { more: most.saturating_sub(now.unwrap_or(0)), by })
    };
    ["threads-max", "pid_max"].into_iter().filter_map(of).chain(of_maps()).collect()
}

/// The stack of a thread and the guard page before it are a map each.
fn of_maps() -> Option<ThreadsAllowed> {
    let most = number(Path::new("/proc/sys/vm/max_map_count"))?;
    let by = format!(
        "vm.max_map_count is {most}, and a thread needs two; `sysctl vm.max_map_count=N`, as root, \
         allows more"
    );
    Some(ThreadsAllowed { more: most.saturating_sub(OTHER_MAPS) / 2, by })
}

/// `max` is none.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_shows_what_is_left_of_its_limit() {
        let folder = std::env::temp_dir().join(format!("quadrant-pids-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let check = |most: &str, now: &str, more: Option<u64>| {
            fs::write(folder.join("pids.max"), most).unwrap();
            fs::write(folder.join("pids.current"), now).unwrap();
            assert_eq!(of_group(&folder).map(|limit| limit.more), more, "{most} {now}");
        };
        check("500\n", "20\n", Some(480));
        check("500\n", "600\n", Some(0));
        check("max\n", "20\n", None);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(of_group(&folder), None);
    }

    #[test]
    fn the_system_itself_has_limits() {
        let limits = of_system();
        assert_eq!(limits.len(), 3, "{limits:?}");
        assert!(limits.iter().all(|limit| limit.more > 0), "{limits:?}");
    }
}
