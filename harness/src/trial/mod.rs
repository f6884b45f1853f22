//! One trial: one run of one cell, in a process of its own that is watched from outside.

mod adapter_process;
mod check_process;
mod clock_check;
mod cold_reads;
mod freeze;
pub mod inside;
pub mod library;
mod library_file;
pub mod lockstep;
mod memory;
mod memory_watch;
pub mod observe;
mod order;
mod processes;
mod progress_samples;
mod stalls;
mod supervisor;
mod thread_timeline;
mod watch;

pub use adapter_process::describe;
pub use check_process::{CheckProcess, wait_for_any};
pub use freeze::Freeze;
pub use library_file::LibraryFile;
pub use memory::Memory;
pub use order::{Attention, Limits, Order};
pub use stalls::Sighting;
pub use supervisor::{Ended, Measured, run};
