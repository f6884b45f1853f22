//! The harness's side of the driver process: starts it, reads its reports, ends it.
//!
//! Never waits: the supervisor polls the driver's output together with everything else.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use super::order::{Order, Report};
use crate::system::board_memory::BoardMemory;
use crate::system::passed_on::PassedOn;

/// The subcommand under which the `quadrant` executable is a driver.
pub const SUBCOMMAND: &str = "__driver";
/// A result has two or three histograms of at most some 30 KiB; more is no result.
const LINE_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("the load driver could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("the output of the load driver could not be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("the load driver ended without a result ({0})")]
    Ended(ExitStatus),
    #[error("the load driver printed something that is not a report: {0}")]
    NotAReport(String),
    #[error("the load driver failed: {0}")]
    Failed(String),
}

/// A running driver. Dropping it ends the process.
pub struct Driver {
    child: Child,
    stdout: ChildStdout,
    /// Output that is not a whole line yet.
    unread: Vec<u8>,
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
        let passed = board.pass_on()?;
        let pings = pinged.iter().map(PassedOn::new).collect::<Result<Vec<_>, _>>()?;
        let mut child = Command::new(exe)
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own, so that it can be ended whole, and ^C reaches the harness only.
            .process_group(0)
            .spawn()?;
        let order = Order {
            board_fd: passed.number(),
            ping_fds: pings.iter().map(PassedOn::number).collect(),
            parent: std::process::id(),
            ..order.clone()
        };
        drop((passed, pings));
        let stdout = child.stdout.take().expect("standard output was piped");
        let mut stdin = child.stdin.take().expect("standard input was piped");
        let driver = Self { child, stdout, unread: Vec::new() };
        rustix::io::ioctl_fionbio(&driver.stdout, true)?;
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        // Smaller than any pipe, so this does not wait.
        stdin.write_all(&line)?;
        Ok(driver)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The driver's next report; `None` if there is none yet. Readiness shows on
    /// [`Driver::as_fd`].
    pub fn try_read(&mut self) -> Result<Option<Report>, DriverError> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return match serde_json::from_slice(&line) {
                    Ok(Report::Failed(why)) => Err(DriverError::Failed(why)),
                    Ok(report) => Ok(Some(report)),
                    Err(_) => Err(not_a_report(&line)),
                };
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(not_a_report(&self.unread));
            }
            let mut chunk = [0; 16 * 1024];
            match self.stdout.read(&mut chunk) {
                Ok(0) => {
                    let status = self.child.wait().map_err(DriverError::Unreadable)?;
                    return Err(DriverError::Ended(status));
                }
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DriverError::Unreadable(error)),
            }
        }
    }
}

impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Not reaped yet, so the process id is still its own.
        if matches!(self.child.try_wait(), Ok(None)) {
            if let Some(group) = rustix::process::Pid::from_raw(self.child.id() as i32) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

fn not_a_report(bytes: &[u8]) -> DriverError {
    let shown = &bytes[..bytes.len().min(200)];
    DriverError::NotAReport(String::from_utf8_lossy(shown).trim_end().to_owned())
}
