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
use quadrant_suite::clock::{ClockScale, Stamp, stamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::helper_process::HelperProcess;
use crate::system::run_queue::RunQueue;
use crate::system::{affinity, lifeline};

pub const SUBCOMMAND: &str = "__watcher";

const NAP_NS: u64 = 250_000;
/// A busy kernel sometimes takes a little less than this.
const LATE_NS: u64 = 200_000;
/// The output has to fit into a pipe.
const STANDSTILLS_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub struct WatcherArguments {
    #[arg(long)]
    cpu: usize,
    /// The clock, as JSON.
    #[arg(long)]
    clock: String,
    /// The process it dies with.
    #[arg(long)]
    parent: u32,
}

/// What it prints.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    standstills: Vec<(Stamp, Stamp)>,
}

/// `__watcher`: watches until its standard input is closed.
pub fn run(arguments: &WatcherArguments) -> Result<()> {
    lifeline::die_with(arguments.parent)?;
    affinity::stay_on(&[arguments.cpu]).context("the CPU could not be chosen")?;
    let clock: ClockScale = serde_json::from_str(&arguments.clock).context("no clock")?;
    clock.install();
    // Timer slack: by default Linux may delay a wake-up to batch it with others.
    #[cfg(target_os = "linux")]
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
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
            // The standstill comes first: a thread that is woken late waits in the queue after it.
            seen.standstills.push((due, due + clock.ticks(stood_ns)));
        }
    }
}

/// Subtracts what was waited in the run queue during a nap, and nothing of earlier naps.
struct Naps {
    /// All time in the run queue until the latest nap began.
    queued_ns: u64,
}

impl Naps {
    /// How long the CPU stood still, at the end of a nap that was `late_ns` too long.
    fn end(&mut self, late_ns: u64, queued_ns: u64) -> u64 {
        let waited_ns = queued_ns.saturating_sub(self.queued_ns);
        self.queued_ns = queued_ns;
        late_ns.saturating_sub(waited_ns)
    }
}

/// Watchers of some CPUs. They end when dropped.
pub struct Watch(Vec<HelperProcess>);

impl Watch {
    pub fn begin(executable: &Path, cpus: &[usize], clock: ClockScale) -> io::Result<Self> {
        let clock = serde_json::to_string(&clock)?;
        let start = |cpu: &usize| {
            let words = [SUBCOMMAND, "--cpu", &cpu.to_string(), "--clock", &clock];
            HelperProcess::start(executable, &words)
        };
        Ok(Self(cpus.iter().map(start).collect::<io::Result<_>>()?))
    }

    /// The standstills of all CPUs; those that overlap are one.
    pub fn end(self) -> io::Result<Vec<Standstill>> {
        let mut all = Vec::new();
        for watcher in self.0 {
            let seen: Seen = serde_json::from_str(&watcher.end()?)?;
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

    /// Short waits happen beside any other process; they explain nothing that happens later.
    #[test]
    fn waits_of_earlier_naps_explain_no_standstill() {
        let mut naps = Naps { queued_ns: 0 };
        for nap in 1..=100 {
            assert_eq!(naps.end(150_000, nap * 150_000), 0);
        }
        assert_eq!(naps.end(15_000_000, 15_000_000), 15_000_000);
        // Waiting during this very nap explains it.
        assert_eq!(naps.end(15_000_000, 29_000_000), 1_000_000);
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
        let still = |start, end| Standstill { start, end };
        assert_eq!(joined(vec![(50, 60), (10, 20), (15, 30)]), [still(10, 30), still(50, 60)]);
        assert_eq!(joined(Vec::new()), []);
    }
}
