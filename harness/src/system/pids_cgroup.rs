//! A `pids` cgroup for one trial: the kernel itself keeps the most threads there were at once.
//!
//! The subject is moved in right before its window opens, with all its threads in one piece, so
//! the peak is the window's and not that of loading or warming up (`pids.peak` cannot be set
//! back). The kernel counts every task: threads of processes that the subject starts
//! meanwhile, and io_uring's workers, are among them.
//!
//! It lies below the harness's own cgroup, so whatever limits that one limits the subject as
//! before. Where none can be made there is none, and nothing is said: the record names the
//! method that was used instead.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::cgroup;

/// Before the process and the number in a name.
const NAME: &str = "quadrant-";

/// A cgroup of no processes yet, removed when dropped.
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
                // What stays is swept up by a later harness.
                _ => return,
            }
        }
    }
}

/// Removes what harnesses that are no more have left behind.
pub fn sweep() {
    for parent in parents() {
        sweep_in(&parent);
    }
}

fn sweep_in(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next());
        let Some(pid) = pid.filter(|pid| pid.parse::<u32>().is_ok()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            // The kernel refuses as long as a process is in it.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Whether one can be made here. Finds out by making one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Possible {
    /// Below this folder.
    In(PathBuf),
    /// The controller is there, and belongs to somebody else or cannot tell the peak.
    NotIn(PathBuf),
    Nowhere,
}

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
    cgroup::own("pids").into_iter().map(|place| place.folder).filter(|folder| {
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
    fn whether_one_can_be_made_is_found_out_by_making_one() {
        match (possible(), PidsCgroup::create()) {
            (Possible::In(parent), Some(cgroup)) => assert!(cgroup.folder.starts_with(parent)),
            (Possible::NotIn(_) | Possible::Nowhere, None) => {}
            (possible, cgroup) => panic!("{possible:?}, {}", cgroup.is_some()),
        }
    }

    #[test]
    fn one_that_cannot_be_made_is_none() {
        assert!(PidsCgroup::create_in(Path::new("/nowhere")).is_err());
        // A folder of another kind has no peak to read, and nothing stays behind.
        let folder =
            std::env::temp_dir().join(format!("quadrant-no-cgroup-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        assert!(PidsCgroup::create_in(&folder).is_err());
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn sweeping_takes_what_dead_harnesses_left_and_nothing_else() {
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

    /// This test program again, as a process that starts threads when it is told to.
    struct Threads(Child, BufReader<std::process::ChildStdout>);

    impl Threads {
        fn start() -> Self {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture", "--quiet"])
                .arg("system::pids_cgroup::tests::starts_threads_when_told_to")
                .env(TOLD, "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let stdout = BufReader::new(child.stdout.take().unwrap());
            let mut threads = Self(child, stdout);
            threads.wait_for("ready");
            threads
        }

        fn tell(&mut self, count: u32, word: &str) {
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

    const TOLD: &str = "QUADRANT_TEST_STARTS_THREADS";

    #[test]
    fn starts_threads_when_told_to() {
        if std::env::var_os(TOLD).is_none() {
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
        crate::system::process::thread_count(pid).unwrap()
    }

    #[test]
    fn threads_that_live_for_a_moment_are_counted() {
        let Some(cgroup) = PidsCgroup::create() else {
            return eprintln!("skipped: no pids cgroup can be made here");
        };
        let mut subject = Threads::start();
        // A peak before the window is not the window's.
        subject.tell(80, "join");
        let before = threads_now(subject.0.id());
        cgroup.take_in(subject.0.id()).unwrap();
        assert_eq!(cgroup.peak().unwrap(), before);
        subject.tell(50, "join");
        assert_eq!(cgroup.peak().unwrap(), before + 50);
        assert_eq!(threads_now(subject.0.id()), before);
        subject.tell(20, "join");
        assert_eq!(cgroup.peak().unwrap(), before + 50);

        let folder = cgroup.folder.clone();
        assert!(folder.exists());
        drop(subject);
        drop(cgroup);
        assert!(!folder.exists());
    }

    #[test]
    fn one_whose_process_is_killed_in_the_middle_is_removed() {
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
        if crate::system::io_uring::works().is_err() {
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
            let names = crate::system::process::thread_names(std::process::id());
            names.keys().any(|name| crate::system::process::is_kernel_worker(name))
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
