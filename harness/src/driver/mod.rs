//! The load driver: a process of its own that sends requests to a subject and checks its answers.
//!
//! It runs on its own event loop and uses no async runtime. It never shares a thread, a lock or an
//! allocation with the subject, and it counts no answer that it did not compare byte by byte.

pub mod alone;
pub mod arrivals;
pub mod ceiling;
mod connect;
mod connection;
mod drive;
mod in_flight;
pub mod null_server;
pub mod order;
pub mod pacer;
mod pings;
pub mod process;
mod ramp;
mod schedule;
mod tally;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read, Write};

use anyhow::{Context, ensure};

use crate::system::board_memory::BoardMemory;
use crate::system::child::die_with_parent;
use crate::system::{clock, cpus, limits};
use order::{Order, Report};

/// An order is a few hundred bytes.
const ORDER_BYTES_MAX: u64 = 64 * 1024;
/// Descriptors besides the connections.
const OTHER_FILES: u64 = 32;

/// The driver process: reads its order from standard input and writes its result, or the error, to
/// standard output. Returns the exit code.
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
    allow_files(u64::from(order.connections) + OTHER_FILES)?;
    order.clock.install();
    let board = BoardMemory::from_inherited(order.board_fd).context("taking over the board")?;
    drive::drive(&order, board, send)
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
