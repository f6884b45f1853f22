//! The harness's side of the responder process: starts it, reads its reports, ends it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::order::{Answers, Order, Report};
use crate::system::board_memory::BoardMemory;
use crate::system::child::{ending, wait_for_output};
use crate::system::interrupt;
use crate::system::ordered_process::{NoReport, OrderedProcess};

/// The subcommand under which the `quadrant` executable is a responder.
pub const SUBCOMMAND: &str = "__responder";
/// A result has a histogram for each backend, of at most some 30 KiB.
const LINE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// An interruption is noticed this late.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running responder. Dropping it ends the process.
pub struct Responder(OrderedProcess);

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
        let could_not = |error| format!("the responder could not be started: {error}");
        let passed = board.inherited().map_err(could_not)?;
        let order = Order { board_fd: passed.number(), parent: std::process::id(), ..order };
        let started = OrderedProcess::start(exe, SUBCOMMAND, &order, LINE_BYTES_MAX);
        drop(passed);
        let mut responder = Self(started.map_err(could_not)?);
        match responder.next_report(limit)? {
            Report::Listening(port) => Ok((responder, port)),
            _ => Err("the responder gave a result before it was asked".to_owned()),
        }
    }

    pub fn id(&self) -> u32 {
        self.0.id()
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
            match self.0.try_read() {
                Ok(Some(Report::Failed(why))) => {
                    return Err(format!("the responder failed: {why}"));
                }
                Ok(Some(report)) => return Ok(report),
                Ok(None) => {}
                Err(NoReport::Ended(status)) => {
                    return Err(format!("the responder {}", ending(status)));
                }
                Err(NoReport::Other(printed)) => {
                    return Err(format!(
                        "the responder printed something that is no report: {printed}"
                    ));
                }
                Err(NoReport::Silent | NoReport::NotWaitedFor(_)) => {
                    return Err("the responder has closed its output without a result".to_owned());
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || interrupt::requested() {
                return Err(format!("the responder gave no report within {} s", limit.as_secs()));
            }
            wait_for_output([self.0.source()], left.min(LOOK_EVERY));
        }
    }
}
