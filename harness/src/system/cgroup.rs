//! The control groups this process lies in, and what share of the CPUs they allow.
//!
//! It only looks; it makes no group.

use std::fs;
use std::path::{Path, PathBuf};

/// A group of this process, as a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub folder: PathBuf,
    /// Where its hierarchy begins, as far as it is seen from here.
    mount: PathBuf,
}

/// The groups of this process under a controller: its own hierarchy of the first version, then
/// the one hierarchy of the second, with or without the controller.
pub fn own(controller: &str) -> Vec<Place> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    places(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), controller)
}

fn places(mountinfo: &str, own_groups: &str, controller: &str) -> Vec<Place> {
    let has = |list: &str| list.split(',').any(|name| name == controller);
    let own = |is_it: &dyn Fn(&str, &str) -> bool| {
        own_groups.lines().find_map(|line| {
            let (number, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            is_it(number, controllers).then_some(path)
        })
    };
    let mounts = |is_it: &dyn Fn(&str, &str) -> bool| {
        mountinfo.lines().find_map(|line| {
            let (place, system) = line.split_once(" - ")?;
            let mut system = system.split(' ');
            let (kind, options) = (system.next()?, system.nth(1)?);
            let mut place = place.split(' ').skip(3);
            is_it(kind, options).then_some((place.next()?, place.next()?))
        })
    };
    let version_1 = (
        mounts(&|kind, options| kind == "cgroup" && has(options)),
        own(&|_, controllers| has(controllers)),
    );
    let version_2 = (
        mounts(&|kind, _| kind == "cgroup2"),
        own(&|number, controllers| number == "0" && controllers.is_empty()),
    );
    [version_1, version_2]
        .into_iter()
        .filter_map(|(mount, own)| {
            let (root, mount) = mount?;
            // A mount may show a part of the hierarchy only, as in a container.
            let below = Path::new(own?).strip_prefix(root).ok()?;
            let mount = PathBuf::from(mount);
            (!below.starts_with("..")).then(|| Place { folder: mount.join(below), mount })
        })
        .collect()
}

/// So many CPUs' time may be used, by the strictest of the groups above this process; `None`
/// where nothing limits it.
pub fn cpu_quota() -> Option<f64> {
    own("cpu").iter().flat_map(Place::upwards).filter_map(quota_of).reduce(f64::min)
}

impl Place {
    /// The group and those around it, as far as they are seen from here.
    pub fn upwards(&self) -> impl Iterator<Item = &Path> {
        self.folder.ancestors().take_while(|folder| folder.starts_with(&self.mount))
    }
}

fn quota_of(folder: &Path) -> Option<f64> {
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
    fn its_own_groups_are_found_in_both_versions() {
        let check = |mountinfo: &str, own: &str, expected: &[&str]| {
            let found = places(mountinfo, own, "pids");
            let found: Vec<&Path> = found.iter().map(|place| &*place.folder).collect();
            assert_eq!(found, expected.iter().map(Path::new).collect::<Vec<_>>());
        };
        let hybrid = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        check(
            hybrid,
            "8:pids:/jobs/7\n1:cpu:/\n0::/",
            &["/sys/fs/cgroup/pids/jobs/7", "/sys/fs/cgroup/unified"],
        );
        let unified = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        check(unified, "0::/user.slice/x.scope", &["/sys/fs/cgroup/user.slice/x.scope"]);
        check(unified, "0::/", &["/sys/fs/cgroup"]);
        // A container that sees its own part, and one that does not.
        let part = "30 23 0:26 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids";
        check(part, "8:pids:/docker/abc", &["/sys/fs/cgroup/pids"]);
        check(part, "8:pids:/docker/other", &[]);
        check(unified, "0::/../above", &[]);
        check("", "", &[]);
        check("nonsense", "nonsense", &[]);
    }

    #[test]
    fn limits_are_looked_for_up_to_the_mount() {
        let mount = "36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct";
        let places = places(mount, "3:cpu,cpuacct:/jobs/7", "cpu");
        let upwards: Vec<&Path> = places[0].upwards().collect();
        let top = Path::new("/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(upwards, [&*top.join("jobs/7"), &*top.join("jobs"), top]);
    }
}
