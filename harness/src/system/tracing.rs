//! Whether the kernel's tracepoints may be used from here.
//!
//! It only looks; it mounts and enables nothing.

use std::fs;
use std::path::Path;

/// What decides about tracepoints and BPF programs on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracing {
    /// May do what root may with them (CAP_SYS_ADMIN, or CAP_PERFMON and CAP_BPF).
    pub privileged: bool,
    /// `kernel.perf_event_paranoid`; below 0 everybody may.
    pub paranoid: Option<i32>,
    pub tracefs_mounted: bool,
}

impl Tracing {
    pub fn look() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let paranoid = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
        Self {
            privileged: is_privileged(&status),
            paranoid: paranoid.ok().and_then(|text| text.trim().parse().ok()),
            // Without the file system the folder is there and empty; others may not look inside.
            tracefs_mounted: ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
                .iter()
                .any(|folder| Path::new(folder).join("events").exists() || is_mounted(folder)),
        }
    }
}

fn is_mounted(folder: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split_whitespace().nth(1) == Some(folder))
}

fn is_privileged(status: &str) -> bool {
    const SYS_ADMIN: u32 = 21;
    const PERFMON: u32 = 38;
    const BPF: u32 = 39;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let has = |capability: u32| effective >> capability & 1 == 1;
    has(SYS_ADMIN) || (has(PERFMON) && has(BPF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_read_from_the_effective_set() {
        assert!(is_privileged("CapPrm:\t0\nCapEff:\t000001ffffffffff\n"));
        assert!(is_privileged("CapEff:\t000000c000000000\n"));
        assert!(!is_privileged("CapEff:\t0000004000000000\n"));
        assert!(!is_privileged("CapPrm:\t000001ffffffffff\nCapEff:\t0000000000000000\n"));
        assert!(!is_privileged(""));
    }
}
