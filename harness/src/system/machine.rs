//! What this machine is, for the run's file: figures are worth little without it.
//!
//! Never measures anything.

use std::fs;

use serde::{Deserialize, Serialize};

use super::{cpus, features, limits};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub system: String,
    pub kernel: String,
    pub architecture: String,
    pub cpu_model: String,
    pub cpus_allowed: usize,
    pub governor: Option<String>,
    /// Of TCP connections over loopback.
    #[serde(default)]
    pub congestion_control: Option<String>,
    pub memory_bytes: u64,
    pub open_files_max: Option<u64>,
    pub locked_memory_max: Option<u64>,
}

impl Identity {
    pub fn look() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let name = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            system: text(name.sysname()),
            kernel: text(name.release()),
            architecture: text(name.machine()),
            cpu_model: cpu_model().unwrap_or_else(|| "unknown".to_owned()),
            cpus_allowed: cpus::allowed().len(),
            governor: cpus::governor(0),
            congestion_control: features::congestion_control(),
            memory_bytes: bytes_of(&meminfo, "MemTotal:").unwrap_or(0),
            open_files_max: limits::open_files_max(),
            locked_memory_max: limits::locked_memory_max(),
        }
    }
}

fn cpu_model() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Swap in use, in bytes.
pub fn swap_used_bytes() -> Option<u64> {
    swap_used(&fs::read_to_string("/proc/meminfo").ok()?)
}

/// Memory that programs can still get, without swapping others out.
pub fn available_bytes() -> Option<u64> {
    bytes_of(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn swap_used(meminfo: &str) -> Option<u64> {
    Some(bytes_of(meminfo, "SwapTotal:")?.saturating_sub(bytes_of(meminfo, "SwapFree:")?))
}

fn bytes_of(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_what_is_not_free() {
        assert_eq!(swap_used("SwapTotal:  2048 kB\nSwapFree:  1024 kB\n"), Some(1 << 20));
        assert_eq!(swap_used("SwapTotal:  0 kB\nSwapFree:  0 kB\n"), Some(0));
        assert_eq!(swap_used("MemTotal: 5 kB\n"), None);
    }
}
