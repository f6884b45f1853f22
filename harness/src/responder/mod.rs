//! The responder: a process of its own that plays the slow backends of a scenario.
//!
//! One thread, one event loop and one heap of due answers, so thousands of queries wait at once. It
//! uses no async runtime, and never answers a connection that does not know the trial's token.

pub mod latency;
pub mod order;
mod peer;
pub mod process;
mod respond;
mod tally;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read, Write};

use anyhow::Context;

use crate::system::board_memory::BoardMemory;
use crate::system::child::die_with_parent;
use crate::system::{clock, cpus, limits};
use order::{Order, Report};

/// An order is a few hundred bytes for each backend.
const ORDER_BYTES_MAX: u64 = 64 * 1024;

/// The responder process: reads its order from standard input and reports on standard output.
/// Returns the exit code.
pub fn run_from_stdin() -> u8 {
    // The harness waits for each line, so none stays in a buffer.
    let send = &mut |report: Report| {
        let mut line = serde_json::to_vec(&report)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)?;
        io::stdout().lock().flush()
    };
    match run(send) {
        Ok(()) => 0,
        Err(error) => {
            // Fails only when the harness has ended.
            let _ = send(Report::Failed(format!("{error:#}")));
            1
        }
    }
}

fn run(send: &mut dyn FnMut(Report) -> io::Result<()>) -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().take(ORDER_BYTES_MAX).read_line(&mut line).context("reading the order")?;
    let order: Order = serde_json::from_str(&line).context("the order is not understood")?;
    die_with_parent(order.parent)?;
    cpus::stay_on(&order.cpus)?;
    clock::wake_on_time()?;
    limits::raise();
    order.clock.install();
    let board = BoardMemory::from_inherited(order.board_fd).context("taking over the board")?;
    respond::respond(&order, board, send)
}
