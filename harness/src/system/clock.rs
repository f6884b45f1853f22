//! Chooses the clock of the measurements and finds its scale.
//!
//! Never uses the CPU's counter unless the kernel itself trusts it to be the same on all CPUs and at a
//! constant rate.

use std::time::Duration;

use quadrant_suite::clock::{ClockScale, cpu_counter, monotonic_ns};
use rustix::time::{ClockId, clock_gettime};

/// Long enough that reading both clocks a little apart is an error below one in 100,000.
const CALIBRATION: Duration = Duration::from_millis(20);

/// The best clock of this machine. Takes some 20 ms.
pub fn choose() -> ClockScale {
    if !counter_is_trusted() {
        return ClockScale::MONOTONIC;
    }
    let begin = read_both();
    std::thread::sleep(CALIBRATION);
    let end = read_both();
    let ticks = end.0.saturating_sub(begin.0);
    let ns = end.1.saturating_sub(begin.1);
    if ticks == 0 || ns < CALIBRATION.as_nanos() as u64 {
        return ClockScale::MONOTONIC;
    }
    let ns_per_tick_shifted = ((u128::from(ns) << 32) / u128::from(ticks)) as u64;
    ClockScale { cpu_counter: true, ns_per_tick_shifted }
}

/// The CPU time of this thread.
pub fn thread_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// Both clocks at one moment: the reading with the shortest time in between out of several.
fn read_both() -> (u64, u64) {
    (0..16)
        .map(|_| {
            let before = cpu_counter();
            let ns = monotonic_ns();
            let after = cpu_counter();
            (after.saturating_sub(before), before / 2 + after / 2, ns)
        })
        .min_by_key(|(apart, _, _)| *apart)
        .map_or((0, 0), |(_, ticks, ns)| (ticks, ns))
}

/// The kernel's own clock source.
pub fn source() -> Option<String> {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// From now on sleeps of this thread end on time. Timer slack: by default Linux may delay a wake-up
/// by 50 µs to batch it with others.
pub fn wake_on_time() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    Ok(())
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn counter_is_trusted() -> bool {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = flags.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    // Under a paravirtual clock the counter may still be scaled on migration.
    has("constant_tsc") && has("nonstop_tsc") && source().as_deref() == Some("tsc")
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn counter_is_trusted() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_clock_agrees_with_the_system_over_a_while() {
        let scale = choose();
        let read = || if scale.cpu_counter { cpu_counter() } else { monotonic_ns() };
        let (ticks, ns) = (read(), monotonic_ns());
        std::thread::sleep(Duration::from_millis(30));
        let (ticks, ns) = (scale.ns(read() - ticks), monotonic_ns() - ns);
        // Generous: a neighbour may interrupt between the two readings.
        assert!(ticks.abs_diff(ns) < ns / 10, "{ticks} against {ns}");
    }
}
