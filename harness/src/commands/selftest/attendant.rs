//! A process of ours beside the trials: this program again, under a hidden subcommand.
//!
//! It lives for as long as its guard, over several trials, and never outlives this process.

use std::io::{self, Read};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::system::child::ChildGroup;
use crate::system::orphans;

/// An attendant that was told to end has so long for it.
const FAREWELL: Duration = Duration::from_secs(2);

/// Dropping it ends the process.
pub struct Attendant {
    child: ChildGroup,
    stdout: Option<ChildStdout>,
}

impl Attendant {
    /// Starts `executable subcommand words… --parent PID`.
    pub fn start(executable: &Path, subcommand: &str, words: &[String]) -> io::Result<Self> {
        let mut command = Command::new(executable);
        command
            .arg(subcommand)
            .args(words)
            .args(["--parent", &std::process::id().to_string()])
            // Closed when it is to end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command)?;
        // A trial's end takes every other child of this process for something left behind.
        orphans::spare(child.id());
        let stdout = child.stdout.take();
        Ok(Self { child, stdout })
    }

    /// Tells it to end, and takes what it has to say.
    pub fn dismiss(mut self) -> io::Result<String> {
        drop(self.child.stdin.take());
        // It says at most what a pipe holds before it ends, so it ends without being read.
        if self.child.wait_within(FAREWELL)?.is_none() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not end when told to"));
        }
        let mut said = String::new();
        if let Some(stdout) = &mut self.stdout {
            stdout.read_to_string(&mut said)?;
        }
        Ok(said)
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        orphans::forget(self.child.id());
    }
}
