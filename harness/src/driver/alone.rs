//! The load without a subject: the driver against a server that something else has started.
//!
//! Never starts a server, and leaves nothing running.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use quadrant_suite::board::Phase;
use quadrant_suite::clock::stamp;

use super::order::{Load, Order, Report};
use super::process::Driver;
use crate::system::board_memory::BoardMemory;
use crate::system::child::wait_for_output;
use crate::system::interrupt;

/// For each report, besides the time that opening the connections may take; none takes a tenth of it
/// on an idle machine.
const REPORT_MAX: Duration = Duration::from_secs(3);
/// How often an interruption is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs the load for `warmup` and then `window`, and returns what was measured in the window. An
/// interruption ends it at once.
pub fn run(
    executable: &Path,
    order: &Order,
    warmup: Duration,
    window: Duration,
) -> anyhow::Result<Load> {
    let memory = BoardMemory::create()?;
    let mut driver = Driver::spawn(executable, order, &memory, &[])?;
    let connecting = Duration::from_nanos(order.connect_limit_ns);
    match report_within(&mut driver, connecting + REPORT_MAX)? {
        // What could not be opened is among the errors of the load.
        Some(Report::Connected(_)) => {}
        other => bail!("the connections were not opened: {other:?}"),
    }
    for (phase, time) in [(Phase::Warmup, warmup), (Phase::Measuring, window)] {
        memory.board().enter(phase, stamp());
        if let Some(report) = report_within(&mut driver, time)? {
            bail!("the load driver ended before the window: {report:?}");
        }
    }
    memory.board().enter(Phase::Over, stamp());
    match report_within(&mut driver, REPORT_MAX)? {
        Some(Report::Finished(load)) => Ok(*load),
        other => bail!("no result: {other:?}"),
    }
}

/// Waits for the driver's next report. `None` stands for the end of the time.
fn report_within(driver: &mut Driver, limit: Duration) -> anyhow::Result<Option<Report>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(report) = driver.try_read()? {
            return Ok(Some(report));
        }
        ensure!(!interrupt::requested(), "interrupted");
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        wait_for_output([driver.source()], left.min(LOOK_EVERY));
    }
}

/// The driver's next report.
pub fn next_report(driver: &mut Driver) -> anyhow::Result<Report> {
    let report = report_within(driver, REPORT_MAX)?;
    report.ok_or_else(|| anyhow::anyhow!("the load driver does not report"))
}
