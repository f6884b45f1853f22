//! A watcher of one CPU: notes when the CPU stood still although nobody else was running on it.
//!
//! It sleeps for a moment at a time and looks how late it wakes up. What it has waited in the
//! run queue is other processes' doing and taken off; what is left nobody in this machine has
//! used: the host had taken the CPU away, or the kernel was busy with itself. It shares nothing
//! with the instruments, and it needs no permission.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use quadrant_reports::selftest::alarms::Standstill;
use quadrant_suite::clock::{ClockScale, Stamp, stamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::attendant::Attendant;
use crate::system::child::die_with_parent;
use crate::system::clock::wake_on_time;
use crate::system::cpus;
use crate::system::process::RunQueue;

pub const SUBCOMMAND: &str = "__watcher";

const NAP_NS: u64 = 250_000;
/// What a busy kernel takes now and then is less.
const LATE_NS: u64 = 200_000;
/// What it says in the end has to find room in a pipe.
const STANDSTILLS_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub struct WatcherArguments {
    #[arg(long)]
    cpu: usize,
    /// The clock, as JSON.
    #[arg(long)]
    clock: String,
    /// Process to die with.
    #[arg(long)]
    parent: u32,
}

/// What it hands in.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    standstills: Vec<(Stamp, Stamp)>,
}

/// `__watcher`: watches until its standard input is closed.
pub fn run(arguments: &WatcherArguments) -> Result<()> {
    die_with_parent(arguments.parent)?;
    cpus::stay_on(&[arguments.cpu]).context("the CPU could not be chosen")?;
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
    let run_queue = RunQueue::of_this_thread();
    let mut naps = Naps { queued_ns: run_queue.waited_ns() };
    loop {
        let due = stamp() + clock.ticks(NAP_NS);
        let mut closed = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        if poll(&mut closed, Some(&nap))? > 0 {
            return Ok(seen);
        }
        let late_ns = clock.ns_between(due, stamp());
        let stood_ns = naps.end(late_ns, run_queue.waited_ns());
        if stood_ns >= LATE_NS && seen.standstills.len() < STANDSTILLS_MAX {
            // It stood first: a thread that is woken late waits in the queue only after that.
            seen.standstills.push((due, due + clock.ticks(stood_ns)));
        }
    }
}

/// Takes off what was waited in the run queue during a nap, and nothing of the naps before it.
struct Naps {
    /// All that was waited until the latest nap began.
    queued_ns: u64,
}

impl Naps {
    /// For how long the CPU stood still, at the end of a nap that was `late_ns` too long.
    fn end(&mut self, late_ns: u64, queued_ns: u64) -> u64 {
        let waited_ns = queued_ns.saturating_sub(self.queued_ns);
        self.queued_ns = queued_ns;
        late_ns.saturating_sub(waited_ns)
    }
}

/// Watchers of some CPUs. They end when dropped.
pub struct Watch(Vec<Attendant>);

impl Watch {
    pub fn begin(executable: &Path, cpus: &[usize], clock: ClockScale) -> io::Result<Self> {
        let clock = serde_json::to_string(&clock)?;
        let start = |cpu: &usize| {
            let words = ["--cpu".to_owned(), cpu.to_string(), "--clock".to_owned(), clock.clone()];
            Attendant::start(executable, SUBCOMMAND, &words)
        };
        Ok(Self(cpus.iter().map(start).collect::<io::Result<_>>()?))
    }

    /// What they have seen on any of their CPUs, overlaps made one.
    pub fn end(self) -> io::Result<Vec<Standstill>> {
        let mut all = Vec::new();
        for watcher in self.0 {
            let seen: Seen = serde_json::from_str(&watcher.dismiss()?)?;
            all.extend(seen.standstills);
        }
        Ok(joined(all))
    }
}

fn joined(mut stretches: Vec<(Stamp, Stamp)>) -> Vec<Standstill> {
    stretches.sort_unstable();
    let mut joined: Vec<Standstill> = Vec::new();
    for (start, end) in stretches {
        match joined.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => joined.push(Standstill { start, end }),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short waits come with every neighbour; they explain nothing that happens later.
    #[test]
    fn waits_of_earlier_naps_explain_no_standstill() {
        let mut naps = Naps { queued_ns: 0 };
        for nap in 1..=100 {
            assert_eq!(naps.end(150_000, nap * 150_000), 0);
        }
        assert_eq!(naps.end(15_000_000, 15_000_000), 15_000_000);
        // What is waited in this very nap does.
        assert_eq!(naps.end(15_000_000, 29_000_000), 1_000_000);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn its_own_wait_can_be_read() {
        let run_queue = RunQueue::of_this_thread();
        let before = run_queue.waited_ns();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(run_queue.waited_ns() >= before);
    }

    #[test]
    fn what_overlaps_is_one() {
        let still = |start, end| Standstill { start, end };
        assert_eq!(joined(vec![(50, 60), (10, 20), (15, 30)]), [still(10, 30), still(50, 60)]);
        assert_eq!(joined(Vec::new()), []);
    }
}
