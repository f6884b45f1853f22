//! The harness's side of the driver process: starts it, reads its reports, ends it.
//!
//! Never waits for a report: the supervisor polls the driver's output together with everything else.

use std::io;
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::ExitStatus;

use super::order::{Order, Report};
use crate::system::board_memory::BoardMemory;
use crate::system::child::Inherited;
use crate::system::ordered_process::{NoReport, OrderedProcess};

/// The subcommand under which the `quadrant` executable is a driver.
pub const SUBCOMMAND: &str = "__driver";
/// A result has a few histograms for each group, of at most some 30 KiB; more is no result.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

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

impl From<NoReport> for DriverError {
    fn from(reason: NoReport) -> Self {
        match reason {
            NoReport::NotWaitedFor(error) => DriverError::NotWaitedFor(error),
            NoReport::Ended(status) => DriverError::Ended(status),
            NoReport::Silent => DriverError::Silent,
            NoReport::Other(printed) => DriverError::NotAReport(printed),
        }
    }
}

/// A running driver. Dropping it ends the process.
pub struct Driver(OrderedProcess);

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
        let order = Order {
            board_fd: passed.number(),
            ping_fds: pings.iter().map(Inherited::number).collect(),
            parent: std::process::id(),
            ..order.clone()
        };
        OrderedProcess::start(exe, SUBCOMMAND, &order, LINE_BYTES_MAX).map(Self)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The driver's next report, if there is one; `None` means not yet. Its output, from
    /// [`Driver::source`], becomes readable then.
    pub fn try_read(&mut self) -> Result<Option<Report>, DriverError> {
        match self.0.try_read()? {
            Some(Report::Failed(why)) => Err(DriverError::Failed(why)),
            report => Ok(report),
        }
    }

    /// Its output, to be waited for; nothing once that has ended.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.0.source()
    }
}
