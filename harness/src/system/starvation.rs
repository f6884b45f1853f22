//! Whether a process that did not get on was kept from running by others.
//!
//! Reads the process at both ends of a stretch of time, and never interrupts it.

use std::time::{Duration, Instant};

use super::process;
use super::run_queue::RunQueue;

/// A stretch of a process's time, from its beginning on.
pub struct Stretch {
    pid: u32,
    began: Instant,
    cpu_ns: u64,
    waited_ns: u64,
}

impl Stretch {
    pub fn begin(pid: u32) -> Self {
        Self { pid, began: Instant::now(), cpu_ns: cpu_ns(pid), waited_ns: waited_ns(pid) }
    }

    /// What kept the process from running until now, if it lasted for `least` already.
    pub fn cause(&self, least: Duration) -> Option<String> {
        let elapsed = self.began.elapsed();
        let cpu = Duration::from_nanos(cpu_ns(self.pid).saturating_sub(self.cpu_ns));
        let waited = Duration::from_nanos(waited_ns(self.pid).saturating_sub(self.waited_ns));
        (elapsed >= least && is_starved(elapsed, cpu, waited)).then(|| {
            format!(
                "it had a CPU for {:.1} s of {:.1} s and waited for one for {:.1} s: stop what \
                 else runs here, or give the run more CPUs",
                cpu.as_secs_f64(),
                elapsed.as_secs_f64(),
                waited.as_secs_f64()
            )
        })
    }
}

/// Threads that wait for each other keep a CPU busy with one of them. Where less than half of one
/// was used while threads were ready to run half of the time, others had it.
fn is_starved(elapsed: Duration, cpu: Duration, waited: Duration) -> bool {
    waited > elapsed / 2 && cpu < elapsed / 2
}

fn cpu_ns(pid: u32) -> u64 {
    process::cpu_ns(pid).unwrap_or(0)
}

fn waited_ns(pid: u32) -> u64 {
    RunQueue::of(&[pid]).waited_ns()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    use crate::system::affinity;

    fn spawn(words: &[&str]) -> Child {
        Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn its_own_threads_starve_nobody() {
        let seconds = Duration::from_secs;
        assert!(is_starved(seconds(10), seconds(1), seconds(8)));
        assert!(!is_starved(seconds(10), seconds(10), seconds(90)));
        assert!(!is_starved(seconds(10), seconds(0), seconds(0)));
    }

    #[test]
    fn one_of_five_on_a_cpu_is_starved_and_one_asleep_is_not() {
        let cpu = affinity::allowed()[0];
        // Children inherit the CPU of the thread that starts them.
        let spawn_all = move || {
            affinity::stay_on(&[cpu]).unwrap();
            let busy = (0..5).map(|_| spawn(&["sh", "-c", "while :; do :; done"]));
            (busy.collect::<Vec<_>>(), spawn(&["sleep", "60"]))
        };
        let (mut busy, mut asleep) = std::thread::spawn(spawn_all).join().unwrap();
        let (starved, resting) = (Stretch::begin(busy[0].id()), Stretch::begin(asleep.id()));
        // The longer it lasts, the surer; how long it takes on a busy machine does not matter.
        let found = (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            starved.cause(Duration::from_millis(500)).is_some()
        });
        let not_yet = starved.cause(Duration::from_secs(3_600));
        let resting = resting.cause(Duration::ZERO);
        for child in busy.iter_mut().chain([&mut asleep]) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(found);
        assert_eq!((not_yet, resting), (None, None));
    }
}
