//! Control groups: those this process lies in, what share of the CPUs they allow, and a `pids` group
//! for one trial, in which the kernel itself keeps the most threads there were at once.
//!
//! The subject is moved into that group right before its window opens, with all its threads in one
//! piece, so the peak is the window's and not that of loading or warming up (`pids.peak` cannot be
//! set back). The kernel counts every task: threads of processes that the subject starts meanwhile,
//! and io_uring's workers, are among them. It lies below the harness's own group, so whatever limits
//! that one limits the subject as before. Never changes a group that it did not make, except to have
//! the controller in those below its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io};

use super::process;

/// A group of this process, as a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub folder: PathBuf,
    /// The top of its hierarchy, as far as it is visible here.
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

/// How many CPUs' time may be used, by the strictest of the groups above this process; `None` where
/// nothing limits it.
pub fn cpu_quota() -> Option<f64> {
    own("cpu").iter().flat_map(Place::upwards).filter_map(quota_of).reduce(f64::min)
}

impl Place {
    /// The group and those above it, as far as they are visible here.
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

/// Before the process and the number in a name.
const NAME: &str = "quadrant-";

/// A `pids` group, empty at first and removed when dropped.
pub struct PidsCgroup {
    folder: PathBuf,
}

impl PidsCgroup {
    pub fn create() -> Option<Self> {
        parents().iter().find_map(|parent| Self::create_in(parent).ok())
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("{NAME}{}-{number}", std::process::id()));
        fs::create_dir(&folder)?;
        let cgroup = Self { folder };
        // Beside processes of its parent, a cgroup of version 2 can only be a threaded one.
        let kind = cgroup.folder.join("cgroup.type");
        if fs::read_to_string(&kind).is_ok_and(|kind| kind.trim() == "domain invalid") {
            fs::write(&kind, "threaded")?;
        }
        cgroup.peak()?; // Linux 6.1
        Ok(cgroup)
    }

