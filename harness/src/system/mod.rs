//! The seam to the operating system: everything in the harness that asks it something.
//!
//! Nothing outside this folder and the loader depends on which system it runs on.

pub mod allocator;
pub mod board_memory;
pub mod bpf;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod connecting;
pub mod cpus;
pub mod date;
mod deadly_calls;
pub mod features;
pub mod forbid;
pub mod interrupt;
pub mod limits;
pub mod machine;
pub mod noise;
pub mod ordered_process;
pub mod orphans;
pub mod paths;
pub mod process;
pub mod regular_file;
pub mod strace;
pub mod syscall_counter;
pub mod timed_poll;
