//! Asks a library what it says about itself, in a process of its own that is given up on when it
//! takes too long.
//!
//! Never loads a library here, and believes nothing of what it says.

use std::io::PipeReader;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};

use super::inside::NOT_LOADED;
use super::order::Limits;
use super::processes::within;
use super::signals;
use super::talk::{Keep, Stream};
use crate::system::interrupt;
use crate::system::passed_on::PassedOn;

/// How often it is looked at.
const WATCH_EVERY: std::time::Duration = std::time::Duration::from_micros(200);

/// What a library says about itself, asked in a process of its own.
pub fn describe(executable: &Path, library: &Path, limits: Limits) -> Result<String, String> {
    let mut description = Description::start(executable, library)
        .map_err(|error| format!("the process that loads it could not be started: {error}"))?;
    description.take(limits)
}

struct Description {
    child: Child,
    answer: Stream<PipeReader>,
    stderr: Stream<ChildStderr>,
    library: PathBuf,
}

impl Description {
    fn start(executable: &Path, library: &Path) -> std::io::Result<Self> {
        let (answer, answer_end) = std::io::pipe()?;
        let answer_end = PassedOn::new(&answer_end)?;
        let mut child = Command::new(executable)
            .arg("__describe")
            .arg(library)
            .args(["--answer", &answer_end.number().to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        drop(answer_end);
        let stderr = child.stderr.take().expect("standard error was asked for");
        Ok(Self {
            child,
            answer: Stream::new(answer, Keep::Line { bytes_max: 1 << 20 })?,
            stderr: Stream::new(stderr, Keep::Tail)?,
            library: library.to_owned(),
        })
    }

    fn take(&mut self, limits: Limits) -> Result<String, String> {
        let end = Instant::now() + limits.answer;
        let shown = self.library.display();
        loop {
            self.answer.listen();
            self.stderr.listen();
            if let Some(line) = self.answer.line() {
                return match line.strip_prefix(NOT_LOADED) {
                    Some(reason) => Err(reason.to_owned()),
                    None if line.is_empty() => Err(self.silence()),
                    None => Ok(line),
                };
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.answer.listen();
                self.stderr.listen();
                if self.answer.line().is_some() {
                    continue;
                }
                let ending = signals::ending(status);
                return Err(format!("loading {shown}, the process {ending}{}", self.last_words()));
            }
            if interrupt::requested() {
                return Err("interrupted".to_owned());
            }
            if Instant::now() >= end {
                return Err(format!("{shown} did not describe itself {}", within(limits.answer)));
            }
            std::thread::sleep(WATCH_EVERY);
        }
    }

    /// Why there is no description although the adapter came back from being asked.
    fn silence(&mut self) -> String {
        self.stderr.listen();
        format!("{} does not describe itself{}", self.library.display(), self.last_words())
    }

    fn last_words(&self) -> String {
        let words = self.stderr.last_words();
        words.map_or_else(String::new, |words| format!("; its last words: {words}"))
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
