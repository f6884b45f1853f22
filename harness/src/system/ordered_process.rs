//! A process of the harness's own program that gets one order and reports about it: a JSON line on
//! its standard input, and one on its standard output for each report. Both sides of it.
//!
//! Never knows what is ordered.

use std::io::{self, BufRead, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::child::{ChildGroup, Keep, Output};

/// An order is a few hundred bytes for each of its parts. Less than any pipe holds.
const ORDER_BYTES_MAX: u64 = 64 * 1024;
/// How long its end may take to follow that of its output.
const EXIT_LIMIT: Duration = Duration::from_millis(300);

/// In the process: reads the order, and calls `run` with it and a way to send reports. Where that
/// fails, the last report is made of the error by `failed`. Returns the exit code.
pub fn obey<Order: DeserializeOwned, Report: Serialize>(
    failed: impl FnOnce(String) -> Report,
    run: impl FnOnce(&Order, &mut dyn FnMut(Report) -> io::Result<()>) -> anyhow::Result<()>,
) -> u8 {
    // The harness waits for each line, so none stays in a buffer.
    let send = &mut |report: Report| {
        let mut line = serde_json::to_vec(&report)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)?;
        io::stdout().lock().flush()
    };
    match read_order().and_then(|order| run(&order, send)) {
        Ok(()) => 0,
        Err(error) => {
            // Fails only when the harness has ended.
            let _ = send(failed(format!("{error:#}")));
            1
        }
    }
}

fn read_order<Order: DeserializeOwned>() -> anyhow::Result<Order> {
    let mut line = String::new();
    io::stdin().lock().take(ORDER_BYTES_MAX).read_line(&mut line).context("reading the order")?;
    serde_json::from_str(&line).context("the order is not understood")
}

/// In the harness: the running process. Dropping it ends it.
pub struct OrderedProcess {
    child: ChildGroup,
    stdout: Output<ChildStdout>,
}

/// Why there is no report, and never will be.
pub enum NoReport {
    NotWaitedFor(io::Error),
    Ended(ExitStatus),
    /// It has closed its output and not ended.
    Silent,
    /// What it printed instead, shortened.
    Other(String),
}

impl OrderedProcess {
    /// Starts `exe subcommand` with this order. A report may have `line_bytes_max`.
    pub fn start(
        exe: &Path,
        subcommand: &str,
        order: &impl Serialize,
        line_bytes_max: usize,
    ) -> io::Result<Self> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let mut command = Command::new(exe);
        command.arg(subcommand).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command)?;
        let stdout = child.take_stdout().expect("standard output was piped");
        let mut stdin = child.take_stdin().expect("standard input was piped");
        let stdout = Output::new(stdout, Keep::Head { bytes_max: line_bytes_max })?;
        let process = Self { child, stdout };
        // Smaller than any pipe, so this does not wait.
        stdin.write_all(&line)?;
        Ok(process)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its next report, if there is one; `None` means not yet. Its output, from
    /// [`OrderedProcess::source`], becomes readable then.
    pub fn try_read<Report: DeserializeOwned>(&mut self) -> Result<Option<Report>, NoReport> {
        self.stdout.read();
        match self.stdout.take_line() {
            Some(line) => serde_json::from_str(&line)
                .map(Some)
                .map_err(|_| NoReport::Other(line.chars().take(200).collect())),
            None if self.stdout.source().is_some() => Ok(None),
            None => {
                let ended = self.child.wait_within(EXIT_LIMIT).map_err(NoReport::NotWaitedFor)?;
                Err(ended.map_or(NoReport::Silent, NoReport::Ended))
            }
        }
    }

    /// Its output, to be waited for; nothing once that has ended.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.source()
    }
}
