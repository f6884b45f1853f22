//! Observes a subject from outside while its window is open.
//!
//! Reads the number of threads about 100 times a second, and their names less often. Threads that
//! live for less than that are missed by these readings but not by the kernel, whose own peak and
//! count of created threads are read where that is allowed. Never stops the subject.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use quadrant_reports::record::{ContextSwitches, Threads};
use quadrant_suite::board::Board;

use super::thread_timeline::ThreadTimeline;
use crate::system::cgroup::PidsCgroup;
use crate::system::process;
use crate::system::syscall_counter::{Counted, SyscallCounter, ThreadCreations};

/// The pause between two readings of names, at the least and at the most.
const NAMES_EVERY: Duration = Duration::from_millis(100);
const NAMES_EVERY_MAX: Duration = Duration::from_secs(1);
/// A name costs a file, some 8 µs. With many threads names are read less often, so that reading them
/// takes at most one part in this many of the time.
const NAMES_TIME_PART: u32 = 100;

pub struct Observation {
    pid: u32,
    opened: Instant,
    switches: (u64, u64),
    cpu_ns: u64,
    looks: u64,
    threads_sum: u64,
    threads_peak: u64,
    kernel_peak: u64,
    kernel_now: u64,
    names: BTreeMap<String, u64>,
    names_due: Option<Instant>,
    /// Whether reading the names is quick enough to read them before they are due.
    are_names_cheap: bool,
    timeline: ThreadTimeline,
    /// The kernel's own peak, its workers included; known at the end.
    pids_peak: Option<u64>,
    creations: Option<ThreadCreations>,
    created: Option<u64>,
    evidence: Option<Evidence>,
}

/// Gathered in the pass whose figures are not used.
struct Evidence {
    counter: Result<SyscallCounter, String>,
    /// Threads that polled tasks.
    loops: BTreeSet<u32>,
}

impl Observation {
    /// Does what takes a while, right before the window. Moves the subject into the cgroup, if there is
    /// one.
    pub fn begin(pid: u32, cgroup: Option<&PidsCgroup>, gather_evidence: bool) -> Self {
        let is_in = cgroup.is_some_and(|cgroup| cgroup.take_in(pid).is_ok());
        let attach = || Evidence { counter: SyscallCounter::attach(pid), loops: BTreeSet::new() };
        Self {
            pid,
            opened: Instant::now(),
            switches: process::context_switches(pid),
            cpu_ns: 0,
            looks: 0,
            threads_sum: 0,
            threads_peak: 0,
            kernel_peak: 0,
            kernel_now: 0,
            names: BTreeMap::new(),
            names_due: None,
            are_names_cheap: true,
            timeline: ThreadTimeline::default(),
            pids_peak: is_in.then_some(0),
            creations: ThreadCreations::attach(pid).ok(),
            created: None,
            evidence: gather_evidence.then(attach),
        }
    }

    pub fn window_opens(&mut self) {
        self.opened = Instant::now();
        if let Some(creations) = &self.creations {
            creations.window_opens();
        }
        self.cpu_ns = process::cpu_ns(self.pid).unwrap_or(0);
        if let Some(Ok(counter)) = self.evidence.as_mut().map(|evidence| &mut evidence.counter) {
            counter.window_opens();
        }
    }

    pub fn look(&mut self, board: &Board) {
        if let Some(evidence) = &mut self.evidence {
            let threads = board.slots().iter().map(|slot| slot.thread_id.load(Relaxed));
            evidence.loops.extend(threads);
        }
        let Some(all) = process::thread_count(self.pid) else { return };
        let pid = self.pid;
        self.note_threads(all, || process::thread_names(pid));
    }

    fn note_threads(&mut self, all: u64, read_names: impl FnOnce() -> BTreeMap<String, u64>) {
        let is_due = self.names_due.is_none_or(|due| Instant::now() >= due);
        // A new peak may be due to a worker of the kernel, which its name shows.
        let is_peak = all.saturating_sub(self.kernel_now) > self.threads_peak;
        if is_due || (is_peak && self.are_names_cheap) {
            self.note_names(read_names);
        }
        let threads = all.saturating_sub(self.kernel_now);
        self.looks += 1;
        self.threads_sum += threads;
        self.threads_peak = self.threads_peak.max(threads);
        self.timeline.note(self.opened.elapsed().as_millis() as u64, threads);
    }

    /// The subject was frozen for so long: names are due that much later.
    pub fn postpone(&mut self, away: Duration) {
        self.names_due = self.names_due.map(|due| due + away);
    }

    fn note_names(&mut self, read_names: impl FnOnce() -> BTreeMap<String, u64>) {
        let began = Instant::now();
        self.kernel_now = 0;
        for (name, count) in read_names() {
            if process::is_kernel_worker(&name) {
                self.kernel_now += count;
            }
            let most = self.names.entry(name).or_default();
            *most = count.max(*most);
        }
        self.kernel_peak = self.kernel_peak.max(self.kernel_now);
        let now = Instant::now();
        let pause = pause_after(now - began);
        self.are_names_cheap = pause == NAMES_EVERY;
        self.names_due = Some(now + pause);
    }

