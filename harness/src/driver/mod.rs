//! The load driver: a process of its own that sends requests to a subject and checks its answers.
//!
//! It runs on its own event loop and uses no async runtime. It never shares a thread, a lock or an
//! allocation with the subject, and it counts no answer that it did not compare byte by byte.

pub mod alone;
pub mod arrivals;
pub mod ceiling;
mod clients;
mod connect;
mod connection;
mod drive;
mod in_flight;
pub mod null_server;
pub mod order;
mod pace;
pub mod pacer;
mod pings;
pub mod process;
mod ramp;
mod schedule;
mod tally;
#[cfg(test)]
mod tests;
mod wakes;

use std::io;

use anyhow::{Context, ensure};

use crate::system::board_memory::BoardMemory;
use crate::system::child::die_with_parent;
use crate::system::ordered_process::obey;
use crate::system::{clock, cpus, limits};
use order::{Order, Report};

/// Descriptors besides the connections.
const OTHER_FILES: u64 = 32;

/// The driver process. Returns the exit code.
pub fn run_from_stdin() -> u8 {
    obey(Report::Failed, run)
}

fn run(order: &Order, send: &mut dyn FnMut(Report) -> io::Result<()>) -> anyhow::Result<()> {
    die_with_parent(order.parent)?;
    cpus::stay_on(&order.cpus)?;
    clock::wake_on_time()?;
    allow_files(u64::from(order::connections(&order.groups)) + OTHER_FILES)?;
    order.clock.install();
    let board = BoardMemory::from_inherited(order.board_fd).context("taking over the board")?;
    drive::drive(order, board, send)
}

/// Raises the limit of open files, which has to be at least this.
fn allow_files(needed: u64) -> anyhow::Result<()> {
    limits::raise();
    let allowed = limits::open_files_max().unwrap_or(u64::MAX);
    ensure!(
        allowed >= needed,
        "the load needs {needed} open files, but {allowed} are allowed: raise the limit (ulimit \
         -Hn) or ask for fewer connections"
    );
    Ok(())
}
