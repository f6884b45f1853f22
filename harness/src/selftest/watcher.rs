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
use crate::machine::{affinity, lifeline};

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
    lifeline::die_with(arguments.parent)?;
    affinity::stay_on(&[arguments.cpu]).context("the CPU could not be chosen")?;
    let clock: ClockScale = serde_json::from_str(&arguments.clock).context("no clock")?;
    clock.install();
    // Otherwise the system may let it sleep longer, to wake several at once.
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
    let mut queued_ns = run_queue_ns();
    loop {
        let due = stamp() + clock.ticks(NAP_NS);
        let mut closed = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        if poll(&mut closed, Some(&nap))? > 0 {
            return Ok(seen);
        }
        let now = stamp();
        let late_ns = clock.ns_between(due, now);
        if late_ns < LATE_NS {
            continue;
        }
        let waited_ns = run_queue_ns() - queued_ns;
        queued_ns += waited_ns;
        let stood_ns = late_ns.saturating_sub(waited_ns);
        if stood_ns >= LATE_NS && seen.standstills.len() < STANDSTILLS_MAX {
            // It stood first: whoever is late in being woken waits in the queue only after that.
            seen.standstills.push((due, due + clock.ticks(stood_ns)));
        }
    }
}

/// How long this thread has waited for its CPU; nothing where the system does not tell.
fn run_queue_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
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

    #[test]
    fn what_overlaps_is_one() {
        let still = |start, end| Standstill { start, end };
        assert_eq!(joined(vec![(50, 60), (10, 20), (15, 30)]), [still(10, 30), still(50, 60)]);
        assert_eq!(joined(Vec::new()), []);
    }
}
