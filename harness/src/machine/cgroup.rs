//! The control groups this process lies in: whether threads can be counted by one, and what share
//! of the CPUs they allow.
//!
//! It only looks; it makes no group.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

const ROOT: &str = "/sys/fs/cgroup";

/// Whether a group could be made that counts its threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PidsGroup {
    /// Below this folder.
    CanBeMade(PathBuf),
    /// It is there and belongs to somebody else.
    NotOurs(PathBuf),
    None,
}

pub fn pids_group() -> PidsGroup {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for folder in folders(&own, "pids") {
        // Under the second version the folder is there with or without the controller.
        let controllers = fs::read_to_string(folder.join("cgroup.controllers"));
        let counts = controllers.is_ok_and(|all| all.split_whitespace().any(|one| one == "pids"));
        if !counts && !folder.starts_with(Path::new(ROOT).join("pids")) {
            continue;
        }
        return match access(&folder, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => PidsGroup::CanBeMade(folder),
            Err(_) => PidsGroup::NotOurs(folder),
        };
    }
    PidsGroup::None
}

/// So many CPUs' time may be used, by the strictest of the groups above this process; `None`
/// where nothing limits it.
pub fn cpu_quota() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    folders(&own, "cpu")
        .iter()
        .flat_map(|folder| folder.ancestors())
        .filter_map(quota_of)
        .reduce(f64::min)
}

fn quota_of(folder: &Path) -> Option<f64> {
    if !folder.starts_with(ROOT) {
        return None;
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    match read("cpu.max") {
        Some(text) => quota(&text),
        None => {
            let (quota_us, period_us) = (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?);
            quota(&format!("{} {}", quota_us.trim(), period_us.trim()))
        }
    }
}

/// Of `50000 100000`: half a CPU. `max` and -1 are no limit.
fn quota(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok().filter(|quota| *quota > 0.0)?;
    let period: f64 = words.next()?.parse().ok().filter(|period| *period > 0.0)?;
    Some(quota / period)
}

/// Where a controller of ours lies, under either version of control groups. Within a container
/// the path may be one of the host's; then its own root is what it sees.
fn folders(own: &str, controller: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let mount = if controllers.is_empty() {
            PathBuf::from(ROOT)
        } else if controllers.split(',').any(|one| one == controller) {
            Path::new(ROOT).join(controllers)
        } else {
            continue;
        };
        let inner = mount.join(path.trim_start_matches('/'));
        // Joining nothing would leave a slash at the end.
        folders.push(if path != "/" && inner.is_dir() { inner } else { mount });
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_of_both_versions() {
        assert_eq!(quota("50000 100000\n"), Some(0.5));
        assert_eq!(quota("300000 100000"), Some(3.0));
        for unlimited in ["max 100000", "-1 100000", "0 100000", "", "50000"] {
            assert_eq!(quota(unlimited), None, "{unlimited}");
        }
    }

    #[test]
    fn a_controller_is_found_under_both_versions() {
        let first = "8:pids:/nowhere/at/all\n3:cpu,cpuacct:/nowhere\n";
        assert_eq!(folders(first, "pids"), [Path::new("/sys/fs/cgroup/pids")]);
        assert_eq!(folders(first, "cpu"), [Path::new("/sys/fs/cgroup/cpu,cpuacct")]);
        assert_eq!(folders("0::/nowhere/at/all\n", "pids"), [Path::new(ROOT)]);
        assert_eq!(folders("nonsense\n", "pids"), [] as [&Path; 0]);
    }
}
