//! How much of the memory lies on a disk.

use std::fs;

/// Swap in use, in bytes.
pub fn used_bytes() -> Option<u64> {
    used(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn used(meminfo: &str) -> Option<u64> {
    let kib = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(kib("SwapTotal:")?.saturating_sub(kib("SwapFree:")?) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_what_is_not_free() {
        assert_eq!(used("SwapTotal:  2048 kB\nSwapFree:  1024 kB\n"), Some(1 << 20));
        assert_eq!(used("SwapTotal:  0 kB\nSwapFree:  0 kB\n"), Some(0));
        assert_eq!(used("MemTotal: 5 kB\n"), None);
    }
}
