//! The load driver: a process of its own that sends requests to a subject and checks its answers.
//!
//! It runs on its own event loop and knows no runtime. It never shares a thread, a lock or an
//! allocation with the subject, and it counts nothing that it did not compare byte by byte.

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
mod schedule;
mod tally;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::system::board_memory::BoardMemory;
use crate::system::child::die_with_parent;
use crate::system::{affinity, clock, limits};
use order::{Order, Report};

/// An order is a few hundred bytes.
const ORDER_BYTES_MAX: u64 = 64 * 1024;
/// Descriptors besides the connections.
const OTHER_FILES: u64 = 32;

/// The driver process, from its order on standard input to its result on standard output, where
/// it also says why there is none.
pub fn run_from_stdin() -> ExitCode {
    // The harness waits for each line, so none stays in a buffer.
    let say = &mut |report: Report| {
        let mut line = serde_json::to_vec(&report)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)?;
        io::stdout().lock().flush()
    };
    match run(say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody hears it any more, nobody needs to.
            let _ = say(Report::Failed(format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(say: &mut dyn FnMut(Report) -> io::Result<()>) -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().take(ORDER_BYTES_MAX).read_line(&mut line).context("reading the order")?;
    let order: Order = serde_json::from_str(&line).context("the order is not understood")?;
    die_with_parent(order.parent)?;
    if !order.cpus.is_empty() {
        affinity::stay_on(&order.cpus)?;
    }
    clock::wake_on_time()?;
    allow_files(u64::from(order.connections) + OTHER_FILES)?;
    order.clock.install();
    let board = BoardMemory::from_inherited(order.board_fd).context("taking over the board")?;
    drive::drive(&order, board, say)
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
