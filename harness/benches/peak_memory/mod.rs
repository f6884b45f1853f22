//! The largest memory of a child, which the system reports only while it lives.

use std::process::Child;
use std::time::Duration;

/// Its exit code, and its peak memory in KiB.
pub fn until_ended(mut child: Child) -> (Option<i32>, u64) {
    let mut peak_kib = 0;
    loop {
        if let Some(status) = child.try_wait().expect("it is a child of this process") {
            return (status.code(), peak_kib);
        }
        peak_kib = peak_now_kib(child.id()).unwrap_or(0).max(peak_kib);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn peak_now_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.split_whitespace().next()?.parse().ok()
}
