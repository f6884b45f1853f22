//! What is seen of a subject from outside while its window is open.
//!
//! It looks about 100 times a second at the number of threads, and less often at their names;
//! a thread that lives for less than that can be missed, which the record says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quadrant_reports::record::{ContextSwitches, Threads};

use crate::machine::process;

const NAMES_EVERY: Duration = Duration::from_millis(100);
/// Reading a name costs a file each: with many threads it is done less often.
const NAMES_EVERY_IF_MANY: Duration = Duration::from_millis(500);
const MANY: u64 = 128;

pub struct Observation {
    pid: u32,
    switches: (u64, u64),
    cpu_ns: u64,
    looks: u64,
    threads_sum: u64,
    threads_peak: u64,
    kernel_peak: u64,
    kernel_now: u64,
    names: BTreeMap<String, u64>,
    names_looked_at: Option<Instant>,
}

impl Observation {
    /// Right before the window: what takes a while to read.
    pub fn begin(pid: u32) -> Self {
        Self {
            pid,
            switches: process::context_switches(pid),
            cpu_ns: 0,
            looks: 0,
            threads_sum: 0,
            threads_peak: 0,
            kernel_peak: 0,
            kernel_now: 0,
            names: BTreeMap::new(),
            names_looked_at: None,
        }
    }

    pub fn window_opens(&mut self) {
        self.cpu_ns = process::cpu_ns(self.pid).unwrap_or(0);
    }

    pub fn look(&mut self) {
        let Some(all) = process::thread_count(self.pid) else { return };
        let every = if all > MANY { NAMES_EVERY_IF_MANY } else { NAMES_EVERY };
        if self.names_looked_at.is_none_or(|at| at.elapsed() >= every) {
            self.look_at_names();
        }
        let threads = all.saturating_sub(self.kernel_now);
        self.looks += 1;
        self.threads_sum += threads;
        self.threads_peak = self.threads_peak.max(threads);
    }

    fn look_at_names(&mut self) {
        self.kernel_now = 0;
        for (name, count) in process::thread_names(self.pid) {
            if process::is_kernel_worker(&name) {
                self.kernel_now += count;
            }
            let most = self.names.entry(name).or_default();
            *most = count.max(*most);
        }
        self.kernel_peak = self.kernel_peak.max(self.kernel_now);
        self.names_looked_at = Some(Instant::now());
    }

    pub fn window_closes(&mut self) {
        let cpu_ns = process::cpu_ns(self.pid).unwrap_or(self.cpu_ns);
        self.cpu_ns = cpu_ns.saturating_sub(self.cpu_ns);
        self.look();
        self.look_at_names();
        let (voluntary, involuntary) = process::context_switches(self.pid);
        // Threads that ended in between took their counts with them.
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
        Threads {
            peak: self.threads_peak,
            mean: self.threads_sum as f64 / self.looks.max(1) as f64,
            loops,
            kernel: self.kernel_peak,
            method: "sampled".to_owned(),
            names: self.names.clone(),
        }
    }
}
