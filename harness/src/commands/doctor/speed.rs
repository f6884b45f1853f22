//! Whether the CPUs keep one speed, and whether time is cheap to read.
//!
//! Never changes a frequency.

use super::finding::Finding;
use crate::system::{clock, cpus};

pub fn findings() -> Vec<Finding> {
    let cpu = cpus::allowed().first().copied().unwrap_or(0);
    vec![
        judge_governor(cpus::governor(cpu).as_deref()),
        judge_turbo(cpus::turbo_switch()),
        judge_clock(clock::choose().cpu_counter, clock::source().as_deref()),
    ]
}

fn judge_governor(governor: Option<&str>) -> Finding {
    const ABOUT: &str = "governor";
    match governor {
        None => Finding::ok(ABOUT, "nobody sets the CPUs' frequency from here"),
        Some("performance") => Finding::ok(ABOUT, "the CPUs' frequency is kept high"),
        Some(other) => Finding::warning(
            ABOUT,
            format!("the CPUs' frequency is set by `{other}`"),
            "speed changes with load: light work looks slower than it is",
            "cpupower frequency-set -g performance",
        ),
    }
}

fn judge_turbo(switch: Option<(&str, &str)>) -> Finding {
    const ABOUT: &str = "turbo";
    match switch {
        None => Finding::ok(ABOUT, "no turbo that could be switched off from here"),
        Some((file, off)) => Finding::warning(
            ABOUT,
            "the CPUs go beyond their nominal frequency while they are cool",
            "the first trials of a run are faster than the last",
            format!("echo {off} | sudo tee {file}"),
        ),
    }
}

fn judge_clock(counter: bool, source: Option<&str>) -> Finding {
    const ABOUT: &str = "clock";
    let source = source.unwrap_or("unknown");
    if counter {
        return Finding::ok(ABOUT, "the CPU's own counter is the clock: some 10 ns a reading");
    }
    Finding::warning(
        ABOUT,
        format!("the CPU's counter is not trusted here (the kernel's clock is {source})"),
        "each reading costs 30 ns or more, and a poll has two of them",
        "where the CPU's counter is constant: boot with clocksource=tsc tsc=reliable",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Ok, Warning};
    use super::*;

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
        assert!(finding.says.contains("hpet"));
    }
}
