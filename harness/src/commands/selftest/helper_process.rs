//! A helper process beside the trials: this program again, with a hidden subcommand, on one CPU.
//!
//! It runs until its guard is dropped, over several trials, and never outlives this process.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::system::child::{ChildGroup, die_with_parent};
use crate::system::cpus;

/// A helper process whose standard input was closed has this long to end.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// What every helper process needs to know.
#[derive(Debug, Args)]
pub struct HelperArguments {
    #[arg(long)]
    cpu: usize,
    /// The process it dies with.
    #[arg(long)]
    parent: u32,
}

impl HelperArguments {
    /// In the helper process, first of all.
    pub fn obey(&self) -> Result<()> {
        die_with_parent(self.parent)?;
        cpus::stay_on(&[self.cpu]).context("the CPU could not be chosen")
    }
}

/// Dropping it ends the process.
pub struct HelperProcess(ChildGroup);

impl HelperProcess {
    /// Starts `executable arguments… --cpu CPU --parent PID` for each of these CPUs.
    pub fn on_each(
        executable: &Path,
        cpus: &[usize],
        arguments: &[&str],
    ) -> io::Result<Vec<HelperProcess>> {
        let start = |cpu: &usize| {
            let mut command = Command::new(executable);
            command.args(arguments).args(["--cpu", &cpu.to_string()]);
            command.args(["--parent", &std::process::id().to_string()]);
            ChildGroup::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).map(Self)
        };
        cpus.iter().map(start).collect()
    }

    /// Closes its standard input, waits for its end, and returns its output.
    pub fn end(mut self) -> io::Result<String> {
        drop(self.0.take_stdin());
        // Its output fits into the pipe, so it can end before that is read.
        if self.0.wait_within(END_TIMEOUT)?.is_none() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not end in time"));
        }
        let stdout = self.0.take_stdout();
        io::read_to_string(stdout.expect("it was piped at the start"))
    }
}
