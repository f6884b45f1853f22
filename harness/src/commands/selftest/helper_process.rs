//! A helper process beside the trials: this program again, with a hidden subcommand.
//!
//! It runs until its guard is dropped, over several trials, and never outlives this process.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::system::orphans;

/// A helper process whose standard input was closed has this long to end.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Dropping it ends the process.
pub struct HelperProcess(Child);

impl HelperProcess {
    /// Starts `executable arguments… --parent PID`.
    pub fn start(executable: &Path, arguments: &[&str]) -> io::Result<Self> {
        let child = Command::new(executable)
            .args(arguments)
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // ^C is for the harness.
            .process_group(0)
            .spawn()?;
        // Otherwise it would be killed at the end of a trial, as a process that the subject left
        // behind.
        orphans::spare(child.id());
        Ok(Self(child))
    }

    /// Closes its standard input, waits for its end, and returns its output.
    pub fn end(mut self) -> io::Result<String> {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + END_TIMEOUT;
        // Its output fits into the pipe, so it can end before that is read.
        while self.0.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not end in time"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut output = String::new();
        if let Some(stdout) = &mut self.0.stdout {
            stdout.read_to_string(&mut output)?;
        }
        Ok(output)
    }
}

impl Drop for HelperProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        orphans::forget(self.0.id());
    }
}
