//! The harness's side of the driver process: starts it, reads its reports, ends it.
//!
//! Never waits for a report: the supervisor polls the driver's output together with everything else.

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::order::{Order, Report};
use crate::system::board_memory::BoardMemory;
use crate::system::child::{ChildGroup, Inherited, Keep, Output};

/// The subcommand under which the `quadrant` executable is a driver.
pub const SUBCOMMAND: &str = "__driver";
/// A result has two or three histograms of at most some 30 KiB; more is no result.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// How long its end may take to follow that of its output.
const EXIT_LIMIT: Duration = Duration::from_millis(300);

#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("the load driver could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("the load driver could not be waited for: {0}")]
    NotWaitedFor(#[source] io::Error),
    #[error("the load driver ended without a result ({0})")]
    Ended(ExitStatus),
    #[error("the load driver has closed its output without a result")]
    Silent,
    #[error("the load driver printed something that is not a report: {0}")]
    NotAReport(String),
    #[error("the load driver failed: {0}")]
    Failed(String),
}

/// A running driver. Dropping it ends the process.
pub struct Driver {
    child: ChildGroup,
    stdout: Output<ChildStdout>,
}

impl Driver {
    /// Starts `exe __driver` with `order`, on `board`, to send pings on these connections. Fills in
    /// `board_fd`, `ping_fds` and `parent`. To be called from a thread that lives as long as the
    /// harness: the driver dies with the thread that started it.
    pub fn spawn(
        exe: &Path,
        order: &Order,
        board: &BoardMemory,
        pinged: &[TcpStream],
    ) -> Result<Self, DriverError> {
        Self::start(exe, order, board, pinged).map_err(DriverError::Start)
    }

    fn start(
        exe: &Path,
        order: &Order,
        board: &BoardMemory,
        pinged: &[TcpStream],
    ) -> io::Result<Self> {
        let passed = board.inherited()?;
        let pings = pinged.iter().map(Inherited::new).collect::<Result<Vec<_>, _>>()?;
        let mut command = Command::new(exe);
        command.arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command)?;
        let order = Order {
            board_fd: passed.number(),
            ping_fds: pings.iter().map(Inherited::number).collect(),
            parent: std::process::id(),
            ..order.clone()
        };
        drop((passed, pings));
        let stdout = child.take_stdout().expect("standard output was piped");
        let mut stdin = child.take_stdin().expect("standard input was piped");
        let stdout = Output::new(stdout, Keep::Head { bytes_max: LINE_BYTES_MAX })?;
        let driver = Self { child, stdout };
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        // Smaller than any pipe, so this does not wait.
        stdin.write_all(&line)?;
        Ok(driver)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The driver's next report, if there is one; `None` means not yet. Its output, from
    /// [`Driver::source`], becomes readable then.
    pub fn try_read(&mut self) -> Result<Option<Report>, DriverError> {
        self.stdout.read();
        match self.stdout.take_line() {
            Some(line) => match serde_json::from_str(&line) {
                Ok(Report::Failed(why)) => Err(DriverError::Failed(why)),
                Ok(report) => Ok(Some(report)),
                Err(_) => Err(DriverError::NotAReport(line.chars().take(200).collect())),
            },
            None if self.stdout.source().is_some() => Ok(None),
            None => {
                let ended =
                    self.child.wait_within(EXIT_LIMIT).map_err(DriverError::NotWaitedFor)?;
                Err(ended.map_or(DriverError::Silent, DriverError::Ended))
            }
        }
    }

    /// Its output, to be waited for; nothing once that has ended.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.source()
    }
}
