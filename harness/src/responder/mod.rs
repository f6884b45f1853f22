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

use std::io;

use anyhow::Context;

use crate::system::board_memory::BoardMemory;
use crate::system::child::die_with_parent;
use crate::system::ordered_process::obey;
use crate::system::{clock, cpus, limits};
use order::{Order, Report};

/// The responder process. Returns the exit code.
pub fn run_from_stdin() -> u8 {
    obey(Report::Failed, run)
}

fn run(order: &Order, send: &mut dyn FnMut(Report) -> io::Result<()>) -> anyhow::Result<()> {
    die_with_parent(order.parent)?;
    cpus::stay_on(&order.cpus)?;
    clock::wake_on_time()?;
    limits::raise();
    order.clock.install();
    let board = BoardMemory::from_inherited(order.board_fd).context("taking over the board")?;
    respond::respond(order, board, send)
}
