//! The seam to the operating system: everything in the harness that asks it something.
//!
//! Nothing outside this folder, the board's memory and the loader knows which system it runs on.

pub mod affinity;
pub mod bpf;
pub mod clock;
pub mod identity;
pub mod io_uring;
pub mod lifeline;
pub mod limits;
pub mod orphans;
pub mod pids_cgroup;
pub mod process;
pub mod syscall_counter;
pub mod system_calls;
pub mod thread_creations;
