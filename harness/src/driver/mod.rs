//! The load driver: a process of its own that sends requests to a subject and checks its answers.
//!
//! It runs on its own event loop and uses no async runtime. It never shares a thread, a lock or an
//! allocation with the subject, and it counts no answer that it did not compare byte by byte.

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

use crate::system::affinity;
use crate::system::board_memory::BoardMemory;
use order::{Order, Report};

/// An order is a few hundred bytes.
const ORDER_BYTES_MAX: u64 = 64 * 1024;
/// Descriptors besides the connections.
const OTHER_FILES: u64 = 32;

/// The driver process: reads its order from standard input and writes its result, or the error, to
/// standard output.
pub fn run_from_stdin() -> ExitCode {
    // The harness waits for each line, so none stays in a buffer.
    let send = &mut |report: Report| {
        let mut line = serde_json::to_vec(&report)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)?;
        io::stdout().lock().flush()
    };
    match run(send) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Fails only when the harness has ended.
            let _ = send(Report::Failed(format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(send: &mut dyn FnMut(Report) -> io::Result<()>) -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().take(ORDER_BYTES_MAX).read_line(&mut line).context("reading the order")?;
    let order: Order = serde_json::from_str(&line).context("the order is not understood")?;
    die_with_parent(&order)?;
    if !order.cpus.is_empty() {
        affinity::stay_on(&order.cpus)?;
    }
    sleep_exactly()?;
    allow_files(u64::from(order.connections) + OTHER_FILES)?;
    order.clock.install();
    let board = BoardMemory::from_inherited(order.board_fd).context("taking over the board")?;
    drive::drive(&order, board, send)
}

fn die_with_parent(order: &Order) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have died before that; elsewhere the loop goes on looking.
    ensure!(std::os::unix::process::parent_id() == order.parent, "the harness is gone");
    Ok(())
}

/// The system may let a sleep end 50 µs late, to end several at once.
fn sleep_exactly() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    Ok(())
}

/// Raises the limit of open files as far as needed.
fn allow_files(needed: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "the load needs {needed} open files, but {} are allowed: raise the limit (ulimit -Hn) or \
         ask for fewer connections",
        limit.maximum.unwrap_or(u64::MAX)
    );
    let wider = Rlimit { current: Some(needed), maximum: limit.maximum };
    setrlimit(Resource::Nofile, wider).context("raising the limit of open files")
}
