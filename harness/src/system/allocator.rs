//! What the system's allocator does with memory that was freed, in this process.
//!
//! Never replaces the allocator: runtimes are measured with the one that their users have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether freed memory goes back to the system.
///
/// Depending on what happens to lie at the top of the heap, glibc returns it at a free and takes it
/// again at the next allocation. Then every page faults again: the same subject made 18 k or 40 k reads
/// of files per second, by chance.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Allocator {
    /// Freed memory stays with the process: what is measured is the runtime.
    #[default]
    Untrimmed,
    /// As glibc does by default.
    System,
}

impl Allocator {
    pub const ALL: [(&str, Self); 2] = [("untrimmed", Self::Untrimmed), ("system", Self::System)];
}

impl fmt::Display for Allocator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Allocator::Untrimmed => "untrimmed",
            Allocator::System => "system",
        })
    }
}

/// Applies it to this process, before it allocates much.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn apply(allocator: Allocator) {
    // glibc raises its threshold for mapping an allocation by itself to at most this. Setting any
    // threshold ends that, so the other one is set to where it would end up.
    const MAPPED_FROM: i32 = 32 << 20;
    const NEVER_TRIMMED: i32 = i32::MAX;
    if allocator == Allocator::Untrimmed {
        // SAFETY: both calls take plain numbers, and this process has one thread so far.
        #[allow(unsafe_code)]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
            libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER_TRIMMED);
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn apply(_: Allocator) {}
