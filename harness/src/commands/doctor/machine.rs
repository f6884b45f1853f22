//! Whether the machine is quiet, has enough CPUs, keeps one speed and has a cheap clock.
//!
//! Never changes a frequency and pins nothing. It looks for a second and uses next to no CPU time
//! meanwhile.

use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::system::cpus::{self, Division};
use crate::system::noise::{self, CpuTimes};
use crate::system::{cgroup, clock, features, machine};

const LOOK: Duration = Duration::from_secs(1);
const BUSY_MAX: f64 = 0.05;
const STEAL_MAX: f64 = 0.01;
/// Pages that were swapped out once and never needed again do no harm.
const SWAP_MAX_BYTES: u64 = 64 << 20;

/// The CPUs within a while, as shares of their time.
#[derive(Debug, Clone, Copy)]
struct Seen {
    busy: f64,
    steal: f64,
}

pub fn findings() -> Vec<Finding> {
    let cpus = cpus::allowed();
    let began = Instant::now();
    let before = noise::read_times(&cpus);
    std::thread::sleep(LOOK);
    let after = noise::read_times(&cpus);
    let seen = before
        .zip(after)
        .map(|(before, after)| seen(before, after, began.elapsed() * cpus.len() as u32));
    let first = cpus.first().copied().unwrap_or(0);
    vec![
        judge_load(seen, noise::load_milli()),
        judge_steal(seen, noise::steal_since_boot(&cpus)),
        judge_swap(machine::swap_used_bytes()),
        judge_count(&cpus),
        judge_cores(&cpus, cpus::siblings),
        judge_quota(cgroup::cpu_quota(), cpus.len()),
        judge_governor(cpus::governor(first).as_deref()),
        judge_turbo(cpus::turbo_switch()),
        judge_clock(clock::choose().cpu_counter, clock::source().as_deref()),
        report_congestion_control(features::congestion_control()),
    ]
}

fn seen(before: CpuTimes, after: CpuTimes, capacity: Duration) -> Seen {
    let share = |after: u64, before: u64| {
        let ns = noise::ticks_to_ns(after.saturating_sub(before));
        (ns as f64 / capacity.as_nanos().max(1) as f64).min(1.0)
    };
    let steal = share(after.steal, before.steal);
    let idle = share(after.idle, before.idle);
    Seen { busy: (1.0 - idle - steal).max(0.0), steal }
}

fn judge_load(seen: Option<Seen>, load_milli: Option<u64>) -> Finding {
    let Some(Seen { busy, .. }) = seen else {
        return Finding::check("load", true, "the system does not report how busy it is");
    };
    let load = load_milli
        .map_or_else(String::new, |milli| format!(" (load {:.1})", milli as f64 / 1_000.0));
    let state = format!("other processes use {} of the CPUs now{load}", percent(busy));
    Finding::check("load", busy <= BUSY_MAX, state).or(
        "figures are too low and vary; ranges are wide and comparisons end in `cannot tell`",
        "stop what is not needed: ps -eo pcpu,pid,comm --sort=-pcpu | head",
    )
}

fn judge_steal(seen: Option<Seen>, since_boot: Option<f64>) -> Finding {
    let now = seen.map_or(0.0, |seen| seen.steal);
    let ever = since_boot.unwrap_or(0.0);
    let (now_shown, ever_shown) = (percent(now), percent(ever));
    let state =
        format!("the host takes {now_shown} of the CPU time now, {ever_shown} since the start");
    Finding::check("steal", now <= STEAL_MAX && ever <= STEAL_MAX, state).or(
        "other guests of the host change the figures from trial to trial",
        "use a host or an instance type with CPUs of its own, or make more trials (--trials 10)",
    )
}

fn judge_swap(used: Option<u64>) -> Finding {
    let used = used.unwrap_or(0);
    let state = format!("{} MiB of memory are swapped out", used >> 20);
    Finding::check("swap", used <= SWAP_MAX_BYTES, state).or(
        "a page that is read back is a stall that no runtime has caused",
        "free memory, then: swapoff -a && swapon -a",
    )
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none < 0.05 => "0 %".to_owned(),
        few if few < 9.95 => format!("{few:.1} %"),
        many => format!("{many:.0} %"),
    }
}

