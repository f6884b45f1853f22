//! A call of `quadrant`. No wait for it is without a limit.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quadrant::system::cgroup;
use quadrant_reports::record::Record;
use rustix::process::{Pid, Signal, kill_process};

const QUADRANT: &str = env!("CARGO_BIN_EXE_quadrant");
/// More than ten times what any call takes on an idle machine.
const LIMIT: Duration = Duration::from_secs(240);

/// A call that has not started yet.
pub struct Call {
    command: Command,
    folder: PathBuf,
    number: usize,
    limit: Duration,
}

impl Call {
    /// A call through other programs: `nice -n 5 quadrant …`. `number` distinguishes the calls of
    /// one folder.
    pub fn through(wrapper: &[&str], folder: &Path, number: usize) -> Self {
        let mut words = wrapper.iter().copied().chain([QUADRANT]);
        let mut command = Command::new(words.next().expect("there is at least the program"));
        command.args(words).current_dir(folder).stdin(Stdio::null()).env_remove("NO_COLOR");
        Self { command, folder: folder.to_owned(), number, limit: LIMIT }
    }

    pub fn args<A: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The working directory; by default the stage's folder.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts the call with this standard output, which is then not kept.
    pub fn start_into(mut self, stdout: impl Into<Stdio>) -> Running {
        let stderr = self.folder.join(format!("stderr-{}", self.number));
        self.command.stdout(stdout).stderr(File::create(&stderr).unwrap());
        let child = self.command.spawn().unwrap();
        let stdout = self.folder.join(format!("stdout-{}", self.number));
        Running { child, stdout, stderr, end: Instant::now() + self.limit, peak_memory_kib: 0 }
    }

    pub fn start(self) -> Running {
        let stdout = self.folder.join(format!("stdout-{}", self.number));
        self.start_into(File::create(stdout).unwrap())
    }

    pub fn run(self) -> Ended {
        self.start().wait()
    }
}

/// A running call. Dropping it kills the process.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    end: Instant,
    peak_memory_kib: u64,
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the condition holds. It is an error if the call ends first.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(result) = condition() {
                return result;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended before {what}: {}", read(&self.stderr));
            assert!(Instant::now() < self.end, "no {what}: {}", read(&self.stderr));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    pub fn has_ended(&mut self) -> bool {
        assert!(Instant::now() < self.end, "does not end: {}", read(&self.stderr));
        self.child.try_wait().unwrap().is_some()
    }

    #[track_caller]
    pub fn wait(self) -> Ended {
        self.until_ended(|| ())
    }

    /// Waits for the end of the call, and repeats `meanwhile` until then.
    #[track_caller]
    pub fn until_ended(mut self, mut meanwhile: impl FnMut()) -> Ended {
        let status = loop {
            self.look_at_memory();
            meanwhile();
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < self.end, "does not end: {}", read(&self.stderr));
            std::thread::sleep(Duration::from_millis(5));
        };
        if status.code().is_some() {
            let groups = control_groups_of(self.child.id());
            let is_empty = |group: &&PathBuf| read(&group.join("cgroup.procs")).is_empty();
            assert_eq!(groups.iter().find(is_empty), None);
        }
        Ended {
            code: status.code(),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            peak_memory_kib: self.peak_memory_kib,
        }
    }

    /// The kernel reports the peak memory only while the process lives.
    fn look_at_memory(&mut self) {
        let status = read(Path::new(&format!("/proc/{}/status", self.child.id())));
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        self.peak_memory_kib = self.peak_memory_kib.max(peak.unwrap_or(0));
    }
}

/// A shell without job control starts its background jobs with some of these ignored; the programs
/// under test are to have them as a terminal gives them.
#[allow(unsafe_code)]
pub fn accept_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the default action runs no code of this process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The control groups that a process has made and not removed. Those of one that was killed, or whose
/// subject could not be killed, are removed by a later one.
pub fn control_groups_of(pid: u32) -> Vec<PathBuf> {
    let name = format!("quadrant-{pid}-");
    let groups = cgroup::own("pids").into_iter();
    let entries = groups.filter_map(|group| std::fs::read_dir(group.folder).ok()).flatten();
    let paths = entries.flatten().map(|entry| entry.path());
    let is_its = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&name);
    paths.filter(is_its).collect()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The results of a call that has ended.
#[derive(Debug)]
pub struct Ended {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub peak_memory_kib: u64,
}

impl Ended {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard error contains each of these texts.
    #[track_caller]
    pub fn expect_words(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in:\n{}", self.stderr);
        }
        self
    }

    /// The records that `--format json` has printed to standard output.
    #[track_caller]
    pub fn records(&self) -> Vec<Record> {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }
}

/// The text of a file, or an empty text if it cannot be read.
pub fn read(path: &Path) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
