//! Noise while a window was open: time stolen by a hypervisor, CPU time of other processes, and how
//! long the subject waited for a CPU.
//!
//! Reads at the window's two edges, never in between, and judges nothing.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use quadrant_reports::record::Noise;

use super::cpus::Division;
use super::{cpus, process};

/// Each thread costs a file at both edges. Of more threads, every second, third … is read.
const THREADS_READ: usize = 32;
/// Limit of the threads that are read at the end, when the subject may have more.
const THREADS_READ_MAX: usize = 64;

/// The first of two looks.
pub struct NoiseWatch {
    subject: u32,
    /// This process, the subject, and what belongs to them.
    ours: Vec<u32>,
    cpus: Vec<usize>,
    began: Instant,
    times: Option<CpuTimes>,
    /// CPU time of subject, driver and this process.
    ours_ns: u64,
    stride: u32,
    waited_ns: BTreeMap<u32, u64>,
}

impl NoiseWatch {
    /// `beside` are the driver, if there is one, and other processes that are no noise.
    pub fn begin(subject: u32, beside: &[u32], division: &Division) -> Self {
        let mut cpus = division.subject.clone();
        cpus.extend(division.driver.iter().filter(|_| !beside.is_empty()));
        cpus.sort_unstable();
        cpus.dedup();
        let ours = [&[subject, std::process::id()], beside].concat();
        let threads: Vec<u32> = process::tasks(subject).collect();
        let stride = threads.len().div_ceil(THREADS_READ).max(1) as u32;
        Self {
            subject,
            began: Instant::now(),
            times: read_times(&cpus),
            cpus,
            ours_ns: cpu_ns_of(&ours),
            ours,
            waited_ns: waited(subject, threads.iter().filter(|thread| *thread % stride == 0)),
            stride,
        }
    }

    /// The second look. `None` where the system does not keep these times.
    pub fn end(self) -> Option<Noise> {
        let before = self.times?;
        let after = read_times(&self.cpus)?;
        let capacity_ns = self.began.elapsed().as_nanos() as u64 * self.cpus.len() as u64;
        let ours_ns = cpu_ns_of(&self.ours).saturating_sub(self.ours_ns);
        let ns = |after: u64, before: u64| ticks_to_ns(after.saturating_sub(before));
        let steal_ns = ns(after.steal, before.steal);
        let idle_ns = ns(after.idle, before.idle);
        Some(Noise {
            capacity_ns,
            steal_ns,
            others_cpu_ns: capacity_ns.saturating_sub(idle_ns + steal_ns + ours_ns),
            run_queue_ns: self.run_queue_ns(),
            load_milli: load_milli().unwrap_or(0),
            governor: self.cpus.first().and_then(|cpu| cpus::governor(*cpu)),
        })
    }

    fn run_queue_ns(&self) -> u64 {
        let threads: Vec<u32> = process::tasks(self.subject).collect();
        let chosen: Vec<&u32> = threads
            .iter()
            .filter(|thread| *thread % self.stride == 0)
            .take(THREADS_READ_MAX)
            .collect();
        let seen = chosen.len() as u64;
        let waited: u64 = waited(self.subject, chosen.into_iter())
            .into_iter()
            // A new thread has waited only since it began.
            .map(|(thread, ns)| ns.saturating_sub(*self.waited_ns.get(&thread).unwrap_or(&0)))
            .sum();
        // Those that were not read are taken to be like those that were.
        (waited * threads.len() as u64).checked_div(seen).unwrap_or(0)
    }
}

/// Of some CPUs together, in the kernel's ticks. The rest was used: idle time is kept exactly, while
/// use is mostly estimated by what runs when a tick comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTimes {
    pub idle: u64,
    pub steal: u64,
}

/// Since the system was started.
pub fn read_times(cpus: &[usize]) -> Option<CpuTimes> {
    times(&fs::read_to_string("/proc/stat").ok()?, cpus)
}

fn times(stat: &str, cpus: &[usize]) -> Option<CpuTimes> {
    let mut sum = CpuTimes { idle: 0, steal: 0 };
    let mut found = 0;
    for line in stat.lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        let Some(Ok(cpu)) = name.strip_prefix("cpu").map(str::parse::<usize>) else { continue };
        if !cpus.contains(&cpu) {
            continue;
        }
        // user nice system idle iowait irq softirq steal …
        let fields: Vec<u64> =
            rest.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        sum.idle += fields.get(3)? + fields.get(4)?;
        sum.steal += fields.get(7)?;
        found += 1;
    }
    (found > 0 && found == cpus.len()).then_some(sum)
}