fn judge_count(cpus: &[usize]) -> Finding {
    let check = |is_good, state| Finding::check("CPUs", is_good, state);
    match cpus {
        [] | [_] => check(
            false,
            "there is one CPU, and a subject shares it with the driver that loads it".to_owned(),
        )
        .or(
            "each slows the other: figures of servers mean little",
            "run where there are 2 CPUs or more; 4 to see several workers scale",
        ),
        [subject, driver] => check(
            false,
            format!("there are 2 CPUs: under load the driver has CPU {driver}, the subject only CPU {subject}"),
        )
        .or(
            "several workers can gain nothing from each other in servers",
            "run where there are 4 CPUs or more, if that is your question",
        ),
        [.., driver] => {
            let count = cpus.len();
            check(true, format!("there are {count} CPUs: under load the driver has CPU {driver}, the subject all others"))
        }
    }
}

/// Two CPUs of one core slow each other, and no figure should depend on that.
fn judge_cores(cpus: &[usize], siblings: impl Fn(usize) -> Vec<usize>) -> Finding {
    let Division { driver, subject, .. } = Division::of(cpus, true);
    let all_siblings = driver.iter().flat_map(|cpu| siblings(*cpu));
    let shared = all_siblings.filter(|_| driver != subject).find(|cpu| subject.contains(cpu));
    let Some(shared) = shared else {
        return Finding::check("cores", true, "subject and driver share no core");
    };
    let is_first =
        |cpu: &usize| siblings(*cpu).iter().all(|other| other >= cpu || !cpus.contains(other));
    let one_each: Vec<String> =
        cpus.iter().filter(|cpu| is_first(cpu)).map(usize::to_string).collect();
    let driver = driver.first().copied().unwrap_or_default();
    let state = format!("the driver's CPU {driver} and the subject's CPU {shared} are one core");
    Finding::check("cores", false, state).or(
        "each slows the other, by up to half",
        format!("taskset -c {} quadrant run …", one_each.join(",")),
    )
}

fn judge_quota(quota: Option<f64>, cpus: usize) -> Finding {
    match quota.filter(|quota| *quota < cpus as f64) {
        None => Finding::check("CPU quota", true, "no control group limits the CPU time"),
        Some(quota) => {
            let state = format!("a control group allows {quota:.1} of {cpus} CPUs");
            Finding::check("CPU quota", false, state).or(
                "all threads are frozen for the rest of every 100 ms once that is used up: stalls \
                 and p99 that no runtime has caused",
                "give whole CPUs instead of a share: docker run --cpuset-cpus=0,1 without --cpus",
            )
        }
    }
}

fn judge_governor(governor: Option<&str>) -> Finding {
    let state = match governor {
        None => "the CPUs' frequency is not set from here".to_owned(),
        Some(governor) => format!("the CPUs' frequency is set by `{governor}`"),
    };
    Finding::check("governor", matches!(governor, None | Some("performance")), state).or(
        "speed changes with load: light work looks slower than it is",
        "cpupower frequency-set -g performance",
    )
}

fn judge_turbo(switch: Option<(&str, &str)>) -> Finding {
    match switch {
        None => Finding::check("turbo", true, "no turbo that could be switched off from here"),
        Some((file, off)) => {
            let state = "the CPUs go beyond their nominal frequency while they are cool";
            Finding::check("turbo", false, state).or(
                "the first trials of a run are faster than the last",
                format!("echo {off} | sudo tee {file}"),
            )
        }
    }
}

fn judge_clock(counter: bool, source: Option<&str>) -> Finding {
    let source = source.unwrap_or("unknown");
    let state = if counter {
        "the CPU's own counter is the clock: some 10 ns a reading".to_owned()
    } else {
        format!("the CPU's counter is not used here (the kernel's clock is {source})")
    };
    Finding::check("clock", counter, state).or(
        "each reading costs 30 ns or more, and a poll has two of them",
        "where the CPU's counter is constant: boot with clocksource=tsc tsc=reliable",
    )
}