    /// Moves a process in, with all its threads and whatever it starts from now on.
    pub fn take_in(&self, pid: u32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    /// The most tasks at once since the first was taken in.
    pub fn peak(&self) -> io::Result<u64> {
        let text = fs::read_to_string(self.folder.join("pids.peak"))?;
        text.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for PidsCgroup {
    fn drop(&mut self) {
        // A process that was just killed may not have left yet.
        for _ in 0..100 {
            match fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                // What stays is removed by a later harness.
                _ => return,
            }
        }
    }
}

/// Removes what dead harnesses have left behind.
pub fn sweep() {
    for parent in parents() {
        sweep_in(&parent);
    }
}

fn sweep_in(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if process::is_of_dead_process(&entry.file_name(), NAME) {
            // The kernel refuses as long as a process is in it.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Whether a `pids` group can be made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Possible {
    /// Below this folder.
    In(PathBuf),
    /// The controller is there, but this user may not make a group, or the kernel keeps no peak.
    NotIn(PathBuf),
    Nowhere,
}

/// Finds out by making one.
pub fn possible() -> Possible {
    match PidsCgroup::create() {
        Some(cgroup) => {
            let parent = cgroup.folder.parent().unwrap_or(&cgroup.folder);
            Possible::In(parent.to_owned())
        }
        None => counted_in().next().map_or(Possible::Nowhere, Possible::NotIn),
    }
}

/// This process's cgroups that have the controller.
fn counted_in() -> impl Iterator<Item = PathBuf> {
    own("pids").into_iter().map(|place| place.folder).filter(|folder| {
        // Version 1 has no such file: there a hierarchy is of its controllers only.
        fs::read_to_string(folder.join("cgroup.controllers"))
            .map_or(true, |all| all.split_whitespace().any(|name| name == "pids"))
    })
}

/// Where cgroups that count processes may be made, the best place first.
fn parents() -> Vec<PathBuf> {
    counted_in()
        .filter(|parent| {
            let children_have = parent.join("cgroup.subtree_control");
            // Version 1 has no such file. Version 2 is asked for the controller, in a cgroup
            // that holds this process and those it starts.
            let Ok(controllers) = fs::read_to_string(&children_have) else { return true };
            controllers.split_whitespace().any(|name| name == "pids")
                || fs::write(children_have, "+pids").is_ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};

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

    #[test]
    fn it_is_possible_where_one_is_made() {
        match (possible(), PidsCgroup::create()) {
            (Possible::In(parent), Some(cgroup)) => assert!(cgroup.folder.starts_with(parent)),
            (Possible::NotIn(_) | Possible::Nowhere, None) => {}
            (possible, cgroup) => panic!("{possible:?}, {}", cgroup.is_some()),
        }
    }

    #[test]
    fn a_group_that_cannot_be_made_is_none() {
        assert!(PidsCgroup::create_in(Path::new("/nowhere")).is_err());
        // A folder of another kind has no peak to read, and nothing stays behind.
        let folder =
            std::env::temp_dir().join(format!("quadrant-no-cgroup-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        assert!(PidsCgroup::create_in(&folder).is_err());
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn sweeping_removes_only_what_dead_harnesses_left() {
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let parent = std::env::temp_dir().join(format!("quadrant-sweep-{}", std::process::id()));
        let stays =
            [format!("quadrant-{}-3", std::process::id()), "quadrant-x-1".into(), "y".into()];
        let goes = format!("quadrant-{}-0", dead.id());
        for name in stays.iter().chain([&goes]) {
            fs::create_dir_all(parent.join(name)).unwrap();
        }
        sweep_in(&parent);
        assert!(!parent.join(goes).exists());
        assert!(stays.iter().all(|name| parent.join(name).exists()));
        fs::remove_dir_all(parent).unwrap();
    }

    /// This test program again, as a process that starts threads on request.
    struct Threads(Child, BufReader<std::process::ChildStdout>);

    impl Threads {
        fn start() -> Self {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture", "--quiet"])
                .arg("system::cgroup::tests::starts_threads_on_request")
                .env(ON_REQUEST, "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let stdout = BufReader::new(child.stdout.take().unwrap());
            let mut threads = Self(child, stdout);
            threads.wait_for("ready");
            threads
        }

        fn start_threads(&mut self, count: u32, word: &str) {
            writeln!(self.0.stdin.as_mut().unwrap(), "{count} {word}").unwrap();
            self.wait_for("done");
        }

        fn wait_for(&mut self, word: &str) {
            let mut line = String::new();
            while line.trim() != word {
                line.clear();
                assert!(self.1.read_line(&mut line).unwrap() > 0, "it has ended");
            }
        }
    }

    impl Drop for Threads {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    const ON_REQUEST: &str = "QUADRANT_TEST_STARTS_THREADS";

    #[test]
    fn starts_threads_on_request() {
        if std::env::var_os(ON_REQUEST).is_none() {
            return;
        }
        println!("ready");
        for line in io::stdin().lines() {
            let line = line.unwrap();
            let (count, word) = line.split_once(' ').unwrap();
            let all_there = std::sync::Arc::new(std::sync::Barrier::new(count.parse().unwrap()));
            let threads: Vec<_> = (0..count.parse().unwrap())
                .map(|_| {
                    let all_there = all_there.clone();
                    std::thread::spawn(move || all_there.wait())
                })
                .collect();
            if word == "join" {
                threads.into_iter().for_each(|thread| drop(thread.join()));
            }
            println!("done");
        }
    }

    fn threads_now(pid: u32) -> u64 {
        process::thread_count(pid).unwrap()
    }

    #[test]
    fn short_lived_threads_are_counted() {
        let Some(cgroup) = PidsCgroup::create() else {
            return eprintln!("skipped: no pids cgroup can be made here");
        };
        let mut subject = Threads::start();
        // A peak before the window is not the window's.
        subject.start_threads(80, "join");
        let before = threads_now(subject.0.id());
        cgroup.take_in(subject.0.id()).unwrap();
        assert_eq!(cgroup.peak().unwrap(), before);
        subject.start_threads(50, "join");
        assert_eq!(cgroup.peak().unwrap(), before + 50);
        assert_eq!(threads_now(subject.0.id()), before);
        subject.start_threads(20, "join");
        assert_eq!(cgroup.peak().unwrap(), before + 50);

        let folder = cgroup.folder.clone();
        assert!(folder.exists());
        drop(subject);
        drop(cgroup);
        assert!(!folder.exists());
    }

    #[test]
    fn a_group_is_removed_after_its_process_was_killed() {
        let Some(cgroup) = PidsCgroup::create() else {
            return eprintln!("skipped: no pids cgroup can be made here");
        };
        let mut subject = Threads::start();
        cgroup.take_in(subject.0.id()).unwrap();
        let folder = cgroup.folder.clone();
        subject.0.kill().unwrap();
        // Not waited for: removing it is a race with its end.
        drop(cgroup);
        assert!(!folder.exists());
        assert!(PidsCgroup::create().unwrap().take_in(u32::MAX >> 2).is_err());
    }

    /// What the column of kernel workers rests on.
    #[test]
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    fn workers_of_io_uring_are_counted_too() {
        use io_uring::{IoUring, opcode, squeue::Flags, types};
        if crate::system::features::io_uring_works().is_err() {
            return eprintln!("skipped: no io_uring here");
        }
        let before = threads_now(std::process::id());
        let mut ring = IoUring::new(4).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut byte = [0; 1];
        let descriptor = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&reader));
        let read = opcode::Read::new(descriptor, byte.as_mut_ptr(), 1).build().flags(Flags::ASYNC);
        // SAFETY: the byte and the pipe live until the read's completion is taken below.
        unsafe { ring.submission().push(&read) }.unwrap();
        ring.submit().unwrap();
        let is_there = || {
            let names = process::thread_names(std::process::id());
            names.keys().any(|name| process::is_kernel_worker(name))
        };
        let seen = (0..2_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            is_there()
        });
        assert!(seen, "a read that blocks needs a worker; {before} threads before");
        (&writer).write_all(b"x").unwrap();
        ring.submit_and_wait(1).unwrap();
        assert!(ring.completion().next().is_some());
    }
}
