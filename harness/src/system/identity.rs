//! What this machine is, for the run's file: figures are worth little without it.

use serde::{Deserialize, Serialize};

use super::{affinity, frequency, limits};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub system: String,
    pub kernel: String,
    pub architecture: String,
    pub cpu_model: String,
    pub cpus_allowed: usize,
    pub governor: Option<String>,
    pub memory_bytes: u64,
    pub open_files_max: Option<u64>,
    pub locked_memory_max: Option<u64>,
}

impl Identity {
    pub fn look() -> Self {
        let name = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            system: text(name.sysname()),
            kernel: text(name.release()),
            architecture: text(name.machine()),
            cpu_model: cpu_model().unwrap_or_else(|| "unknown".to_owned()),
            cpus_allowed: affinity::allowed().len(),
            governor: frequency::governor(0),
            memory_bytes: memory_bytes().unwrap_or(0),
            open_files_max: limits::open_files_max(),
            locked_memory_max: limits::locked_memory_max(),
        }
    }
}

fn cpu_model() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_bytes() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
