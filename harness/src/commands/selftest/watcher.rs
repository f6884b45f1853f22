//! A watcher of one CPU: a process that records when the CPU stood still although no other process
//! ran on it.
//!
//! It sleeps for a moment at a time and measures how late it wakes up. The time that it waited in
//! the run queue was used by other processes and is subtracted; the rest no process on this
//! machine has used: the host had taken the CPU away, or the kernel was busy. It never reads
//! anything of the subject, and it needs no privilege.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use quadrant_reports::selftest::alarms::Standstill;
use quadrant_suite::clock::{ClockScale, stamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::helper_process::{HelperArguments, HelperProcess};
use crate::system::clock::wake_on_time;
use crate::system::process::RunQueue;

pub const SUBCOMMAND: &str = "__watcher";

const NAP_NS: u64 = 250_000;
/// A busy kernel sometimes takes a little less than this.
const LATE_NS: u64 = 200_000;
/// The output has to fit into a pipe.
const STANDSTILLS_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub struct WatcherArguments {
    #[command(flatten)]
    helper: HelperArguments,
    /// The clock, as JSON.
    #[arg(long)]
    clock: String,
}

/// What it prints.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    standstills: Vec<Standstill>,
}

/// `__watcher`: watches until its standard input is closed.
pub fn run(arguments: &WatcherArguments) -> Result<()> {
    arguments.helper.obey()?;
    let clock: ClockScale = serde_json::from_str(&arguments.clock).context("no clock")?;
    clock.install();
    wake_on_time()?;
    let seen = watch(clock)?;
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

fn watch(clock: ClockScale) -> Result<Seen> {
    let stdin = io::stdin();
    let nap = Timespec { tv_sec: 0, tv_nsec: NAP_NS as i64 };
    let mut seen = Seen::default();
    // It stays open: opening it takes ten times as long as reading it.
    let run_queue = RunQueue::of_this_thread();
    let mut queued_ns = run_queue.waited_ns();
    loop {
        let due = stamp() + clock.ticks(NAP_NS);
        let mut closed = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        if poll(&mut closed, Some(&nap))? > 0 {
            return Ok(seen);
        }
        let late_ns = clock.ns_between(due, stamp());
        let stood_ns = stood_ns(late_ns, &mut queued_ns, run_queue.waited_ns());
        if stood_ns >= LATE_NS && seen.standstills.len() < STANDSTILLS_MAX {
            // The standstill comes first: a thread that is woken late waits in the queue after it.
            seen.standstills.push((due, due + clock.ticks(stood_ns)));
        }
    }
}

/// How long the CPU stood still, at the end of a nap that was `late_ns` too long. Subtracts the
/// time in the run queue since the last nap's end, and none before.
fn stood_ns(late_ns: u64, queued_before_ns: &mut u64, queued_ns: u64) -> u64 {
    let waited_ns = queued_ns.saturating_sub(*queued_before_ns);
    *queued_before_ns = queued_ns;
    late_ns.saturating_sub(waited_ns)
}

/// Starts watchers of these CPUs. They end when dropped.
pub fn start(
    executable: &Path,
    cpus: &[usize],
    clock: ClockScale,
) -> io::Result<Vec<HelperProcess>> {
    let clock = serde_json::to_string(&clock)?;
    HelperProcess::on_each(executable, cpus, &[SUBCOMMAND, "--clock", &clock])
}

/// Ends the watchers. Returns the standstills of all CPUs; those that overlap are one.
pub fn end(watchers: Vec<HelperProcess>) -> io::Result<Vec<Standstill>> {
    let mut all = Vec::new();
    for watcher in watchers {
        let seen: Seen = serde_json::from_str(&watcher.end()?)?;
        all.extend(seen.standstills);
    }
    Ok(joined(all))
}

fn joined(mut standstills: Vec<Standstill>) -> Vec<Standstill> {
    standstills.sort_unstable();
    standstills.dedup_by(|next, last| {
        let overlap = next.0 <= last.1;
        if overlap {
            last.1 = last.1.max(next.1);
        }
        overlap
    });
    standstills
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short waits happen beside any other process; they explain nothing that happens later.
    #[test]
    fn waits_of_earlier_naps_explain_no_standstill() {
        let mut queued_ns = 0;
        for nap in 1..=100 {
            assert_eq!(stood_ns(150_000, &mut queued_ns, nap * 150_000), 0);
        }
        assert_eq!(stood_ns(15_000_000, &mut queued_ns, 15_000_000), 15_000_000);
        // Waiting during this very nap explains it.
        assert_eq!(stood_ns(15_000_000, &mut queued_ns, 29_000_000), 1_000_000);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn its_own_wait_can_be_read() {
        assert!(Path::new("/proc/thread-self/schedstat").exists());
        let run_queue = RunQueue::of_this_thread();
        let before = run_queue.waited_ns();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(run_queue.waited_ns() >= before);
    }

    #[test]
    fn overlapping_standstills_are_joined() {
        assert_eq!(joined(vec![(50, 60), (10, 20), (15, 30)]), [(10, 30), (50, 60)]);
        assert_eq!(joined(Vec::new()), []);
    }
}
