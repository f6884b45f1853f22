//! The CPUs: which there are to use, staying on some of them, which share a core, and their frequency.
//!
//! Never changes a setting of the machine.

use std::{fs, io};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// CPUs that this process may run on, lowest first.
pub fn allowed() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect(),
        Err(_) => (0..std::thread::available_parallelism().map_or(1, Into::into)).collect(),
    }
}

/// Keeps this process on `cpus`, and what it starts from now on. No CPU means all.
pub fn stay_on(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU) {
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).map_err(|error| {
        let error = io::Error::from(error);
        let text = format!(
            "staying on CPU {} is refused here: {error}; allow `sched_setaffinity` (seccomp) and \
             these CPUs (cpuset)",
            listed(cpus)
        );
        io::Error::new(error.kind(), text)
    })
}

/// As `--cpus` takes them.
pub fn listed(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// Where each runs: the driver alone on the last CPU, the subject on the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    pub subject: Vec<usize>,
    pub driver: Vec<usize>,
}

impl Division {
    /// With a single CPU both have to share it.
    pub fn of(cpus: &[usize], with_driver: bool) -> Self {
        match cpus {
            [subject @ .., driver] if with_driver && !subject.is_empty() => {
                Self { subject: subject.to_vec(), driver: vec![*driver] }
            }
            all => Self { subject: all.to_vec(), driver: all.to_vec() },
        }
    }
}

/// The CPUs that share a core with `cpu`, itself included.
pub fn siblings(cpu: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    fs::read_to_string(path).map_or_else(|_| vec![cpu], |text| cpu_list(text.trim()))
}

/// `0-2,8` as numbers.
fn cpu_list(text: &str) -> Vec<usize> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

/// What sets its frequency. `None` where nothing does, as in most virtual machines.
pub fn governor(cpu: usize) -> Option<String> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The file that switches turbo off, with what to write to it, if it is on.
pub fn turbo_switch() -> Option<(&'static str, &'static str)> {
    [
        ("/sys/devices/system/cpu/intel_pstate/no_turbo", "0", "1"),
        ("/sys/devices/system/cpu/cpufreq/boost", "1", "0"),
    ]
    .into_iter()
    .find(|(path, on, _)| fs::read_to_string(path).is_ok_and(|text| text.trim() == *on))
    .map(|(path, _, off)| (path, off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_has_a_cpu_of_its_own_where_there_are_two() {
        let division = Division::of(&[0, 1, 2, 3], true);
        assert_eq!(division, Division { subject: vec![0, 1, 2], driver: vec![3] });
        assert_eq!(Division::of(&[0, 1], false).subject, [0, 1]);
        assert_eq!(Division::of(&[5], true), Division { subject: vec![5], driver: vec![5] });
    }

    #[test]
    fn there_is_a_cpu_to_run_on() {
        assert!(!allowed().is_empty());
    }

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpu_list("0"), [0]);
        assert_eq!(cpu_list("1,5"), [1, 5]);
        assert_eq!(cpu_list("0-2,8"), [0, 1, 2, 8]);
        assert_eq!(cpu_list(""), [0; 0]);
    }
}
