//! A process that loads an adapter library: this program again, under a hidden subcommand.
//!
//! Never loads a library into the harness itself, and never trusts what the process writes.

use std::io::{self, PipeReader, Write, pipe};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::inside::NOT_LOADED;
use super::library_file::LibraryFile;
use super::memory_watch::MemoryWatch;
use super::order::Limits;
use crate::system::child::{ChildGroup, Inherited, Keep, Output, ending, wait_for_output};
use crate::system::interrupt;
use crate::system::orphans::Mark;

/// An outcome has one histogram for each row; more than this is no outcome.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How often the process is checked for its end.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Dropping it ends the process with all that it has started.
pub struct AdapterProcess {
    child: ChildGroup,
    answer: Output<PipeReader>,
    stdout: Output<ChildStdout>,
    stderr: Output<ChildStderr>,
    mark: Mark,
    limits: Limits,
    memory: MemoryWatch,
}

impl AdapterProcess {
    /// Starts it with `input` on its standard input. `complete` adds what else its command takes.
    pub fn spawn(
        executable: &Path,
        subcommand: &str,
        library: &LibraryFile,
        limits: Limits,
        complete: impl FnOnce(&mut Command),
        input: &[u8],
    ) -> io::Result<Self> {
        let (answer, answer_end) = pipe()?;
        let answer_end = Inherited::new(&answer_end)?;
        let file = library.inherited()?;
        let mut command = Command::new(executable);
        command
            .arg(subcommand)
            .arg(library.path())
            .args(["--file", &file.number().to_string()])
            .args(["--answer", &answer_end.number().to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mark = Mark::new();
        mark.add_to(&mut command);
        complete(&mut command);
        let mut child = ChildGroup::spawn(&mut command)?;
        drop((answer_end, file));
        let mut stdin = child.take_stdin().expect("standard input was asked for");
        // If the child is gone already, its end is noticed soon.
        let _ = stdin.write_all(input);
        drop(stdin);
        let stdout = child.take_stdout().expect("standard output was asked for");
        let stderr = child.take_stderr().expect("standard error was asked for");
        Ok(Self {
            child,
            answer: Output::new(answer, Keep::Head { bytes_max: ANSWER_BYTES_MAX })?,
            stdout: Output::new(stdout, Keep::Tail)?,
            stderr: Output::new(stderr, Keep::Tail)?,
            mark,
            limits,
            memory: MemoryWatch::begin(limits.memory_bytes),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn read_output(&mut self) {
        self.answer.read();
        self.stdout.read();
        self.stderr.read();
    }

    /// The sources of its output, as far as they are open, to be waited for.
    pub fn sources(&self) -> [Option<BorrowedFd<'_>>; 3] {
        [self.answer.source(), self.stdout.source(), self.stderr.source()]
    }

    /// What it has handed in, if it has.
    pub fn answer(&self) -> Option<String> {
        self.answer.line()
    }

    /// Why it has to be stopped, if it has printed too much or uses too much memory.
    pub fn excess(&mut self) -> Option<String> {
        if self.stdout.total() + self.stderr.total() > self.limits.output_bytes {
            let limit = self.limits.output_bytes >> 20;
            return Some(format!("printed more than {limit} MiB and was stopped"));
        }
        self.memory.excess(self.child.id(), &self.mark)
    }

    /// How it ended, if it did so within this time. All its output has been read then.
    pub fn ended_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let status = self.child.wait_within(limit)?;
        if status.is_some() {
            self.read_output();
        }
        Ok(status)
    }

    /// Its last line on standard error or output, for the end of a reason.
    pub fn last_line_printed(&self) -> String {
        let line = self.stderr.last_line().or_else(|| self.stdout.last_line());
        line.map_or_else(String::new, |line| format!("; it printed last: {line}"))
    }
}

/// How a library describes itself, asked in a process of its own that has so long for it.
pub fn describe(
    executable: &Path,
    library: &LibraryFile,
    limits: Limits,
) -> Result<String, String> {
    let mut process = AdapterProcess::spawn(executable, "__describe", library, limits, |_| {}, &[])
        .map_err(|error| format!("the process that loads it could not be started: {error}"))?;
    let end = Instant::now() + limits.answer;
    let shown = library.path().display();
    loop {
        let status = process.ended_within(Duration::ZERO).ok().flatten();
        process.read_output();
        if let Some(line) = process.answer() {
            return match line.strip_prefix(NOT_LOADED) {
                Some(reason) => Err(reason.to_owned()),
                None if line.is_empty() => {
                    Err(format!("{shown} does not describe itself{}", process.last_line_printed()))
                }
                None => Ok(line),
            };
        }
        if let Some(status) = status {
            let ending = ending(status);
            return Err(format!(
                "loading {shown}, the process {ending}{}",
                process.last_line_printed()
            ));
        }
        if interrupt::requested() {
            return Err("interrupted".to_owned());
        }
        if let Some(excess) = process.excess() {
            return Err(format!("loading {shown}, the process {excess}"));
        }
        if Instant::now() >= end {
            return Err(format!("{shown} did not describe itself {}", within(limits.answer)));
        }
        wait_for_output(process.sources(), LOOK_EVERY);
    }
}

pub(super) fn within(limit: Duration) -> String {
    format!("within {} s", (limit.as_millis() as f64 / 1_000.0 * 10.0).round() / 10.0)
}
