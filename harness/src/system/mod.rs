//! The seam to the operating system: everything in the harness that asks it something.
//!
//! Nothing outside this folder and the loader knows which system it runs on.

pub mod affinity;
pub mod allocator;
pub mod board_memory;
pub mod bpf;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod forbid;
pub mod freezing;
pub mod frequency;
pub mod fuse;
pub mod identity;
pub mod interrupt;
pub mod io_uring;
pub mod limits;
pub mod loopback;
pub mod noise;
pub mod orphans;
pub mod paths;
pub mod pids_cgroup;
pub mod process;
pub mod run_queue;
pub mod starvation;
pub mod strace;
pub mod swap;
pub mod syscall_counter;
pub mod threads_allowed;
pub mod topology;
pub mod tracing;