/// None is better than another; figures of two of them are not compared.
fn report_congestion_control(name: Option<String>) -> Finding {
    let state = match name {
        Some(name) => format!("connections over loopback have the congestion control `{name}`"),
        None => "the congestion control of connections over loopback is not known".to_owned(),
    };
    Finding::check("TCP", true, state)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Ok, Warning};
    use super::*;

    #[test]
    fn shares_come_from_ticks() {
        let ticks = rustix::param::clock_ticks_per_second();
        let before = CpuTimes { idle: 1_000, steal: 50 };
        let after = CpuTimes { idle: 1_000 + ticks, steal: 50 + ticks / 10 };
        let seen = seen(before, after, Duration::from_secs(2));
        assert!((seen.busy - 0.45).abs() < 0.01 && (seen.steal - 0.05).abs() < 0.01, "{seen:?}");
    }

    #[test]
    fn busy_machines() {
        let load = |busy| judge_load(Some(Seen { busy, steal: 0.0 }), Some(7_710));
        assert_eq!(load(0.04).level, Ok);
        let finding = load(0.744);
        assert_eq!(finding.level, Warning);
        assert_eq!(finding.state, "other processes use 74 % of the CPUs now (load 7.7)");
        assert_eq!(judge_load(None, None).level, Ok);
    }

    #[test]
    fn stolen_time() {
        let steal = |now, ever| judge_steal(Some(Seen { busy: 0.0, steal: now }), ever).level;
        assert_eq!(steal(0.0, Some(0.001)), Ok);
        assert_eq!(steal(0.03, Some(0.001)), Warning);
        assert_eq!(steal(0.0, Some(0.02)), Warning);
        assert_eq!(steal(0.0, None), Ok);
    }

    #[test]
    fn swapped_memory() {
        assert_eq!(judge_swap(None).level, Ok);
        assert_eq!(judge_swap(Some(1 << 20)).level, Ok);
        assert_eq!(judge_swap(Some(1 << 30)).level, Warning);
    }

    #[test]
    fn counts() {
        for (cpus, level) in [(&[3][..], Warning), (&[0, 1], Warning), (&[0, 1, 2], Ok)] {
            assert_eq!(judge_count(cpus).level, level, "{cpus:?}");
        }
        assert!(
            judge_count(&[4, 9]).state.ends_with("the driver has CPU 9, the subject only CPU 4")
        );
    }

    #[test]
    fn siblings_are_found_and_avoided() {
        let pairs = |cpu: usize| vec![cpu % 2, cpu % 2 + 2];
        let finding = judge_cores(&[0, 1, 2, 3], pairs);
        assert_eq!(finding.level, Warning);
        assert_eq!(finding.state, "the driver's CPU 3 and the subject's CPU 1 are one core");
        assert_eq!(finding.remedy.as_deref(), Some("taskset -c 0,1 quadrant run …"));
        assert_eq!(judge_cores(&[0, 1, 2, 3], |cpu| vec![cpu]).level, Ok);
        assert_eq!(judge_cores(&[0, 1], pairs).level, Ok);
        // With one CPU there is nothing to report beside the number of CPUs.
        assert_eq!(judge_cores(&[0], pairs).level, Ok);
    }

    #[test]
    fn quotas() {
        assert_eq!(judge_quota(None, 4).level, Ok);
        assert_eq!(judge_quota(Some(4.0), 4).level, Ok);
        let finding = judge_quota(Some(1.5), 4);
        assert_eq!(
            (finding.level, finding.state.as_str()),
            (Warning, "a control group allows 1.5 of 4 CPUs")
        );
    }

    #[test]
    fn governors() {
        assert_eq!(judge_governor(None).level, Ok);
        assert_eq!(judge_governor(Some("performance")).level, Ok);
        assert_eq!(judge_governor(Some("powersave")).level, Warning);
    }

    #[test]
    fn turbo_is_switched_off_by_its_own_file() {
        assert_eq!(judge_turbo(None).level, Ok);
        let finding = judge_turbo(Some(("/sys/no_turbo", "1")));
        assert_eq!(finding.remedy.as_deref(), Some("echo 1 | sudo tee /sys/no_turbo"));
    }

    #[test]
    fn clocks() {
        assert_eq!(judge_clock(true, Some("tsc")).level, Ok);
        let finding = judge_clock(false, Some("hpet"));
        assert_eq!(finding.level, Warning);
        assert!(finding.state.contains("hpet"));
    }
}
