//! The seam to the operating system: everything in the harness that asks it something.
//!
//! Nothing outside this folder, the board's memory and the loader knows which system it runs on.

pub mod affinity;
pub mod cgroup;
pub mod clock;
pub mod frequency;
pub mod identity;
pub mod io_uring;
pub mod lifeline;
pub mod limits;
pub mod noise;
pub mod orphans;
pub mod process;
pub mod swap;
pub mod system_calls;
pub mod topology;
pub mod tracing;