    pub fn window_closes(&mut self, board: &Board, cgroup: Option<&PidsCgroup>) {
        if let Some(Ok(counter)) = self.evidence.as_mut().map(|evidence| &mut evidence.counter) {
            counter.window_closes();
        }
        let cpu_ns = process::cpu_ns(self.pid).unwrap_or(self.cpu_ns);
        self.cpu_ns = cpu_ns.saturating_sub(self.cpu_ns);
        self.created = self.creations.take().and_then(|creations| creations.count());
        self.look(board);
        // Before the names, so that each of the kernel's workers in this peak is among them.
        if self.pids_peak.is_some() {
            self.pids_peak = cgroup.and_then(|cgroup| cgroup.peak().ok());
        }
        let pid = self.pid;
        self.note_names(|| process::thread_names(pid));
        let (voluntary, involuntary) = process::context_switches(self.pid);
        // The counts of threads that have ended are gone.
        self.switches = (
            voluntary.saturating_sub(self.switches.0),
            involuntary.saturating_sub(self.switches.1),
        );
    }

    pub fn cpu_ns(&self) -> u64 {
        self.cpu_ns
    }

    pub fn context_switches(&self) -> ContextSwitches {
        ContextSwitches { voluntary: self.switches.0, involuntary: self.switches.1 }
    }

    pub fn threads(&self, loops: u64) -> Threads {
        let (peak, method) = self.peak();
        Threads {
            peak,
            mean: self.threads_sum as f64 / self.looks.max(1) as f64,
            loops,
            kernel: self.kernel_peak,
            method: method.to_owned(),
            created: self.created,
            migrations: None,
            timeline: self.timeline.points(),
            names: self.names.clone(),
        }
    }

    /// The most threads, with the kernel's workers: as sampled and, where it is known, as counted by the
    /// kernel.
    pub fn both_peaks(&self) -> (u64, Option<u64>) {
        (self.threads_peak + self.kernel_peak, self.pids_peak)
    }

    /// The most threads without the kernel's workers, and the method.
    fn peak(&self) -> (u64, &'static str) {
        match self.pids_peak {
            None => (self.threads_peak, "sampled every 10 ms"),
            Some(peak) if self.kernel_peak == 0 => (peak, "pids cgroup"),
            // The two peaks may have been at different moments; it is at least what was sampled.
            Some(peak) => (
                peak.saturating_sub(self.kernel_peak).max(self.threads_peak),
                "pids cgroup, less the kernel's workers as sampled",
            ),
        }
    }

    /// The system calls of the window, if they were to be counted.
    pub fn take_evidence(&mut self) -> Option<Result<Counted, String>> {
        let Evidence { counter, loops } = self.evidence.take()?;
        Some(counter.and_then(|counter| counter.read(&loops)))
    }
}

/// How long not to read names after a reading that took so long.
fn pause_after(cost: Duration) -> Duration {
    (cost * NAMES_TIME_PART).clamp(NAMES_EVERY, NAMES_EVERY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_more_threads_are_read_less_often() {
        let pause = |threads: u32| pause_after(Duration::from_micros(8) * threads);
        assert_eq!(pause(3), Duration::from_millis(100));
        assert_eq!(pause(125), Duration::from_millis(100));
        assert_eq!(pause(500), Duration::from_millis(400));
        assert_eq!(pause(2_000), Duration::from_secs(1));
    }

    #[test]
    fn a_new_kernel_worker_is_no_thread() {
        let mut observation = Observation::begin(std::process::id(), None, false);
        let mut look = |all, names: &[(&str, u64)]| {
            let names = names.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
            observation.note_threads(all, || names);
            (observation.threads_peak, observation.kernel_peak)
        };
        assert_eq!(look(3, &[("main", 1), ("worker", 2)]), (3, 0));
        assert_eq!(look(4, &[("main", 1), ("worker", 2), ("iou-wrk", 1)]), (3, 1));
        assert_eq!(look(5, &[("main", 1), ("worker", 3), ("iou-wrk", 1)]), (4, 1));
        assert_eq!(observation.timeline.points().last().map(|(_, threads)| *threads), Some(4));
    }

    fn check(pids_peak: Option<u64>, kernel: u64, sampled: u64, peak: u64, method: &str) {
        let mut observation = Observation::begin(std::process::id(), None, false);
        (observation.pids_peak, observation.kernel_peak) = (pids_peak, kernel);
        observation.threads_peak = sampled;
        assert_eq!(observation.peak(), (peak, method));
    }

    #[test]
    fn the_kernels_peak_without_its_workers_comes_first() {
        check(None, 0, 7, 7, "sampled every 10 ms");
        check(Some(9), 0, 7, 9, "pids cgroup");
        let less = "pids cgroup, less the kernel's workers as sampled";
        check(Some(9), 2, 7, 7, less);
        check(Some(9), 1, 7, 8, less);
        check(Some(9), 4, 7, 7, less);
    }
}
