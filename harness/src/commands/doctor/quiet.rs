//! Whether the machine is quiet enough: other processes, and a host that takes CPUs away.
//!
//! It looks for a second and uses next to nothing meanwhile.

use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::system::noise::{self, CpuTimes};
use crate::system::{cpus, machine};

const LOOK: Duration = Duration::from_secs(1);
const BUSY_MAX: f64 = 0.05;
const STEAL_MAX: f64 = 0.01;
/// Pages that were once put out and never asked for again are no harm.
const SWAP_MAX_BYTES: u64 = 64 << 20;

/// What was seen of the CPUs within a while, as shares of their time.
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
    vec![
        judge_load(seen, noise::load_milli()),
        judge_steal(seen, noise::steal_since_boot(&cpus)),
        judge_swap(machine::swap_used_bytes()),
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
    const ABOUT: &str = "load";
    let Some(seen) = seen else {
        return Finding::ok(ABOUT, "the system does not tell how busy it is");
    };
    let load = load_milli
        .map_or_else(String::new, |milli| format!(" (load {:.1})", milli as f64 / 1_000.0));
    let busy = format!("other processes use {} of the CPUs now{load}", percent(seen.busy));
    if seen.busy <= BUSY_MAX {
        return Finding::ok(ABOUT, busy);
    }
    Finding::warning(
        ABOUT,
        busy,
        "figures are too low and vary; ranges are wide and comparisons end in `cannot tell`",
        "stop what is not needed: ps -eo pcpu,pid,comm --sort=-pcpu | head",
    )
}

fn judge_steal(seen: Option<Seen>, since_boot: Option<f64>) -> Finding {
    const ABOUT: &str = "steal";
    let now = seen.map_or(0.0, |seen| seen.steal);
    let ever = since_boot.unwrap_or(0.0);
    let says = format!(
        "the host takes {} of the CPU time now, {} since the start",
        percent(now),
        percent(ever)
    );
    if now <= STEAL_MAX && ever <= STEAL_MAX {
        return Finding::ok(ABOUT, says);
    }
    Finding::warning(
        ABOUT,
        says,
        "neighbours on the same host change the figures from trial to trial",
        "use a host or an instance type with CPUs of its own, or make more trials (--trials 10)",
    )
}

fn judge_swap(used: Option<u64>) -> Finding {
    const ABOUT: &str = "swap";
    match used {
        Some(used) if used > SWAP_MAX_BYTES => Finding::warning(
            ABOUT,
            format!("{} MiB of memory lie on a disk", used >> 20),
            "a page that comes back is a stall that no runtime has caused",
            "free memory, then: swapoff -a && swapon -a",
        ),
        _ => Finding::ok(ABOUT, "next to no memory lies on a disk"),
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none < 0.05 => "0 %".to_owned(),
        few if few < 9.95 => format!("{few:.1} %"),
        many => format!("{many:.0} %"),
    }
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
        assert_eq!(finding.says, "other processes use 74 % of the CPUs now (load 7.7)");
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
}