/// The share of their time that was stolen since the system was started.
pub fn steal_since_boot(cpus: &[usize]) -> Option<f64> {
    let steal = read_times(cpus)?.steal;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(ticks_to_ns(steal) as f64 / (seconds * 1e9 * cpus.len() as f64))
}

pub fn ticks_to_ns(ticks: u64) -> u64 {
    ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

fn cpu_ns_of(processes: &[u32]) -> u64 {
    processes.iter().filter_map(|pid| process::cpu_ns(*pid)).sum()
}

/// How long each thread has waited for a CPU since it began.
fn waited<'a>(pid: u32, threads: impl Iterator<Item = &'a u32>) -> BTreeMap<u32, u64> {
    threads.filter_map(|thread| Some((*thread, process::run_queue_ns(pid, *thread)?))).collect()
}

pub fn load_milli() -> Option<u64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some((load * 1_000.0).round() as u64)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    const STAT: &str = "\
cpu  40 0 8 300 4 0 0 9 0 0
cpu0 10 0 2 100 1 0 0 2 0 0
cpu1 10 0 2 150 2 0 0 3 0 0
cpu10 20 0 4 50 1 0 0 4 0 0
intr 5 0 0
";

    #[test]
    fn counts_the_cpus_it_is_asked_for() {
        assert_eq!(times(STAT, &[0, 10]), Some(CpuTimes { idle: 152, steal: 6 }));
        assert_eq!(times(STAT, &[1]), Some(CpuTimes { idle: 152, steal: 3 }));
        assert_eq!(times(STAT, &[0, 7]), None);
        assert_eq!(times(STAT, &[]), None);
        assert_eq!(times("cpu0 1 2 3\n", &[0]), None);
    }

    fn everywhere() -> Division {
        Division::of(&cpus::allowed(), false)
    }

    #[test]
    fn only_other_processes_are_noise() {
        // This process is taken off as the harness; as the subject, too, it would be twice.
        let mut subject = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let watch = NoiseWatch::begin(subject.id(), &[], &everywhere());
        let mut other = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        // However busy the machine, it gets some CPU time in the end.
        let used = loop {
            std::thread::sleep(Duration::from_millis(20));
            let used = process::cpu_ns(other.id()).unwrap();
            if used > 200_000_000 || began.elapsed() > Duration::from_secs(20) {
                break used;
            }
        };
        let noise = watch.end().unwrap();
        for child in [&mut subject, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // Idle time, from which this is computed, is kept exactly but not at one moment on all CPUs.
        assert!(noise.others_cpu_ns >= used / 2, "{noise:?} of {used}");
        assert!(noise.others_cpu_ns <= noise.capacity_ns);
    }

    #[test]
    fn waiting_for_a_cpu_is_seen() {
        // Beside the threads of other tests, not all of what those two waited is read.
        let mut seen = 0;
        let enough = (0..100).any(|_| {
            seen += waited_by_two_on_one_cpu();
            seen >= 10_000_000
        });
        assert!(enough, "{seen}");
    }

    /// Two threads on one CPU: each waits while the other runs.
    fn waited_by_two_on_one_cpu() -> u64 {
        let cpu = cpus::allowed()[0];
        let watch = NoiseWatch::begin(std::process::id(), &[], &everywhere());
        let burn = move || {
            cpus::stay_on(&[cpu]).expect("an allowed CPU can be stayed on");
            quadrant_suite::plain_calls::use_cpu(Duration::from_millis(60));
        };
        let both = [std::thread::spawn(burn), std::thread::spawn(burn)];
        // Threads take their numbers with them when they end.
        while both.iter().all(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let waited = watch.run_queue_ns();
        both.into_iter().for_each(|thread| thread.join().expect("it only computes"));
        waited
    }

    #[test]
    fn of_many_threads_only_some_are_read() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let stopped = std::sync::Arc::new(std::sync::Mutex::new(stopped));
        let threads: Vec<_> = (0..300)
            .map(|_| {
                let stopped = stopped.clone();
                std::thread::spawn(move || drop(stopped.lock().map(|stopped| stopped.recv())))
            })
            .collect();
        let watch = NoiseWatch::begin(std::process::id(), &[], &everywhere());
        drop(stop);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let read = watch.waited_ns.len();
        // Their numbers follow each other, but for what else starts in between.
        assert!((1..=2 * THREADS_READ).contains(&read), "{read}");
    }
}
