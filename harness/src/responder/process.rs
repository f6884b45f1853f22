//! The harness's side of the responder process: starts it, reads its reports, ends it.

use std::io::{self, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::order::{Answers, Order, Report};
use crate::system::board_memory::BoardMemory;
use crate::system::child::{ChildGroup, Keep, Output, ending, wait_for_output};
use crate::system::interrupt;

/// The subcommand under which the `quadrant` executable is a responder.
pub const SUBCOMMAND: &str = "__responder";
/// A result has a histogram for each backend, of at most some 30 KiB.
const LINE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long its end may take to follow that of its output.
const EXIT_LIMIT: Duration = Duration::from_millis(300);
/// An interruption is noticed this late.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running responder. Dropping it ends the process.
pub struct Responder {
    child: ChildGroup,
    stdout: Output<ChildStdout>,
}

impl Responder {
    /// Starts `exe __responder` with `order`, on `board`. Fills in `board_fd` and `parent`. Returns it
    /// with its port. To be called from a thread that lives as long as the harness: the responder
    /// dies with the thread that started it. An error is a whole sentence.
    pub fn spawn(
        exe: &Path,
        order: Order,
        board: &BoardMemory,
        limit: Duration,
    ) -> Result<(Self, u16), String> {
        let started = Self::start(exe, order, board);
        let mut responder =
            started.map_err(|error| format!("the responder could not be started: {error}"))?;
        match responder.next_report(limit)? {
            Report::Listening(port) => Ok((responder, port)),
            _ => Err("the responder gave a result before it was asked".to_owned()),
        }
    }

    fn start(exe: &Path, order: Order, board: &BoardMemory) -> io::Result<Self> {
        let passed = board.inherited()?;
        let mut command = Command::new(exe);
        command.arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command)?;
        let order = Order { board_fd: passed.number(), parent: std::process::id(), ..order };
        drop(passed);
        let stdout = child.take_stdout().expect("standard output was piped");
        let mut stdin = child.take_stdin().expect("standard input was piped");
        let stdout = Output::new(stdout, Keep::Head { bytes_max: LINE_BYTES_MAX })?;
        let responder = Self { child, stdout };
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        // Smaller than any pipe, so this does not wait.
        stdin.write_all(&line)?;
        Ok(responder)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it counted, once the board's phase is `Over`.
    pub fn answers(&mut self, limit: Duration) -> Result<Answers, String> {
        match self.next_report(limit)? {
            Report::Finished(answers) => Ok(*answers),
            _ => Err("the responder gave no result".to_owned()),
        }
    }

    fn next_report(&mut self, limit: Duration) -> Result<Report, String> {
        let end = Instant::now() + limit;
        loop {
            self.stdout.read();
            if let Some(line) = self.stdout.take_line() {
                return match serde_json::from_str(&line) {
                    Ok(Report::Failed(why)) => Err(format!("the responder failed: {why}")),
                    Ok(report) => Ok(report),
                    Err(_) => {
                        let begin: String = line.chars().take(200).collect();
                        Err(format!("the responder printed something that is no report: {begin}"))
                    }
                };
            }
            if self.stdout.source().is_none() {
                return Err(match self.child.wait_within(EXIT_LIMIT) {
                    Ok(Some(status)) => format!("the responder {}", ending(status)),
                    _ => "the responder has closed its output without a result".to_owned(),
                });
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || interrupt::requested() {
                return Err(format!("the responder gave no report within {} s", limit.as_secs()));
            }
            wait_for_output([self.stdout.source()], left.min(LOOK_EVERY));
        }
    }
}
