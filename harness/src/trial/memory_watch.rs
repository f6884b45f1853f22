//! Whether an adapter uses more memory than it may, with all processes that it has started and the
//! memory that they share.
//!
//! Looking at one process is cheap, finding all is not. So the others are looked at only when what the
//! whole machine has left has changed by enough. Shared memory that none of them maps is not seen. Never
//! stops anything.

use std::time::{Duration, Instant};

use crate::system::orphans::Mark;
use crate::system::{machine, process};

/// How often it is looked at: filling a machine takes longer.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct MemoryWatch {
    limit_bytes: u64,
    looked_at: Instant,
    /// When all processes were added up last: what the machine had left, and what was left to them.
    available_bytes: u64,
    left_bytes: u64,
}

impl MemoryWatch {
    /// Of a process that has just been started.
    pub fn begin(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            looked_at: Instant::now(),
            available_bytes: machine::available_bytes().unwrap_or(0),
            left_bytes: limit_bytes,
        }
    }

    /// Looks, if it is time to. Returns the reason to stop the process and those that it has started,
    /// which carry the mark.
    pub fn excess(&mut self, pid: u32, mark: &Mark) -> Option<String> {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return None;
        }
        self.looked_at = Instant::now();
        let used = process::rss_bytes(pid).unwrap_or(0).max(self.used_by_all(mark));
        (used > self.limit_bytes).then(|| {
            format!("used more than {} MiB of memory and was stopped", self.limit_bytes >> 20)
        })
    }

    /// What the processes use together; 0 as long as that cannot be too much. Other programs may free
    /// memory meanwhile, so a change for the better is looked into as well.
    fn used_by_all(&mut self, mark: &Mark) -> u64 {
        let available = machine::available_bytes().unwrap_or(self.available_bytes);
        if self.available_bytes.abs_diff(available) <= self.left_bytes / 2 {
            return 0;
        }
        let used = mark.processes().into_iter().filter_map(process::memory_share_bytes).sum();
        self.available_bytes = available;
        self.left_bytes = self.limit_bytes.saturating_sub(used);
        used
    }
}
