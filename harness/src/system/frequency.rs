//! Who sets the CPUs' frequency, and whether it goes beyond its nominal one.
//!
//! It only looks; it sets nothing.

use std::fs;

/// `None` where nobody does, as in most virtual machines.
pub fn governor(cpu: usize) -> Option<String> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The file that switches it off, with what to write to it, if it is on.
pub fn turbo_switch() -> Option<(&'static str, &'static str)> {
    [
        ("/sys/devices/system/cpu/intel_pstate/no_turbo", "0", "1"),
        ("/sys/devices/system/cpu/cpufreq/boost", "1", "0"),
    ]
    .into_iter()
    .find(|(path, on, _)| fs::read_to_string(path).is_ok_and(|text| text.trim() == *on))
    .map(|(path, _, off)| (path, off))
}
