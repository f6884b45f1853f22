//! The environment of one test: a folder, a folder for temporary files, and every process that was
//! started there. Also the adapters, built once for all tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quadrant_reports::record::{Record, Status};
use serde::Deserialize;

use crate::command::{Call, Ended, read};

/// Compiling all runtimes on a small machine, with room to spare.
const BUILD_LIMIT: Duration = Duration::from_secs(1_800);
/// How many times in a row a standstill of the machine is tolerated.
const ATTEMPTS: usize = 5;
/// For processes that have been killed or asked to end.
const FAREWELL_LIMIT: Duration = Duration::from_secs(60);

/// The part of a manifest that makes a package a loadable library.
pub const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\"]\n";

pub struct Stage {
    folder: PathBuf,
    numbers: AtomicUsize,
}

impl Stage {
    pub fn new() -> Self {
        let stage = Self::bare();
        subjects();
        stage
    }

    /// A stage that can be used before the adapters are built.
    pub fn bare() -> Self {
        static STAGES: AtomicUsize = AtomicUsize::new(0);
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let name = format!("stage-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(folder.join("temporary")).unwrap();
        Self { folder, numbers: AtomicUsize::new(0) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A path as an argument.
    pub fn named(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.named(name)
    }

    /// A separate workspace with these adapter packages. Each has a name, the rest of its manifest
    /// after `[package]`, and the code of its library.
    pub fn workspace(&self, packages: &[(&str, &str, &str)]) -> PathBuf {
        let folder = self.path("workspace");
        for inside in ["specs", "runtimes"] {
            fs::create_dir_all(folder.join(inside)).unwrap();
        }
        let manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"runtimes/*\"]\n";
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        for (name, rest, text) in packages {
            let package = folder.join("runtimes").join(name);
            fs::create_dir_all(package.join("src")).unwrap();
            let head = format!(
                "[package]\nname = \"quadrant-{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n"
            );
            fs::write(package.join("Cargo.toml"), format!("{head}{rest}")).unwrap();
            fs::write(package.join("src/lib.rs"), text).unwrap();
        }
        folder
    }

    /// Compiles C into a file that is named like an adapter.
    pub fn library(&self, text: &str) {
        let source = self.write("library.c", text);
        let library = self.named(&library_name("c"));
        let words = ["-shared", "-fPIC", "-o", &library, &source];
        assert!(Command::new("cc").args(words).status().unwrap().success());
    }

    pub fn call(&self) -> Call {
        self.call_through(&[])
    }

    /// A number that was not used on this stage before.
    pub fn new_number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn call_through(&self, wrapper: &[&str]) -> Call {
        Call::through(wrapper, &self.folder, self.new_number()).env("TMPDIR", self.temporary())
    }

    /// Runs `quadrant` with these words.
    #[track_caller]
    pub fn quadrant(&self, words: &[&str]) -> Ended {
        self.call().args(words).run()
    }

    /// A `quadrant run` with the built adapters, without the pass in turns.
    pub fn run(&self, words: &[&str]) -> Call {
        self.in_turns(words).args(["--starts", "0"])
    }

    /// A `quadrant run` with both passes.
    pub fn in_turns(&self, words: &[&str]) -> Call {
        self.call().args(["run", "--no-build", "--time-limit", "60"]).args(words)
    }

    pub fn temporary(&self) -> PathBuf {
        self.path("temporary")
    }

    /// The records in a results folder. A line that is not a record fails the test.
    #[track_caller]
    pub fn records(&self, out: &str) -> Vec<Record> {
        let text = read(&self.path(out).join("records.jsonl"));
        assert!(text.is_empty() || text.ends_with('\n'), "the last record is cut off");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs the scenarios, and with `--resume` repeats trials in which the machine stood still.
    /// Returns the last call and the records of the whole run.
    #[track_caller]
    pub fn measure(&self, what: &[&str], how: &[&str], limit: Duration) -> (Ended, Vec<Record>) {
        let folder = format!("results-{}", self.new_number());
        let out = self.named(&folder);
        let call = |words: &[&str]| {
            let call = self.call().args(["run", "--no-build", "--format", "json"]);
            let ended = call.args(words).limit(limit).run();
            // Checked at once: nothing may be left when the call has ended.
            self.assert_empty();
            let records = ended.records();
            (ended, records)
        };
        let mut measured = call(&[what, how, &["--starts", "0", "--out", &out]].concat());
        for _ in 0..ATTEMPTS {
            if !measured.1.iter().any(was_starved) {
                break;
            }
            // The resumed run has its former options.
            measured = call(&["--resume", &out]);
        }
        let written = self.records(&folder);
        assert!(measured.1.iter().all(|record| written.contains(record)));
        measured
    }

    /// The run has succeeded, except for trials without any operation because the machine stood
    /// still.
    #[track_caller]
    pub fn assert_completed(&self, ended: &Ended, out: &str) {
        let standstill = |record: &Record| record.status == Status::Ok || was_starved(record);
        let is_well = match ended.code {
            Some(0) => true,
            Some(3) => self.records(out).iter().all(standstill),
            _ => false,
        };
        assert!(is_well, "{:?}: {}", ended.code, ended.stderr);
    }

    /// Processes that were started on this stage, at any depth: they have its folder in their
    /// environment.
    pub fn processes(&self) -> Vec<String> {
        let mark = format!("TMPDIR={}\0", self.temporary().display());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            // Processes of other users, and those that have just ended, cannot be read.
            let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
            if String::from_utf8_lossy(&environment).contains(&mark) {
                let words = read(&entry.path().join("cmdline")).replace('\0', " ");
                found.push(format!("{} {words}", entry.file_name().display()));
            }
        }
        found
    }

    pub fn temporary_files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.temporary()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// At this moment, no process and no temporary file is left.
    #[track_caller]
    pub fn assert_empty(&self) {
        assert_eq!(self.processes(), Vec::<String>::new());
        assert_eq!(self.temporary_files(), Vec::<PathBuf>::new());
    }

    /// The same within a limit, for processes that no other process waits for.
    #[track_caller]
    pub fn assert_soon_empty(&self) {
        self.assert_soon_no_process();
        self.assert_empty();
    }

    /// What a killed program has started is killed with it, though not at once.
    #[track_caller]
    pub fn assert_soon_no_process(&self) {
        let end = Instant::now() + FAREWELL_LIMIT;
        while Instant::now() < end && !self.processes().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(self.processes(), Vec::<String>::new());
    }
}

/// Whether a trial is unmeasured because the machine stood still or was busy.
pub fn was_starved(record: &Record) -> bool {
    let reason = record.reason.as_deref().unwrap_or_default();
    let reasons = [
        "no operation was completed",
        "the load driver sent 1 % of the requests",
        "stop what else runs here",
    ];
    let is_idle = reason.contains("the subject was idle");
    record.status == Status::Unmeasured
        && !is_idle
        && reasons.iter().any(|words| reason.contains(words))
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The files of a failed test are kept for inspection.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A subject as `quadrant list subjects --format json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subject {
    pub id: String,
    pub runtime: String,
    pub version: String,
    pub executor: String,
    pub backend: String,
    pub capabilities: BTreeSet<String>,
    pub variant: bool,
    pub available: bool,
    pub reason: Option<String>,
}

/// All subjects, including those of test adapters. The first call builds the adapters.
pub fn subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(|| listed("--with-test-adapters"))
}

/// The subjects of `-r '**'`: those of a normal run and all variants.
pub fn ordinary_subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(|| {
        subjects();
        listed("--no-build")
    })
}

fn listed(option: &str) -> Vec<Subject> {
    let stage = Stage::bare();
    // The hand-written programs serve benches only, and take a fifth of the time to build.
    let call = stage.call().args(["list", "subjects", option, "-x", "native", "--format", "json"]);
    serde_json::from_str(&call.limit(BUILD_LIMIT).run().expect_code(0).stdout).unwrap()
}

/// Builds the adapters with the behaviour kit that tests ask about, once.
pub fn build_kit() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let stage = Stage::bare();
        let asked = ["threads", "tokio", "mio", "faulty"].map(|adapter| ["-r", adapter]);
        let call = stage.call().args(["check", "wake-in-poll", "--with-test-adapters"]);
        call.args(asked.as_flattened()).limit(BUILD_LIMIT).run();
    });
}

/// Where the adapters of this workspace are built.
pub fn adapters_folder() -> PathBuf {
    workspace().join("target/adapters/release")
}

pub fn library_name(adapter: &str) -> String {
    format!("libquadrant_{}.so", adapter.replace('-', "_"))
}

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
